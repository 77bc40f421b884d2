"""The order in which training sees records: a function of a seed and of how many came before.

Every input pipeline has a part of the records, as long as the others' parts to within one record.
In each epoch it reads the files of its part, or what belongs to it of them, in a new order. They
form blocks of many times the shuffle buffer, within which records are shuffled. So a run goes on
anywhere without what came before: no more than one block is read again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf

BUFFERS_PER_BLOCK = 16
"""Blocks are about so many times as long as the shuffle buffer, which empties after each."""

# What random numbers are for, so that different uses of one seed have nothing in common.
_FILES, _SHUFFLE, _COPIES, ELEMENTS, CHUNKS = range(5)

Number: TypeAlias = "int | tf.Tensor"


class Start(NamedTuple):
    """How much was seen before.

    Attributes:
        origin: images, over all pipelines, when the batches began to have their present size.
        since: images since then.
    """

    origin: int = 0
    since: int = 0

    def of_pipeline(self, pipelines: int, batch_size: int) -> tuple[int, int]:
        """For one of several pipelines: images up to the origin, and batches since then."""
        return self.origin // pipelines, self.since // (pipelines * batch_size)


BEGINNING = Start()


class Place(NamedTuple):
    """Where a pipeline begins.

    Attributes:
        epoch: from 0.
        block: of the epoch, from 0.
        images: of the block that are not to be seen again.
    """

    epoch: Number
    block: Number
    images: Number


class Pieces(NamedTuple):
    """What to read, one after another; int64 `[pieces]` each.

    Attributes:
        file: the number of the file.
        first: the number of its first record, from 0.
        count: the number of records.
        block: that they belong to.
    """

    file: tf.Tensor
    first: tf.Tensor
    count: tf.Tensor
    block: tf.Tensor


def draw_seed() -> int:
    """A seed for a run that was given none."""
    return secrets.randbelow(2**31)


@dataclass(frozen=True)
class Order:
    """The order of one pipeline's records.

    Attributes:
        sizes: the number of records of each file.
        seed: the same for all pipelines.
        block: records per block, about.
        pipelines: how many read these files.
        pipeline: which of them this is; on a worker of a cluster, a tensor.
        shuffles_files: whether each epoch reads the files in another order.
    """

    sizes: tuple[int, ...]
    seed: int
    block: int
    pipelines: int = 1
    pipeline: Number = 0
    shuffles_files: bool = True

    def pieces(self, epoch: Number) -> Pieces:
        """What an epoch reads, in this order."""
        sizes = tf.constant(self.sizes, tf.int64)
        ends, total = tf.cumsum(sizes), sum(self.sizes)
        pipeline = tf.cast(self.pipeline, tf.int64)
        low, high = total * pipeline // self.pipelines, total * (pipeline + 1) // self.pipelines
        first = tf.clip_by_value(low - (ends - sizes), 0, sizes)
        count = tf.clip_by_value(high - (ends - sizes), 0, sizes) - first
        file = tf.where(count > 0)[:, 0]
        if self.shuffles_files:
            draws = tf.random.stateless_uniform(
                tf.shape(file), self._key(_FILES, epoch), None, None, tf.int64, alg="philox"
            )
            file = tf.gather(file, tf.argsort(draws))
        first, count = tf.gather(first, file), tf.gather(count, file)
        # Blocks of nearly equal length, so that none is too short to be shuffled well.
        length = tf.reduce_sum(count)
        blocks = tf.maximum((length + self.block // 2) // self.block, 1)
        begins = tf.cumsum(count, exclusive=True)
        block = tf.unique(begins * blocks // tf.maximum(length, 1)).idx
        return Pieces(file, first, count, tf.cast(block, tf.int64))

    def shuffle_seed(self, epoch: Number, block: Number) -> tf.Tensor:
        """int64 `[]` for a block's shuffling."""
        return _drawn(self._key(_SHUFFLE, epoch, block))

    def copy_draws(self, epoch: Number, file: Number) -> tf.Tensor:
        """float32 0..1 for each record of a file: whether the epoch shows one more copy of it."""
        size = tf.gather(tf.constant(self.sizes), file)
        key = self._key(_COPIES, epoch, file)
        return tf.random.stateless_uniform(size[tf.newaxis], key, alg="philox")

    def seeds(self, purpose: int) -> Callable[[tf.Tensor], tf.Tensor]:
        """From the number of something in this pipeline to an int64 `[]`.

        Args:
            purpose: `ELEMENTS` or `CHUNKS`, which have nothing in common.
        """
        key = self._key(purpose, self.pipeline)
        return lambda number: _drawn(tf.random.fold_in(key, number, alg="philox"))

    def place_after(self, images: int, copies: Sequence[np.ndarray] | None = None) -> Place:
        """Where to go on.

        Args:
            images: that this pipeline, the number of which is known, has shown before.
            copies: of each file's records, how often an epoch shows them in expectation; None if
                each comes once.
        """
        if not images:
            return Place(0, 0, 0)
        with tf.init_scope(), tf.device("CPU:0"):  # where datasets compute, too
            epoch, left = 0, images
            if copies is None:
                part = int(tf.reduce_sum(self.pieces(0).count))
                epoch, left = divmod(images, part) if part else (0, 0)
            while True:
                pieces = Pieces(*(column.numpy() for column in self.pieces(epoch)))
                shown = self._shown(epoch, pieces, copies)
                if left < shown.sum():
                    break
                if copies is None or not any(
                    copies[file][first : first + count].any()
                    for file, first, count, _ in zip(*pieces)
                ):
                    return Place(0, 0, 0)  # nothing is ever shown
                epoch, left = epoch + 1, left - int(shown.sum())
        blocks = np.bincount(pieces.block, weights=shown, minlength=1).astype(int)
        before = np.cumsum(blocks) - blocks
        block = int(np.searchsorted(before, left, side="right")) - 1
        return Place(epoch, block, left - int(before[block]))

    def _shown(self, epoch: int, pieces: Pieces, copies: Sequence[np.ndarray] | None) -> np.ndarray:
        """How many images an epoch shows of each piece."""
        if copies is None:
            return pieces.count
        shown = []
        for file, first, count, _ in zip(*pieces):
            whole = np.floor(copies[file])
            if (whole == copies[file]).all():
                times = whole  # nothing is drawn
            else:
                times = whole + (self.copy_draws(epoch, file).numpy() < copies[file] - whole)
            shown.append(int(times[first : first + count].sum()))
        return np.array(shown, int)

    def _key(self, *numbers: Number) -> tf.Tensor:
        """The state of a random number generator, int64 `[2]`, for one purpose."""
        key = tf.constant([self.seed, 0], tf.int64)
        for number in numbers:
            key = tf.random.fold_in(key, tf.cast(number, tf.int64), alg="philox")
        return key


def _drawn(key: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform([], key, 0, 2**62, tf.int64, alg="philox")
