"""The boxes of records, each an example of its own for a classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from inatdet.classification import crops
from inatdet.tfrecords import examples
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.tfrecords.sampling import PART


class BoxExamples:
    """What a classifier learns from the boxes of an image, inside a graph.

    Boxes around a crowd, without a label or without area inside their image are left out; the
    others are numbered from 0.

    Args:
        lookup: gives the labels of categories.
        context: see `crops.box_windows`.
    """

    def __init__(self, lookup: LabelLookup, context: float):
        self._lookup = lookup
        self._context = context

    def one_by_one(self, data: tf.data.Dataset) -> tf.data.Dataset:
        """From images to boxes, those of an image one after another.

        Args:
            data: serialized examples.

        Returns:
            Pairs of the serialized example, which the boxes of an image share, so that shuffling
            many takes little memory, and the number of a box, int64 `[]`.
        """
        counted = data.map(
            lambda serialized: (serialized, self._count(serialized)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return counted.flat_map(
            lambda serialized, count: tf.data.Dataset.range(count).map(
                lambda number: (serialized, number)
            )
        )

    def __call__(self, serialized: tf.Tensor, number: tf.Tensor) -> dict[str, tf.Tensor]:
        """One box.

        Args:
            serialized: the example, string `[]`.
            number: of the box.

        Returns:
            `encoded` string `[]`, the JPEG of the whole image; `image_id` int64 `[]`;
            `category_id` int64 `[]` and `label` int32 `[]` of the box; and `window` int32 `[4]`,
            what holds the box and what surrounds it: top, left, height and width in pixels.
        """
        of_image, of_boxes = self._parse(serialized)
        return of_image | {name: column[number] for name, column in of_boxes.items()}

    def labels(self, serialized: tf.Tensor) -> tf.Tensor:
        """The labels of an example's boxes, int32 `[n]`."""
        _, of_boxes = self._parse(serialized)
        return of_boxes["label"]

    def _count(self, serialized: tf.Tensor) -> tf.Tensor:
        return tf.size(self.labels(serialized), tf.int64)

    def _parse(self, serialized: tf.Tensor) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """What an example says of its image, and of its boxes, one row each."""
        example = examples.decode(serialized)
        # Of the JPEG, not the recorded size, as for the boxes of a detector.
        size = tf.image.extract_jpeg_shape(example["encoded"])[:2]
        boxes = _in_pixels(example["boxes"], size)
        window, is_inside = crops.box_windows(boxes, size, self._context)
        label = self._lookup(example["category_ids"])
        kept = is_inside & (label > 0) & ~example["is_crowd"]
        columns = {"category_id": example["category_ids"], "label": label, "window": window}
        of_image = {name: example[name] for name in ("encoded", "image_id")}
        return of_image, {name: tf.boolean_mask(column, kept) for name, column in columns.items()}


@dataclass(frozen=True)
class BoxCopies:
    """Divides the examples of a stream into boxes, some of which come more often than others.

    Attributes:
        boxes: of the examples.
        factors: how often a box of each label 1, 2, ... is expected in an epoch; empty for once.
    """

    boxes: BoxExamples
    factors: tuple[float, ...] = ()

    def expected(self, serialized: tf.Tensor) -> tf.Tensor:
        """The expected boxes of a serialized example per epoch, float32 `[]`."""
        return tf.reduce_sum(self._of_boxes(serialized))

    def repeated(
        self,
        data: tf.data.Dataset,
        draw_of: Callable[[dict[str, tf.Tensor]], tf.Tensor],
    ) -> tf.data.Dataset:
        """Boxes, one by one; see `sampling.Copying`."""
        drawn = data.map(
            lambda example: (example, self._drawn(example["record"], draw_of(example))),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return drawn.flat_map(
            lambda example, numbers: tf.data.Dataset.from_tensor_slices(numbers).map(
                lambda number: example | {PART: number}
            )
        )

    def _of_boxes(self, serialized: tf.Tensor) -> tf.Tensor:
        labels = self.boxes.labels(serialized)
        if not self.factors:
            return tf.ones_like(labels, tf.float32)
        return tf.gather(tf.constant(self.factors, tf.float32), labels - 1)

    def _drawn(self, serialized: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        """The numbers of the boxes that come, int64 `[any]`, by systematic sampling."""
        factors, expected = self._of_boxes(serialized), self.expected(serialized)
        whole = tf.floor(expected)
        copies = tf.cast(whole, tf.int64) + tf.cast(draw < expected - whole, tf.int64)
        places = tf.cast(tf.range(copies), tf.float64) + tf.cast(draw, tf.float64)
        ends = tf.cumsum(tf.cast(factors, tf.float64))
        found = tf.searchsorted(ends, places, side="right", out_type=tf.int64)
        return tf.minimum(found, tf.size(ends, tf.int64) - 1)


def _in_pixels(boxes: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """From `ymin, xmin, ymax, xmax` as fractions of an image to `x, y, width, height` `[n, 4]`."""
    begin, end = tf.split(boxes * tf.tile(tf.cast(size, tf.float32), [2]), 2, axis=1)
    return tf.concat([tf.reverse(begin, [1]), tf.reverse(end - begin, [1])], axis=1)
