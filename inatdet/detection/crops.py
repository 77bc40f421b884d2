"""Cuts each proposal's features out of the feature map."""

from __future__ import annotations

import tensorflow as tf

from inatdet.detection import bilinear


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
