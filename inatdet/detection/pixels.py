"""The pixels of images, as the detector sees them: decoded, flipped, resized by the short edge."""

from __future__ import annotations

import tensorflow as tf


def resized_shape(
    height: tf.Tensor | int, width: tf.Tensor | int, short_edge: int, long_edge: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """The size of a resized image: the Object Detection API's `keep_aspect_ratio_resizer`.

    The shorter side becomes `short_edge`, unless the longer one would exceed `long_edge`; then the
    longer one becomes `long_edge`. Computed in float32 and rounded half to even, step by step as in
    `_compute_new_dynamic_size` of research/object_detection/core/preprocessor.py, except that no
    side becomes less than one pixel.

    Args:
        height: int32, pixels, of any shape.
        width: int32, pixels, of the same shape.
        short_edge: pixels.
        long_edge: pixels.

    Returns:
        Height and width, int32, of that shape.
    """
    size = tf.cast(tf.stack([height, width]), tf.float32)
    by_short = tf.round(size * (float(short_edge) / tf.reduce_min(size, axis=0)))
    by_long = tf.round(size * (float(long_edge) / tf.reduce_max(size, axis=0)))
    chosen = tf.where(tf.reduce_max(by_short, axis=0) > long_edge, by_long, by_short)
    new_height, new_width = tf.unstack(tf.maximum(tf.cast(chosen, tf.int32), 1))
    return new_height, new_width


def original_sizes(encoded: tf.Tensor) -> tf.Tensor:
    """Heights and widths of JPEGs, of which only the headers are read.

    Args:
        encoded: string `[n]`.

    Returns:
        int32 `[n, 2]`.
    """
    return tf.map_fn(
        lambda jpeg: tf.image.extract_jpeg_shape(jpeg)[:2],
        encoded,
        fn_output_signature=tf.TensorSpec([2], tf.int32),
    )


def resized_sizes(original: tf.Tensor, short_edge: int, long_edge: int) -> tf.Tensor:
    """Heights and widths after resizing; see `resized_shape`.

    Args:
        original: heights and widths, int32 `[n, 2]`.
        short_edge: pixels.
        long_edge: pixels.

    Returns:
        int32 `[n, 2]`.
    """
    height, width = tf.unstack(original, axis=-1)
    return tf.stack(resized_shape(height, width, short_edge, long_edge), axis=-1)


def decode(jpeg: tf.Tensor, flip: tf.Tensor, may_flip: bool) -> tf.Tensor:
    """One image, uint8 `[height, width, 3]`.

    Args:
        jpeg: string `[]`.
        flip: bool `[]`, whether left and right are exchanged.
        may_flip: whether `flip` counts.
    """
    image = tf.io.decode_jpeg(jpeg, channels=3)
    if may_flip:
        # Before resizing, when there are fewer bytes to move; the result is the same.
        image = tf.cond(flip, lambda: tf.reverse(image, [1]), lambda: image)
    return image


def resize_together(
    encoded: tf.Tensor, flips: tf.Tensor, size: tf.Tensor, may_flip: bool
) -> tf.Tensor:
    """Several images of one size, resized at once.

    Args:
        encoded: JPEGs, string `[n]`.
        flips: bool `[n]`, whether they are flipped.
        size: height and width after resizing, int32 `[2]`.
        may_flip: whether `flips` counts.

    Returns:
        float32 `[n, height, width, 3]`, 0..255.
    """
    images = tf.map_fn(
        lambda one: decode(one[0], one[1], may_flip),
        (encoded, flips),
        fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8),
    )
    return tf.image.resize(images, size)


def resize_and_pad(
    encoded: tf.Tensor, flips: tf.Tensor, size: tf.Tensor, may_flip: bool
) -> tf.Tensor:
    """Several images, each resized, padded with zeros to the size of the largest.

    Args:
        encoded: JPEGs, string `[n]`.
        flips: bool `[n]`, whether they are flipped.
        size: heights and widths after resizing, int32 `[n, 2]`.
        may_flip: whether `flips` counts.

    Returns:
        float32 `[n, height, width, 3]`, 0..255.
    """
    canvas = tf.reduce_max(size, axis=0)

    def one(args: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        jpeg, flip, own_size = args
        image = tf.image.resize(decode(jpeg, flip, may_flip), own_size)
        missing = canvas - own_size
        return tf.pad(image, [[0, missing[0]], [0, missing[1]], [0, 0]])

    return tf.map_fn(
        one,
        (encoded, flips, size),
        fn_output_signature=tf.TensorSpec([None, None, 3], tf.float32),
    )
