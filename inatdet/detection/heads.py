"""The two heads: region proposals on the feature map, classes and boxes on each crop."""

from __future__ import annotations

import tensorflow as tf
import tf_keras


class RegionProposalHead(tf_keras.layers.Layer):
    """A 3x3 convolution with ReLU6, then 1x1 convolutions to box codes and objectness.

    Args:
        channels: of the 3x3 convolution.
        anchors_per_cell: how many anchors each feature cell has.
        initializer_stddev: of the truncated normal that all kernels start from.
    """

    def __init__(self, channels: int, anchors_per_cell: int, initializer_stddev: float, **kwargs):
        super().__init__(**kwargs)

        def conv(filters: int, size: int, activation, name: str) -> tf_keras.layers.Conv2D:
            return tf_keras.layers.Conv2D(
                filters,
                size,
                padding="same",
                activation=activation,
                kernel_initializer=tf_keras.initializers.TruncatedNormal(stddev=initializer_stddev),
                name=name,
            )

        self._conv = conv(channels, 3, tf.nn.relu6, "conv")
        self._box_codes = conv(4 * anchors_per_cell, 1, None, "box_codes")
        self._objectness = conv(2 * anchors_per_cell, 1, None, "objectness")

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores every anchor.

        Args:
            features: `[batch, rows, columns, channels]`.

        Returns:
            Box codes `[batch, anchors, 4]` and logits `[batch, anchors, 2]` (background, object),
            the anchors row by row, cell by cell; both float32.
        """
        x = self._conv(features)
        batch = tf.shape(x)[0]
        codes = tf.reshape(self._box_codes(x), [batch, -1, 4])
        logits = tf.reshape(self._objectness(x), [batch, -1, 2])
        return tf.cast(codes, tf.float32), tf.cast(logits, tf.float32)


class BoxHead(tf_keras.layers.Layer):
    """The network's last stage on each crop, the spatial mean, one dense layer each way.

    Args:
        stage: a model from crops `[crops, size, size, channels]` to features.
        num_classes: labels without the background.
    """

    def __init__(self, stage: tf_keras.Model, num_classes: int, **kwargs):
        super().__init__(**kwargs)
        self._stage = stage
        self._num_classes = num_classes

        def dense(units: int, name: str) -> tf_keras.layers.Dense:
            initializer = tf_keras.initializers.VarianceScaling(
                scale=1.0, mode="fan_avg", distribution="uniform"
            )
            return tf_keras.layers.Dense(
                units, kernel_initializer=initializer, dtype=tf.float32, name=name
            )

        self._classes = dense(num_classes + 1, "classes")
        self._boxes = dense(4 * num_classes, "boxes")

    def call(self, crops: tf.Tensor, training: bool | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Classifies crops and refines their boxes.

        Args:
            crops: `[crops, size, size, channels]`.
            training: whether batch norm, where it is trained, uses the batch's statistics.

        Returns:
            Logits `[crops, classes + 1]`, the background first, and box codes
            `[crops, classes, 4]`; both float32.
        """
        x = tf.cast(self._stage(crops, training=training), tf.float32)
        x = tf.reduce_mean(x, axis=[1, 2])
        return self._classes(x), tf.reshape(self._boxes(x), [-1, self._num_classes, 4])
