"""The boxes of records, each an example of its own for a classifier."""

from __future__ import annotations

import tensorflow as tf

from inatdet.classification import crops
from inatdet.tfrecords import examples
from inatdet.tfrecords.lookup import LabelLookup


def box_examples(data: tf.data.Dataset, lookup: LabelLookup, context: float) -> tf.data.Dataset:
    """The boxes of images, those of an image one after another.

    Boxes around a crowd, without a label or without area inside their image are left out. The boxes
    of an image share its encoded bytes, so that shuffling many takes little memory.

    Args:
        data: serialized examples, one per image.
        lookup: gives the labels of categories.
        context: see `crops.box_windows`.

    Returns:
        Examples with `encoded` string `[]`, the JPEG of the whole image; `image_id` int64 `[]`;
        `category_id` int64 `[]` and `label` int32 `[]` of the box; and `window` int32 `[4]`, what
        holds the box and what surrounds it: top, left, height and width in pixels.
    """

    def parse(serialized: tf.Tensor) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        example = examples.decode(serialized)
        # Of the JPEG, not the recorded size, as for the boxes of a detector.
        size = tf.image.extract_jpeg_shape(example["encoded"])[:2]
        window, is_inside = crops.box_windows(_in_pixels(example["boxes"], size), size, context)
        label = lookup(example["category_ids"])
        kept = is_inside & (label > 0) & ~example["is_crowd"]
        columns = {"category_id": example["category_ids"], "label": label, "window": window}
        of_image = {name: example[name] for name in ("encoded", "image_id")}
        return of_image, {name: tf.boolean_mask(column, kept) for name, column in columns.items()}

    def one_by_one(of_image: dict[str, tf.Tensor], boxes: dict[str, tf.Tensor]) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(boxes).map(lambda box: {**of_image, **box})

    return data.map(parse, tf.data.AUTOTUNE, deterministic=True).flat_map(one_by_one)


def category_of(example: dict[str, tf.Tensor]) -> tf.Tensor:
    """The category id of one of `box_examples`, int64 `[1]`."""
    return example["category_id"][tf.newaxis]


def _in_pixels(boxes: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """From `ymin, xmin, ymax, xmax` as fractions of an image to `x, y, width, height` `[n, 4]`."""
    begin, end = tf.split(boxes * tf.tile(tf.cast(size, tf.float32), [2]), 2, axis=1)
    return tf.concat([tf.reverse(begin, [1]), tf.reverse(end - begin, [1])], axis=1)
