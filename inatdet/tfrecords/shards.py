"""Writes a shard: the file is complete or absent."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from inatdet.data.checking import OnBad
from inatdet.data.jpeg import BadFileError
from inatdet.errors import InputError
from inatdet.files import atomic_path
from inatdet.locks import only_writer_of
from inatdet.tfrecords.frames import FrameWriter
from inatdet.tfrecords.journal import Shard

IMAGES_PER_SHARD = 1000
"""By default: iNat2017's images have about 250 kB each, and shards of 100 MB or more read well."""

MIN_SHARDS = 8
"""By default, so that there is work for several readers even in a small dataset."""

_BUFFER = 1 << 20  # bytes that are written at a time


class Written(NamedTuple):
    """An image as it is written.

    Attributes:
        pieces: of its record, which is these bytes one after another.
        boxes: the number of its boxes.
        turned: whether it has an EXIF orientation, which readers ignore.
    """

    pieces: Sequence[bytes]
    boxes: int
    turned: bool


class LeftOut(NamedTuple):
    """An image that is not wanted, though its file is good.

    Attributes:
        kind: of the picture, as in "image is gray".
        image_id: the image.
    """

    kind: str
    image_id: int


def shard_names(split: str, images: int, num_shards: int = 0) -> list[str]:
    """The names of the shards of a split; there is an image for each.

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
    records: Iterator[Written | LeftOut | BadFileError],
    on_bad: OnBad,
    advance: Callable[[], object],
) -> Shard:
    """Writes one shard, completely or not at all; it is on the disk when this returns.

    Args:
        path: the file to write.
        records: what to write, or why an image is not written.
        on_bad: what to do if its file is bad.
        advance: called after each image.

    Returns:
        What was written.

    Raises:
        InputError: an image file is bad and `on_bad` is `ERROR`, or another process writes this
            shard.
    """
    images = boxes = turned = 0
    left_out: collections.Counter[str] = collections.Counter()
    left_out_ids: list[int] = []
    with (
        only_writer_of(path),
        atomic_path(path) as temporary,
        open(temporary, "wb", buffering=_BUFFER) as file,
    ):
        frames = FrameWriter(file)
        for record in records:
            advance()
            if isinstance(record, Written):
                frames.write(*record.pieces)
                images, boxes = images + 1, boxes + record.boxes
                turned += record.turned
                continue
            if isinstance(record, BadFileError) and on_bad is OnBad.ERROR:
                # Where the first image is bad, all may be, and nothing would be left.
                skip = ", or leave such images out with --on_bad=skip" if images else ""
                raise InputError(
                    f"{record}{skip}; `inatdet check` lists all such images"
                ) from record
            kind = record.problem if isinstance(record, BadFileError) else record.kind
            left_out[str(kind)] += 1
            left_out_ids.append(record.image_id)
        file.flush()
        os.fsync(file.fileno())
    return Shard(
        os.path.basename(path),
        images,
        boxes,
        frames.bytes,
        frames.crc32c,
        left_out=dict(left_out),
        left_out_ids=left_out_ids,
        turned=turned,
    )
