"""Records read inside a graph of TensorFlow; `encoding` has the other direction."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from inatdet.tfrecords import keys
from inatdet.tfrecords.keys import VERSION


def decode(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses one example, inside a graph. The image stays encoded.

    Args:
        serialized: string `[]`, a record of `encoding.encode`.

    Returns:
        `encoded` string `[]`, a JPEG; `image_id` int64 `[]`; `height` and `width` int32 `[]`, in
        pixels; `boxes` float32 `[boxes, 4]`, `ymin, xmin, ymax, xmax` as fractions of the height
        and width; `category_ids` int64 `[boxes]`, the dataset's; `is_crowd` bool `[boxes]`; `area`
        float32 `[boxes]`, in square pixels.

    Raises:
        tf.errors.InvalidArgumentError: it is not such an example, or of another version.
    """
    one, many = tf.io.FixedLenFeature, tf.io.RaggedFeature
    parsed = tf.io.parse_single_example(
        serialized,
        {
            keys.ENCODED: one([], tf.string),
            keys.SOURCE_ID: one([], tf.string),
            keys.HEIGHT: one([], tf.int64),
            keys.WIDTH: one([], tf.int64),
            **{key: many(tf.float32) for key in (*keys.BOX.values(), keys.AREA)},
            **{key: many(tf.int64) for key in (keys.CATEGORY, keys.IS_CROWD)},
            keys.VERSION_KEY: one([], tf.int64),
        },
    )
    return {
        "encoded": _of_this_version(parsed),
        "image_id": tf.strings.to_number(parsed[keys.SOURCE_ID], tf.int64),
        "height": tf.cast(parsed[keys.HEIGHT], tf.int32),
        "width": tf.cast(parsed[keys.WIDTH], tf.int32),
        "boxes": tf.stack([parsed[key] for key in keys.BOX.values()], axis=-1),
        "category_ids": parsed[keys.CATEGORY],
        "is_crowd": tf.cast(parsed[keys.IS_CROWD], tf.bool),
        "area": parsed[keys.AREA],
    }


def decode_image(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses only the image of an example and its id, inside a graph. The image stays encoded.

    Args:
        serialized: string `[]`, a record of `encoding.encode`.

    Returns:
        `encoded` string `[]`, a JPEG; and `image_id` int64 `[]`.

    Raises:
        tf.errors.InvalidArgumentError: it is not such an example, or of another version.
    """
    one = tf.io.FixedLenFeature
    parsed = tf.io.parse_single_example(
        serialized,
        {
            keys.ENCODED: one([], tf.string),
            keys.SOURCE_ID: one([], tf.string),
            keys.VERSION_KEY: one([], tf.int64),
        },
    )
    return {
        "encoded": _of_this_version(parsed),
        "image_id": tf.strings.to_number(parsed[keys.SOURCE_ID], tf.int64),
    }


def _of_this_version(parsed: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The encoded image; reading it fails if the example is of another version."""
    is_known = tf.debugging.assert_equal(parsed[keys.VERSION_KEY], tf.constant(VERSION, tf.int64))
    with tf.control_dependencies([is_known]):
        return tf.identity(parsed[keys.ENCODED])


def decode_size(serialized: tf.Tensor) -> tf.Tensor:
    """Parses only the size of an example's image, inside a graph.

    Args:
        serialized: string `[]`, a record of `encoding.encode`.

    Returns:
        Height and width in pixels, int32 `[2]`.
    """
    side = tf.io.FixedLenFeature([], tf.int64)
    parsed = tf.io.parse_single_example(serialized, {keys.HEIGHT: side, keys.WIDTH: side})
    return tf.cast(tf.stack([parsed[keys.HEIGHT], parsed[keys.WIDTH]]), tf.int32)


def decode_categories(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Parses only the categories of an example, inside a graph.

    Args:
        serialized: string `[]`, a record of `encoding.encode`.

    Returns:
        The dataset's category ids, int64 `[boxes]`; and bool `[boxes]`, whether the box is around
        a crowd.
    """
    many = tf.io.RaggedFeature(tf.int64)
    parsed = tf.io.parse_single_example(serialized, {keys.CATEGORY: many, keys.IS_CROWD: many})
    return parsed[keys.CATEGORY], tf.cast(parsed[keys.IS_CROWD], tf.bool)


def decode_image_category(serialized: tf.Tensor) -> tf.Tensor:
    """Parses only what an example shows as a whole, inside a graph.

    Args:
        serialized: string `[]`, a record of `encoding.encode`.

    Returns:
        The dataset's category id of the image, int64 `[1]`; of an image without one, that of its
        boxes, those around a crowd included, if they agree; otherwise `[0]`.
    """
    many = tf.io.RaggedFeature(tf.int64)
    parsed = tf.io.parse_single_example(
        serialized, {keys.IMAGE_CATEGORY: many, keys.CATEGORY: many}
    )
    of_image, of_boxes = parsed[keys.IMAGE_CATEGORY], tf.unique(parsed[keys.CATEGORY]).y
    known = tf.cond(tf.size(of_image) > 0, lambda: of_image, lambda: of_boxes)
    return tf.cond(tf.size(known) == 1, lambda: known, lambda: known[:0])


def is_boxed(serialized: tf.Tensor) -> tf.Tensor:
    """Whether somebody drew the boxes of an example, inside a graph.

    Args:
        serialized: string `[]`, a record of `encoding.encode`.

    Returns:
        bool `[]`; True for an image without boxes, too, if that means that no animal is in it.
    """
    unboxed = tf.io.FixedLenFeature([], tf.int64, default_value=0)
    return tf.equal(
        tf.io.parse_single_example(serialized, {keys.UNBOXED: unboxed})[keys.UNBOXED], 0
    )
