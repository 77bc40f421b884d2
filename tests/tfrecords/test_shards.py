"""Tests of the names of shards and of reading ahead."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from inatdet.tfrecords.shards import map_ahead, shard_names


@pytest.mark.parametrize(
    ("images", "asked", "count"),
    [(3, 0, 3), (8, 0, 8), (866, 0, 8), (8001, 0, 9), (579_184, 0, 580), (5, 2, 2), (5, 5, 5)],
)
def test_shard_names(images, asked, count):
    names = shard_names("val", images, asked)
    assert len(names) == count
    assert names[0] == f"val-00000-of-{count:05d}.tfrecord"


def test_map_ahead_is_in_order_and_bounded():
    lock, state = threading.Lock(), {"started": 0, "taken": 0, "most": 0}

    def work(item):
        with lock:
            state["started"] += 1
            state["most"] = max(state["most"], state["started"] - state["taken"])
        return item * item

    results = []
    with ThreadPoolExecutor(4) as readers:
        for result in map_ahead(readers, work, range(100), 7):
            results.append(result)
            with lock:
                state["taken"] += 1
    assert results == [i * i for i in range(100)]
    assert state["most"] <= 8
