"""The part of an image that a classifier sees, decoded and resized."""

from __future__ import annotations

import tensorflow as tf

_RATIOS = (1, 2, 4, 8)  # by which libjpeg shrinks an image while it decodes it
_LEAST_COVERED = 1 / 64  # of a pixel's height or width; boxes have decimals, of which none is near
_ATTEMPTS = 100  # before the whole image is taken [the authors' code]


def random_window(
    size: tf.Tensor,
    seed: tf.Tensor,
    area: tuple[float, float],
    aspect: tuple[float, float],
) -> tf.Tensor:
    """Draws a part of an image for training, as Szegedy et al., "Going deeper", 2015.

    Args:
        size: int32 `[2]`, height and width of the image.
        seed: int64 or int32 `[2]`.
        area: least and greatest share of the image's area.
        aspect: least and greatest ratio of the part's width to its height.

    Returns:
        int32 `[4]`: top, left, height and width in pixels; the whole image where no part fits.
    """
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.concat([size, [3]], axis=0),
        tf.zeros([1, 0, 4]),
        seed,
        min_object_covered=0.0,
        aspect_ratio_range=aspect,
        area_range=area,
        max_attempts=_ATTEMPTS,
        use_image_if_no_bounding_boxes=True,
    )
    return tf.concat([begin[:2], extent[:2]], axis=0)


def central_window(size: tf.Tensor, fraction: float) -> tf.Tensor:
    """The middle of an image.

    Args:
        size: int32 `[2]`, height and width of the image.
        fraction: of its height and of its width; 1 is the whole image.

    Returns:
        int32 `[4]`: top, left, height and width in pixels.
    """
    # The margin is rounded down, as `tf.image.central_crop` does.
    margin = tf.cast((tf.cast(size, tf.float64) * (1.0 - fraction)) / 2.0, tf.int32)
    return tf.concat([margin, size - 2 * margin], axis=0)


def box_windows(boxes: tf.Tensor, size: tf.Tensor, context: float) -> tuple[tf.Tensor, tf.Tensor]:
    """The parts of an image that hold boxes and what surrounds them.

    Args:
        boxes: float32 `[n, 4]`, `x, y, width, height` in pixels.
        size: int32 `[2]`, height and width of the image.
        context: the share of a box's width and height that is added on each of its sides.

    Returns:
        int32 `[n, 4]`: top, left, height and width in whole pixels, inside the image; and bool
        `[n]`, whether a box has some area inside the image. Of one that has none, it is the whole
        image.
    """
    size = tf.cast(size, tf.float32)
    begin, extent = tf.reverse(boxes[:, :2], [1]), tf.reverse(boxes[:, 2:], [1])
    inside = tf.minimum(begin + extent, size) - tf.maximum(begin, 0.0)
    valid = tf.reduce_all(inside > 0, axis=1)
    margin = context * extent
    # A pixel of which so little is covered is left out: otherwise rounding would decide about it,
    # and records, whose boxes are fractions of the image, would show other pixels than detections.
    first = tf.floor(tf.maximum(begin - margin, 0.0) + _LEAST_COVERED)
    last = tf.math.ceil(tf.minimum(begin + extent + margin, size) - _LEAST_COVERED)
    first = tf.minimum(first, size - 1)
    last = tf.maximum(last, first + 1)
    first = tf.where(valid[:, tf.newaxis], first, 0.0)
    last = tf.where(valid[:, tf.newaxis], last, size)
    return tf.cast(tf.concat([first, last - first], axis=1), tf.int32), valid


def part_of(window: tf.Tensor, part: tf.Tensor) -> tf.Tensor:
    """Where in the image a part of a window is: int32 `[4]`, as `part` and `window` are."""
    return tf.concat([window[:2] + part[:2], part[2:]], axis=0)


def decode(
    jpeg: tf.Tensor,
    window: tf.Tensor,
    side: int,
    shrink: bool,
    flip: tf.Tensor | None = None,
) -> tf.Tensor:
    """Decodes only a part of an image, and resizes it bilinearly to a square.

    Args:
        jpeg: string `[]`.
        window: int32 `[4]`: top, left, height and width in pixels.
        side: of the square, in pixels.
        shrink: whether libjpeg may halve the image while decoding it, once or repeatedly, as long
            as neither side of the part becomes smaller than the square: faster, and smoother than
            resizing all at once, which passes over pixels.
        flip: bool `[]`, whether left and right are exchanged; None if never.

    Returns:
        float32 `[side, side, 3]`, 0..255.
    """
    if shrink:
        least = tf.reduce_min(window[2:])
        fits = [least >= side * ratio for ratio in _RATIOS[1:]]
        part = tf.switch_case(
            tf.reduce_sum(tf.cast(fits, tf.int32)),
            [lambda r=ratio: _shrunk(jpeg, window, r) for ratio in _RATIOS],
        )
    else:
        part = _shrunk(jpeg, window, 1)
    if flip is not None:
        # Before resizing, when there are fewer bytes to move; the result is the same.
        part = tf.cond(flip, lambda: tf.reverse(part, [1]), lambda: part)
    resized = tf.image.resize(part, [side, side])
    resized.set_shape([side, side, 3])
    return resized


def _shrunk(jpeg: tf.Tensor, window: tf.Tensor, ratio: int) -> tf.Tensor:
    """A part of an image, uint8 `[height, width, 3]`."""
    # Rounded inwards: the shrunk image has a pixel for each whole block of the original.
    begin = (window[:2] + ratio - 1) // ratio
    end = (window[:2] + window[2:]) // ratio
    part = tf.concat([begin, end - begin], axis=0)
    return tf.image.decode_and_crop_jpeg(jpeg, part, channels=3, ratio=ratio)
