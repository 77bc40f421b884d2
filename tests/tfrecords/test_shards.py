"""Tests of the names of shards."""

import pytest

from inatdet.tfrecords.shards import shard_names


@pytest.mark.parametrize(
    ("images", "asked", "count"),
    [(3, 0, 3), (8, 0, 8), (866, 0, 8), (8001, 0, 9), (579_184, 0, 580), (5, 2, 2), (5, 5, 5)],
)
def test_shard_names(images, asked, count):
    names = shard_names("val", images, asked)
    assert len(names) == count
    assert names[0] == f"val-00000-of-{count:05d}.tfrecord"
