"""Cuts each proposal's features out of the feature map."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from inatdet.detection import bilinear
from inatdet.detection import boxes as box_math


def crop_and_pool(
    features: tf.Tensor,
    boxes: tf.Tensor,
    image_size: tf.Tensor,
    stride: int,
    crop_size: int,
    pool_size: int,
) -> tf.Tensor:
    """Bilinear crops, then max pooling: the Object Detection API's form of RoI pooling.

    A box is placed as there: in fractions of its image, and the image's own feature map runs from
    its first cell's centre to its last one's. So an image gives the same crops alone and in a
    padded batch (but for what convolutions saw of the padding).

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
    crops = bilinear.crop(features, tf.reshape(boxes, [-1, 4]), image_index, crop_size)
    return tf.nn.max_pool2d(crops, pool_size, pool_size, "VALID")


def level_of(boxes: tf.Tensor, levels: Sequence[int], level4_size: float) -> tf.Tensor:
    """Which level of a pyramid each box is cut from: equation 1 of Lin et al., 2017.

    That is floor(4 + log2(sqrt(height * width) / level4_size)), or the nearest level there is.

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
    level4_size: float,
    crop_size: int,
    samples: int,
) -> tf.Tensor:
    """RoI alignment, each box on the level of its size: He et al., "Mask R-CNN", 2017.

    A box is divided into `crop_size x crop_size` bins, each of which becomes the mean of
    `samples x samples` bilinear samples, evenly spread. Cell i of level l stands at pixel 2^l i.
    Boxes whose samples would lie beyond their image's own cells, the last of which stands before
    the image's end, are sampled up to there: no image depends on the padding of its batch (but for
    what convolutions saw of it).

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
    # From the first sample's centre to the last one's, which `crop_and_resize` calls the box.
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
        parts.append(
            bilinear.crop(features, sampled / tf.tile(end, [2]), image, crop_size * samples)
        )
    crops = tf.dynamic_stitch(places, parts)
    return tf.nn.avg_pool2d(crops, samples, samples, "VALID")
