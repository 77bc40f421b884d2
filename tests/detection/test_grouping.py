"""Which images share a batch, compared with plain Python."""

import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection import grouping

COMMON = [(60, 80), (53, 80), (80, 60), (45, 80), (80, 80), (80, 53)]


def sizes(count, seed=0, odd=3):
    """One in `odd` has any shape."""
    rng = np.random.default_rng(seed)
    strange = [rng.permutation([80, rng.integers(10, 80)]).tolist() for _ in range(count)]
    return np.array(
        [strange[i] if i % odd == 0 else COMMON[rng.integers(6)] for i in range(count)], np.int32
    )


def batches_by_hand(size, batch_size):
    """Sets of images: whole batches of equal images, of those of a group; and the others."""
    found, left = [], list(range(len(size)))
    group = grouping.aspect_group(size).numpy()
    for key in (lambda i: tuple(size[i].tolist()), lambda i: int(group[i])):
        alike = defaultdict(list)
        for i in left:
            alike[key(i)].append(i)
        left = []
        for members in alike.values():
            whole = len(members) // batch_size * batch_size
            found += [frozenset(members[i : i + batch_size]) for i in range(0, whole, batch_size)]
            left += members[whole:]
        left.sort()
    return found, left


def arranged(size, batch_size, ends=False, seed=1):
    order, whole = grouping.arranged(
        tf.constant(size), batch_size, tf.constant(seed, tf.int64), tf.constant(ends)
    )
    order, whole = order.numpy(), int(whole)
    return np.reshape(order[: whole * batch_size], [whole, batch_size]), order[whole * batch_size :]


@pytest.mark.parametrize("batch_size", [2, 8])
@pytest.mark.parametrize("count", [0, 1, 300])
def test_equal_images_then_similar_ones_then_those_that_wait(batch_size, count):
    size = np.reshape(sizes(count, seed=count), [count, 2])
    batches, waiting = arranged(size, batch_size)
    expected, left = batches_by_hand(size, batch_size)
    assert Counter(frozenset(batch.tolist()) for batch in batches) == Counter(expected)
    assert waiting.tolist() == left


def test_batches_are_mixed_by_the_seed():
    size = sizes(256)
    (one, _), (same, _), (other, _) = (arranged(size, 8, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert {tuple(batch) for batch in one} == {tuple(batch) for batch in other}
    wide = [bool(size[batch[0], 1] > size[batch[0], 0]) for batch in one]
    assert sum(a != b for a, b in itertools.pairwise(wide)) >= len(wide) // 5


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [2, 3, 8])
def test_at_the_end_of_a_round_less_than_three_batches_are_left(batch_size):
    count = 40 * batch_size
    size = sizes(count, odd=1)
    kinds = np.sign(grouping.aspect_group(size))
    left_over = Counter()
    for seed in range(20):
        come = np.random.default_rng(seed).permutation(count)
        batches, left = (come[part] for part in arranged(size[come], batch_size, True, seed))
        assert sorted([*np.reshape(batches, -1), *left]) == list(range(count))
        assert len(left) <= 2 * batch_size
        assert (kinds[batches] == kinds[batches[:, :1]]).all()
        left_over.update(left.tolist())
    # No image is always among them.
    assert not left_over or max(left_over.values()) < 20


def test_the_canvas_of_any_batch_is_wide_or_high_or_nearly_square():
    size = sizes(320, odd=1)
    batches, _ = arranged(size, 8, ends=True)
    for batch in batches:
        heights, widths = size[batch].T
        assert (widths >= heights).all() or (heights >= widths).all() or (
            max(widths / heights) < 1.05 and max(heights / widths) < 1.05
        )  # fmt: skip


ROUND = 4 * 6  # batches that are read in a round


@pytest.fixture
def short_rounds(monkeypatch):
    monkeypatch.setattr(grouping, "BATCHES_PER_CHUNK", 4)
    monkeypatch.setattr(grouping, "CHUNKS_PER_ROUND", 6)
    monkeypatch.setattr(grouping, "BATCHES_PER_ROUND", ROUND - 2)


def stream(size, batch_size, first_round=0):
    """Numbers of images, without end."""
    begin = first_round * ROUND * batch_size
    data = tf.data.Dataset.range(begin, 100_000).map(tf.strings.as_string)
    shapes = tf.constant(size)

    def size_of(record):
        return shapes[tf.strings.to_number(record, tf.int32) % len(size)]

    data = grouping.grouped(data, batch_size, size_of, lambda number: number + 7, first_round)
    return data.map(lambda record: tf.strings.to_number(record, tf.int32)).batch(batch_size)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [2, 5])
def test_every_round_has_its_own_images_in_as_many_batches(short_rounds, batch_size):
    size = sizes(997)
    batches = np.stack(list(stream(size, batch_size).take(3 * (ROUND - 2)).as_numpy_iterator()))
    for number, batches_of in enumerate(np.split(batches, 3)):
        images = batches_of.reshape(-1)
        assert len(set(images.tolist())) == len(images)
        assert (images // (ROUND * batch_size) == number).all()
        begun = stream(size, batch_size, number).take(ROUND - 2).as_numpy_iterator()
        np.testing.assert_array_equal(np.stack(list(begun)), batches_of)


def test_images_wait_from_chunk_to_chunk(short_rounds):
    # One in nine is wide, so that a chunk of eight has not even two of them.
    size = np.array([[80, 80]] * 8 + [[20, 80]], np.int32)
    batches = np.stack(list(stream(size, 2).take(ROUND - 2).as_numpy_iterator()))
    wide = (batches % 9 == 8).sum(axis=1)
    assert set(wide.tolist()) == {0, 2}
    assert 4 <= wide.sum() <= 48 // 9
