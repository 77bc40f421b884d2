"""Writes a shard: the file is complete or absent."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

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


class Written(NamedTuple):
    """An image as it is written.

    Attributes:
        example: serialized.
        boxes: the number of its boxes.
        turned: whether it has an EXIF orientation, which readers ignore.
    """

    example: bytes
    boxes: int
    turned: bool


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


def write_shard(
    path: str,
    examples: Iterator[Written | BadFileError],
    on_bad: OnBad,
    advance: Callable[[], object],
) -> Shard:
    """Writes one shard, completely or not at all.

    Args:
        path: the file to write.
        examples: what to write, or why an image cannot be written.
        on_bad: what to do in the latter case.
        advance: called after each image.

    Returns:
        What was written.

    Raises:
        InputError: an image file is bad and `on_bad` is `ERROR`.
    """
    images = boxes = turned = 0
    left_out: collections.Counter[str] = collections.Counter()
    left_out_ids: list[int] = []
    with atomic_path(path) as temporary:
        with tf.io.TFRecordWriter(temporary) as writer:
            for example in examples:
                advance()
                if isinstance(example, BadFileError):
                    if on_bad is OnBad.ERROR:
                        # Where the first image is bad, all may be, and nothing would be left.
                        skip = ", or leave such images out with --on_bad=skip" if images else ""
                        raise InputError(
                            f"{example}{skip}; `inatdet check` lists all such images"
                        ) from example
                    left_out[str(example.problem)] += 1
                    left_out_ids.append(example.image_id)
                    continue
                writer.write(example.example)
                images, boxes = images + 1, boxes + example.boxes
                turned += example.turned
        size = os.path.getsize(temporary)
    return Shard(os.path.basename(path), images, boxes, size, dict(left_out), left_out_ids, turned)
