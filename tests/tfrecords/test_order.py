"""The order of training records, compared with plain Python, and places to go on from."""

import dataclasses
from collections import Counter
from itertools import chain

import numpy as np
import pytest

from inatdet.tfrecords.order import CHUNKS, ELEMENTS, Order, Start, draw_seed

SIZES = (7, 0, 3, 12, 1, 8)  # 31 records


def order(sizes=SIZES, seed=5, block=10, **settings):
    return Order(sizes, seed, block, **settings)


def records(order, epoch):
    """The records of an epoch by file and number, in order, and the blocks that they are in."""
    file, first, count, block = (column.numpy().tolist() for column in order.pieces(epoch))
    found = [[(f, n) for n in range(a, a + c)] for f, a, c in zip(file, first, count)]
    blocks = [[b] * len(part) for b, part in zip(block, found)]
    return list(chain.from_iterable(found)), list(chain.from_iterable(blocks))


@pytest.mark.parametrize("sizes", [SIZES, (31,), (0, 30, 1)])
@pytest.mark.parametrize("pipelines", [1, 2, 3])
def test_pipelines_share_the_records_of_each_epoch(sizes, pipelines):
    whole = [(f, n) for f, size in enumerate(sizes) for n in range(size)]
    orders = [order(sizes, pipelines=pipelines, pipeline=i) for i in range(pipelines)]
    for epoch in (0, 50):
        parts = [records(one, epoch)[0] for one in orders]
        assert sorted(chain.from_iterable(parts)) == whole
        assert {len(part) for part in parts} <= {31 // pipelines, -(-31 // pipelines)}
    # Each has the same part in every epoch, so that what was read of it may stay in memory.
    for one in orders:
        assert set(records(one, 0)[0]) == set(records(one, 3)[0])


def test_files_come_in_another_order_in_each_epoch():
    one = order((4,) * 20)
    seen = [tuple(one.pieces(epoch).file.numpy().tolist()) for epoch in range(5)]
    assert len(set(seen)) == 5
    assert seen[2] == tuple(order((4,) * 20).pieces(2).file.numpy().tolist())
    assert seen[2] != tuple(order((4,) * 20, seed=6).pieces(2).file.numpy().tolist())
    as_they_are = order((4,) * 20, shuffles_files=False)
    assert as_they_are.pieces(3).file.numpy().tolist() == list(range(20))


def test_blocks_are_of_similar_length_and_in_a_row():
    _, blocks = records(order((10,) * 57, block=100), 1)
    assert blocks == sorted(blocks)
    lengths = Counter(blocks)
    assert sorted(lengths) == list(range(6))  # 570 / 100
    assert max(lengths.values()) - min(lengths.values()) <= 10
    assert set(records(order(block=1000), 0)[1]) == {0}
    assert max(records(order((1000, 10), block=100), 0)[1]) <= 1  # no block without records


@pytest.mark.parametrize("pipelines", [1, 2])
def test_places_of_records_that_come_once(pipelines):
    one = order(pipelines=pipelines, pipeline=pipelines - 1)
    seen = [
        (epoch, block, place)
        for epoch in range(3)
        for block, length in sorted(Counter(records(one, epoch)[1]).items())
        for place in range(length)
    ]
    for images in (0, 1, 9, 10, 15, 16, 30, 31, 40, len(seen) - 1):
        assert one.place_after(images) == seen[images]


def test_places_of_records_that_come_more_or_less_often():
    rng = np.random.default_rng(0)
    copies = [rng.choice([0.0, 0.4, 1.0, 2.7], size).astype(np.float32) for size in SIZES]
    one = order(pipelines=2, pipeline=1)
    seen = []
    for epoch in range(4):
        length = Counter()
        draws = [one.copy_draws(epoch, file).numpy() for file in range(len(SIZES))]
        for (file, number), block in zip(*records(one, epoch)):
            draw = draws[file][number]
            whole = int(copies[file][number])
            length[block] += whole + int(draw < copies[file][number] - whole)
        seen += [(epoch, b, place) for b in sorted(length) for place in range(length[b])]
    for images in (0, 1, 8, 13, 20, 33, 40, len(seen) - 1):
        assert one.place_after(images, copies) == seen[images]
    assert len({len([s for s in seen if s[0] == epoch]) for epoch in range(4)}) > 1


def test_where_nothing_is_shown():
    nothing = [np.zeros(size, np.float32) for size in SIZES]
    assert order().place_after(0, nothing) == (0, 0, 0)
    assert order().place_after(9, nothing) == (0, 0, 0)
    assert order((0, 0)).place_after(9) == (0, 0, 0)


def test_seeds_differ_by_use_number_and_pipeline():
    one = order(pipelines=2)
    other = dataclasses.replace(one, pipeline=1)
    found = [
        int(o.seeds(use)(number)) for o in (one, other) for use in (ELEMENTS, CHUNKS)
        for number in range(5)
    ]  # fmt: skip
    found += [int(one.shuffle_seed(epoch, block)) for epoch in range(3) for block in range(3)]
    assert len(set(found)) == len(found)
    assert int(order().seeds(ELEMENTS)(3)) == int(order().seeds(ELEMENTS)(3))
    assert draw_seed() != draw_seed()


def test_start_of_one_of_several_pipelines():
    assert Start(100, 64).of_pipeline(1, 4) == (100, 16)
    assert Start(100, 64).of_pipeline(2, 4) == (50, 8)
    assert Start().of_pipeline(3, 4) == (0, 0)
