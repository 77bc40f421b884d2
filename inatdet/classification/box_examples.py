"""The boxes of records, each an example of its own for a classifier."""

from __future__ import annotations

import tensorflow as tf

from inatdet.classification import crops
from inatdet.tfrecords import examples
from inatdet.tfrecords.lookup import LabelLookup


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

    def category_of(self, serialized: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        """The category id of a box, int64 `[1]`; see `__call__`."""
        _, of_boxes = self._parse(serialized)
        return of_boxes["category_id"][number][tf.newaxis]

    def _count(self, serialized: tf.Tensor) -> tf.Tensor:
        _, of_boxes = self._parse(serialized)
        return tf.size(of_boxes["label"], tf.int64)

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


def _in_pixels(boxes: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """From `ymin, xmin, ymax, xmax` as fractions of an image to `x, y, width, height` `[n, 4]`."""
    begin, end = tf.split(boxes * tf.tile(tf.cast(size, tf.float32), [2]), 2, axis=1)
    return tf.concat([tf.reverse(begin, [1]), tf.reverse(end - begin, [1])], axis=1)
