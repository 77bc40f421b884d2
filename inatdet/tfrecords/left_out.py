"""Damaged records that training leaves out, counted and named.

A JPEG that cannot be decoded costs one image. A damaged frame costs the rest of its file: where the
next record begins is known only from the one before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from inatdet.tfrecords import examples

_NAMED = 3
_TRIED_AT_ONCE = 16
_SCALE = 8  # of the trial decoding, which reads all of a JPEG but computes few pixels

Example = dict[str, tf.Tensor]
"""`record` string, serialized; `file` and `number` int64, both from 0: where it is; `[]` each."""


class LeftOut:
    """Leaves damaged records out of a dataset, and knows which these were.

    It works in the process that reads, not in others of a cluster.
    """

    def __init__(self) -> None:
        self._files: Sequence[str] = ()
        self._most = 0
        self._lost: dict[tuple[int, int], int] = {}  # images, by file and record
        self._ends: set[tuple[int, int]] = set()

    def begin(self, files: Sequence[str], most: int) -> None:
        """Begins to count.

        Args:
            files: the paths of the TFRecord files, in the order of their numbers.
            most: how many images may be left out.
        """
        self._files, self._most = files, most

    @property
    def count(self) -> int:
        """The number of images that were left out so far, each counted once."""
        return sum(self._lost.values())

    def __str__(self) -> str:
        """For example "train-00000-of-00008.tfrecord: record 5 cannot be decoded as a JPEG"."""
        named = [self._sentence(*place) for place in sorted(self._lost)[:_NAMED]]
        more = len(self._lost) - len(named)
        return "; ".join(named) + (f"; and {more} more" if more else "")

    def without_bad_images(self, data: tf.data.Dataset) -> tf.data.Dataset:
        """Examples without those whose JPEG cannot be decoded."""
        tried = data.interleave(
            _tried,
            cycle_length=_TRIED_AT_ONCE,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        alone = tf.constant(0, tf.int64)
        whole = tried.filter(
            lambda one, is_whole: (
                is_whole | self._noted(~is_whole, one["file"], one["number"], alone)
            )
        )
        return whole.map(lambda example, _: example)

    def up_to_damage(
        self, data: tf.data.Dataset, file: tf.Tensor, first: tf.Tensor, end: tf.Tensor
    ) -> tf.data.Dataset:
        """Examples of one file up to its end, or to a damaged frame.

        Args:
            data: examples, without what cannot be read.
            file: the number of the file.
            first: the number of the first record.
            end: the number of the record after the last, if all can be read.
        """
        after = {"record": "", "file": file, "number": tf.constant(-1, tf.int64)}

        def step(
            expected: tf.Tensor, example: Example
        ) -> tuple[tf.Tensor, tuple[Example, tf.Tensor]]:
            is_after = example["number"] < 0
            self._noted(is_after & (expected < end), file, expected, end - expected)
            return expected + 1, (example, ~is_after)

        read = data.concatenate(tf.data.Dataset.from_tensors(after)).scan(first, step)
        return read.filter(lambda _, is_read: is_read).map(lambda example, _: example)

    def _noted(
        self, is_damaged: tf.Tensor, file: tf.Tensor, number: tf.Tensor, rest: tf.Tensor
    ) -> tf.Tensor:
        """False; damage is noted when this is computed.

        Args:
            is_damaged: whether there is damage.
            file: the number of the file.
            number: of the first record that is lost.
            rest: how many are lost, up to the end of the file; 0 for an image alone.
        """
        noted = tf.cond(
            is_damaged,
            lambda: tf.numpy_function(self._note, [file, number, rest], tf.bool),
            lambda: False,
        )
        return tf.ensure_shape(noted, [])

    def _note(self, file: np.int64, number: np.int64, rest: np.int64) -> np.bool_:
        place = int(file), int(number)
        self._lost[place] = max(int(rest), 1)
        if rest:
            self._ends.add(place)
        if self.count > self._most:
            raise ValueError("too many damaged records")  # which becomes an error of the dataset
        return np.False_

    def _sentence(self, file: int, number: int) -> str:
        if (file, number) in self._ends:
            return f"{self._files[file]}: damaged after {number} records, the rest is not read"
        return f"{self._files[file]}: the image of record {number + 1} cannot be decoded as a JPEG"


def _tried(example: Example) -> tf.data.Dataset:
    """An example, and whether its JPEG can be decoded: in a dataset, where errors can be caught."""

    def decoded(example: Example) -> tuple[Example, tf.Tensor]:
        jpeg = examples.decode_image(example["record"])["encoded"]
        return example, tf.size(tf.io.decode_jpeg(jpeg, channels=3, ratio=_SCALE)) > 0

    whole = tf.data.Dataset.from_tensors(example).map(decoded).ignore_errors()
    return whole.concatenate(tf.data.Dataset.from_tensors((example, False))).take(1)
