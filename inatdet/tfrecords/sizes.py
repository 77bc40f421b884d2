"""How many records each file holds, found without reading them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

import tensorflow as tf

from inatdet.errors import InputError
from inatdet.tfrecords.frames import lengths
from inatdet.tfrecords.journal import manifest_of, shard_of


def records_in(files: Sequence[str]) -> list[int]:
    """The numbers of records, of the manifest or else counted from one record's head to the next.

    Args:
        files: TFRecord files. In a damaged one, the first record whose length cannot be read
            counts, so that reading as many finds the damage.
    """
    known: dict[str, dict[str, int]] = {}
    sizes = []
    for file in files:
        split = shard_of(file)
        if split is not None and split not in known:
            known[split] = dict(_in_manifest(split))
        listed = known.get(split or "", {}).get(os.path.basename(file))
        sizes.append(_counted(file) if listed is None else listed)
    return sizes


def _in_manifest(split: str) -> Iterator[tuple[str, int]]:
    """Names and numbers of records of the shards that are as long as when they were written."""
    shards = None
    with contextlib.suppress(InputError):  # of a newer version, which need not be known here
        shards = manifest_of(split).get("files")
    for shard in shards if isinstance(shards, list) else []:
        if not isinstance(shard, dict):
            continue
        name, images, size = (shard.get(key) for key in ("file", "images", "bytes"))
        path = os.path.join(os.path.dirname(split), str(name))
        if isinstance(images, int) and os.path.exists(path) and os.path.getsize(path) == size:
            yield str(name), images


def _counted(path: str) -> int:
    with tf.io.gfile.GFile(path, "rb") if "://" in path else open(path, "rb") as file:
        return sum(1 for _ in lengths(file, tf.io.gfile.stat(path).length))
