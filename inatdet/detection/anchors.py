"""Anchors: boxes of fixed sizes and shapes around every feature cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def cell_anchors(base: float, scales: Sequence[float], ratios: Sequence[float]) -> np.ndarray:
    """The anchors around a cell at the origin.

    With scale s and ratio r (width over height): h = s / sqrt(r) * base, w = s * sqrt(r) * base, as
    in the Object Detection API's grid anchor generator.

    Args:
        base: the side of the anchor of scale 1 and ratio 1, in pixels.
        scales: factors on the side.
        ratios: widths over heights.

    Returns:
        float32 `[len(ratios) * len(scales), 4]`, `ymin, xmin, ymax, xmax` in pixels; all scales of
        the first ratio come first.
    """
    ratio, scale = (grid.ravel() for grid in np.meshgrid(ratios, scales, indexing="ij"))
    half_height = scale / np.sqrt(ratio) * base / 2
    half_width = scale * np.sqrt(ratio) * base / 2
    return np.stack([-half_height, -half_width, half_height, half_width], axis=-1).astype(
        np.float32
    )


def grid_anchors(cell: np.ndarray, feature_shape: tf.Tensor, stride: int) -> tf.Tensor:
    """The anchors of a whole feature map; cell (i, j) is centered at pixel (stride i, stride j).

    Args:
        cell: `[anchors per cell, 4]`, of `cell_anchors`.
        feature_shape: int32 `[2]`, rows and columns of the feature map.
        stride: pixels from one cell to the next.

    Returns:
        float32 `[rows * columns * anchors per cell, 4]`, `ymin, xmin, ymax, xmax` in pixels: row by
        row, cell by cell.
    """
    rows = tf.range(feature_shape[0], dtype=tf.float32) * stride
    columns = tf.range(feature_shape[1], dtype=tf.float32) * stride
    y, x = tf.meshgrid(rows, columns, indexing="ij")
    centers = tf.stack([y, x, y, x], axis=-1)[:, :, tf.newaxis, :]
    return tf.reshape(centers + cell, [-1, 4])


def inside_image(anchors: tf.Tensor, image_size: tf.Tensor) -> tf.Tensor:
    """Which anchors lie wholly inside each image.

    Args:
        anchors: `[anchors, 4]`, `ymin, xmin, ymax, xmax` in pixels.
        image_size: `[batch, 2]`, height and width without padding.

    Returns:
        bool `[batch, anchors]`.
    """
    (ymin, xmin, ymax, xmax), (height, width) = _side_by_side(anchors, image_size)
    return (ymin >= 0) & (xmin >= 0) & (ymax <= height) & (xmax <= width)


def centered_inside_image(anchors: tf.Tensor, image_size: tf.Tensor) -> tf.Tensor:
    """Which anchors have their centers inside each image, and not in its padding.

    Args:
        anchors: `[anchors, 4]`, `ymin, xmin, ymax, xmax` in pixels.
        image_size: `[batch, 2]`, height and width without padding.

    Returns:
        bool `[batch, anchors]`.
    """
    (ymin, xmin, ymax, xmax), (height, width) = _side_by_side(anchors, image_size)
    return ((ymin + ymax) / 2 < height) & ((xmin + xmax) / 2 < width)


def _side_by_side(
    anchors: tf.Tensor, image_size: tf.Tensor
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """The sides of anchors, `[1, anchors]` each, and of images, `[batch, 1]`, for comparison."""
    sizes = tf.cast(image_size, anchors.dtype)[:, tf.newaxis]
    return tf.unstack(anchors[tf.newaxis], axis=-1), tf.unstack(sizes, axis=-1)
