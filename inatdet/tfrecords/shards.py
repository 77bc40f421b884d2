"""Writes a shard: its images are read ahead in threads, and the file is complete or absent."""

from __future__ import annotations

import collections
import concurrent.futures
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import tensorflow as tf

from inatdet.data.checking import OnBad
from inatdet.data.jpeg import BadFileError
from inatdet.errors import InputError
from inatdet.files import atomic_path
from inatdet.tfrecords.journal import Shard

IMAGES_PER_SHARD = 1000
"""By default: iNat2017's images have about 250 kB each, and shards of 100 MB or more read well."""

MIN_SHARDS = 8
"""By default, so that there is work for several readers even in a small dataset."""

_T = TypeVar("_T")
_R = TypeVar("_R")


def shard_names(split: str, images: int, num_shards: int = 0) -> list[str]:
    """The names of the shards of a split; each has at least one image.

    Args:
        split: the first part of the names.
        images: the number of images.
        num_shards: 0 for one per thousand images, but at least eight.

    Raises:
        InputError: there are fewer images than shards.
    """
    count = num_shards or min(images, max(MIN_SHARDS, -(-images // IMAGES_PER_SHARD)))
    if images < max(count, 1):
        raise InputError(f"{images} images do not fill {max(count, 1)} shards; lower --num_shards")
    return [f"{split}-{i:05d}-of-{count:05d}.tfrecord" for i in range(count)]


def map_ahead(
    readers: concurrent.futures.Executor,
    work: Callable[[_T], _R],
    items: Iterable[_T],
    limit: int,
) -> Iterator[_R]:
    """`map` in threads, in order, that never holds more than `limit` results.

    Args:
        readers: the threads.
        work: what to do with each item.
        items: what to do it with.
        limit: the most results that are computed but not yet taken.
    """
    waiting: collections.deque[concurrent.futures.Future] = collections.deque()
    try:
        for item in items:
            waiting.append(readers.submit(work, item))
            if len(waiting) >= limit:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def write_shard(
    path: str,
    examples: Iterator[tuple[bytes, int] | BadFileError],
    on_bad: OnBad,
    advance: Callable[[], object],
) -> Shard:
    """Writes one shard, completely or not at all.

    Args:
        path: the file to write.
        examples: serialized examples with their numbers of boxes, or why an image has none.
        on_bad: what to do in the latter case.
        advance: called after each image.

    Returns:
        What was written.

    Raises:
        InputError: an image file is bad and `on_bad` is `ERROR`.
    """
    images = boxes = 0
    left_out: collections.Counter[str] = collections.Counter()
    left_out_ids: list[int] = []
    with atomic_path(path) as temporary:
        with tf.io.TFRecordWriter(temporary) as writer:
            for example in examples:
                advance()
                if isinstance(example, BadFileError):
                    if on_bad is OnBad.ERROR:
                        raise InputError(
                            f"{example}, or leave such images out with --on_bad=skip"
                        ) from example
                    left_out[str(example.problem)] += 1
                    left_out_ids.append(example.image_id)
                    continue
                serialized, count = example
                writer.write(serialized)
                images, boxes = images + 1, boxes + count
        size = os.path.getsize(temporary)
    return Shard(os.path.basename(path), images, boxes, size, dict(left_out), left_out_ids)
