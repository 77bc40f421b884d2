"""Bilinear crops whose gradient is the same every time.

TensorFlow's own gradient of `tf.image.crop_and_resize` adds up overlapping crops in several threads
without a lock, so that on a CPU some of the sums get lost: of 30 gradients of 64 crops from a map
of 38 x 50 cells, 4 were wrong in some cell (2 threads, TensorFlow 2.20; tensorflow/tensorflow#42033
tells of it). `enable_op_determinism` mends that on the CPU, but refuses the gradient on a GPU. Here
it is a product of matrices.
"""

from __future__ import annotations

import tensorflow as tf


def crop(features: tf.Tensor, boxes: tf.Tensor, image_index: tf.Tensor, size: int) -> tf.Tensor:
    """`tf.image.crop_and_resize`, in any float type, with a gradient for the features alone.

    Args:
        features: `[batch, rows, columns, channels]`.
        boxes: `[n, 4]`, `ymin, xmin, ymax, xmax`; 0 is the first cell's centre, 1 the last one's.
        image_index: int32 `[n]`, the image of each box.
        size: height and width of the crops, in samples.

    Returns:
        `[n, size, size, channels]`.
    """

    @tf.custom_gradient
    def cut(features):
        crops = tf.image.crop_and_resize(features, boxes, image_index, [size, size])
        return crops, lambda of_crops: _gradient(of_crops, features, boxes, image_index, size)

    # In float32, because the operation takes no bfloat16, and its gradient sums over many crops.
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
    """What each sample of a line takes from each cell: `[n, samples, cells]`.

    The operation itself tells, from a column of cells each with a channel of its own.
    """
    column = tf.eye(cells)[tf.newaxis, :, tf.newaxis, :]
    zero = tf.zeros_like(ends[:, 0])
    boxes = tf.stack([ends[:, 0], zero, ends[:, 1], zero], axis=1)
    image_index = tf.zeros_like(zero, tf.int32)
    return tf.image.crop_and_resize(column, boxes, image_index, [samples, 1])[:, :, 0]
