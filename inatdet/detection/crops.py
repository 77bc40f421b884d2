"""Cuts the features of each proposal out of a feature map or a pyramid."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from inatdet.detection import boxes as box_math


def crop_and_pool(
    features: tf.Tensor,
    boxes: tf.Tensor,
    image_size: tf.Tensor,
    *,
    stride: int,
    crop_size: int,
    pool_size: int,
) -> tf.Tensor:
    """Bilinear crops, then max pooling: the Object Detection API's form of RoI pooling.

    A box is placed as in that API: in fractions of its image, whose own feature map extends from
    the center of its first cell to that of its last one. So an image gives the same crops alone and
    in a padded batch (apart from what convolutions saw of the padding).

    Args:
        features: `[batch, rows, columns, channels]`.
        boxes: `[batch, n, 4]`, `ymin, xmin, ymax, xmax` in pixels.
        image_size: `[batch, 2]`, height and width without padding.
        stride: pixels between feature cells.
        crop_size: height and width of the bilinear crops, in samples.
        pool_size: side and stride of the max pooling.

    Returns:
        `[batch * n, crop_size / pool_size, crop_size / pool_size, channels]`, the boxes of the
        first image first.
    """
    shape = tf.shape(boxes)
    rows_and_columns = -(-image_size // stride)  # of each image, without padding
    used = tf.cast(rows_and_columns - 1, tf.float32)
    # A map of one row has its only sample at 0, whatever the box.
    padded = tf.cast(tf.maximum(tf.shape(features)[1:3] - 1, 1), tf.float32)
    scale = used / (padded * tf.cast(image_size, tf.float32))
    boxes = boxes * tf.tile(scale, [1, 2])[:, tf.newaxis, :]
    image_index = tf.repeat(tf.range(shape[0]), shape[1])
    crops = crop(features, tf.reshape(boxes, [-1, 4]), image_index, crop_size)
    return tf.nn.max_pool2d(crops, pool_size, pool_size, "VALID")


def level_of(boxes: tf.Tensor, levels: Sequence[int], level4_size: float) -> tf.Tensor:
    """Which level of a pyramid each box is cut from: equation 1 of Lin et al., 2017.

    That is floor(4 + log2(sqrt(height * width) / level4_size)), or the nearest existing level.

    Args:
        boxes: `[..., 4]`, `ymin, xmin, ymax, xmax` in pixels.
        levels: consecutive, the finest first.
        level4_size: side of the smallest square that is cut from level 4, in pixels.

    Returns:
        int32 `[...]`, indices into `levels`.
    """
    smallest = [(level4_size * 2.0 ** (level - 4)) ** 2 for level in levels[1:]]
    reached = box_math.area(boxes)[..., tf.newaxis] >= tf.constant(smallest, tf.float32)
    return tf.reduce_sum(tf.cast(reached, tf.int32), axis=-1)


def crop_from_pyramid(
    pyramid: Sequence[tf.Tensor],
    levels: Sequence[int],
    boxes: tf.Tensor,
    image_size: tf.Tensor,
    *,
    level4_size: float,
    crop_size: int,
    samples: int,
) -> tf.Tensor:
    """RoI alignment, each box on the level of its size: He et al., "Mask R-CNN", 2017.

    A box is divided into `crop_size x crop_size` bins, each of which becomes the mean of
    `samples x samples` bilinear samples, evenly spread. Cell i of level l is at pixel 2^l i. The
    last of an image's own cells lies before the image's end; samples beyond it are taken there, so
    that no image depends on the padding of its batch (apart from what convolutions saw of it).

    Args:
        pyramid: `[batch, rows, columns, channels]` of each level.
        levels: consecutive, the finest first.
        boxes: `[batch, n, 4]`, `ymin, xmin, ymax, xmax` in pixels.
        image_size: `[batch, 2]`, height and width without padding.
        level4_size: see `level_of`.
        crop_size: height and width of the crops, in bins.
        samples: height and width of a bin, in samples.

    Returns:
        `[batch * n, crop_size, crop_size, channels]`, the boxes of the first image first.
    """
    shape = tf.shape(boxes)
    image_index = tf.repeat(tf.range(shape[0]), shape[1])
    boxes = tf.reshape(boxes, [-1, 4])
    chosen = level_of(boxes, levels, level4_size)
    # From the center of the first sample to that of the last, which `crop_and_resize` calls a box.
    inset = (boxes[:, 2:] - boxes[:, :2]) / (2 * crop_size * samples)
    centres = tf.concat([boxes[:, :2] + inset, boxes[:, 2:] - inset], axis=1)
    places, parts = [], []
    for index, (level, features) in enumerate(zip(levels, pyramid)):
        place = tf.cast(tf.where(chosen == index)[:, 0], tf.int32)
        image = tf.gather(image_index, place)
        own_cells = -(-tf.gather(image_size, image) // 2**level)
        last = tf.tile(tf.cast(own_cells - 1, tf.float32), [1, 2])
        sampled = tf.clip_by_value(tf.gather(centres, place) / 2**level, 0.0, last)
        # A map of one row has its only sample at 0, whatever the box.
        end = tf.cast(tf.maximum(tf.shape(features)[1:3] - 1, 1), tf.float32)
        places.append(place)
        parts.append(crop(features, sampled / tf.tile(end, [2]), image, crop_size * samples))
    crops = tf.dynamic_stitch(places, parts)
    return tf.nn.avg_pool2d(crops, samples, samples, "VALID")


def crop(features: tf.Tensor, boxes: tf.Tensor, image_index: tf.Tensor, size: int) -> tf.Tensor:
    """`tf.image.crop_and_resize`, in any float type, with a gradient for the features only.

    Args:
        features: `[batch, rows, columns, channels]`.
        boxes: `[n, 4]`, `ymin, xmin, ymax, xmax`; 0 is the first cell's center, 1 the last's.
        image_index: int32 `[n]`, the image of each box.
        size: height and width of the crops, in samples.

    Returns:
        `[n, size, size, channels]`.
    """

    @tf.custom_gradient
    def cut(features):
        crops = tf.image.crop_and_resize(features, boxes, image_index, [size, size])
        return crops, lambda of_crops: _gradient(of_crops, features, boxes, image_index, size)

    # In float32: the operation does not accept bfloat16, and its gradient sums over many crops.
    return tf.cast(cut(tf.cast(features, tf.float32)), features.dtype)


def _gradient(
    of_crops: tf.Tensor, features: tf.Tensor, boxes: tf.Tensor, image_index: tf.Tensor, size: int
) -> tf.Tensor:
    batch, rows, columns, channels = tf.unstack(tf.shape(features))
    # A crop is Y F X^T; so the gradient for F is the sum of Y^T G X over an image's crops.
    by_row = _weights(boxes[:, 0::2], rows, size)
    by_column = _weights(boxes[:, 1::2], columns, size)

    def of_image(index: tf.Tensor) -> tf.Tensor:
        own = tf.where(image_index == index)[:, 0]
        column_weights = tf.gather(by_column, own)[:, tf.newaxis]
        spread = tf.matmul(column_weights, tf.gather(of_crops, own), transpose_a=True)
        # One product for all rows of all crops, which sums over the crops.
        row_weights = tf.reshape(tf.gather(by_row, own), [-1, rows])
        spread = tf.reshape(spread, [-1, columns * channels])
        return tf.reshape(
            tf.matmul(row_weights, spread, transpose_a=True), [rows, columns, channels]
        )

    images = tf.map_fn(
        of_image, tf.range(batch), fn_output_signature=tf.float32, parallel_iterations=1
    )
    return tf.ensure_shape(images, features.shape)


def _weights(ends: tf.Tensor, cells: tf.Tensor, samples: int) -> tf.Tensor:
    """The weight of each cell of a line in each sample: `[n, samples, cells]`.

    The operation itself gives them, from a column of cells that have a channel each.
    """
    column = tf.eye(cells)[tf.newaxis, :, tf.newaxis, :]
    zero = tf.zeros_like(ends[:, 0])
    boxes = tf.stack([ends[:, 0], zero, ends[:, 1], zero], axis=1)
    image_index = tf.zeros_like(zero, tf.int32)
    return tf.image.crop_and_resize(column, boxes, image_index, [samples, 1])[:, :, 0]
