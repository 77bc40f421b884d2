"""The two heads: region proposals on the feature map, classes and boxes on each crop."""

from __future__ import annotations

import math

import tensorflow as tf
import tf_keras

from inatdet.detection import boxes as box_math


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
    """The network's last stage on each crop, the spatial mean, a dense layer for each output.

    Args:
        stage: a model from crops `[crops, size, size, channels]` to features.
        num_classes: labels without the background.
        class_agnostic_boxes: whether one regressor refines boxes, whatever their class.
        position_sensitive_boxes: whether regressors see each cell of the stage's output, instead
            of the mean over the cells.
        separate_objectness: whether animal or background is one factor of the probabilities, and
            the class of an animal another, each with weights of its own.
    """

    def __init__(
        self,
        stage: tf_keras.Model,
        num_classes: int,
        *,
        class_agnostic_boxes: bool = False,
        position_sensitive_boxes: bool = False,
        separate_objectness: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._stage = stage
        self._cells_for_boxes = position_sensitive_boxes
        self._num_regressors = 1 if class_agnostic_boxes else num_classes

        def dense(units: int, name: str) -> tf_keras.layers.Dense:
            initializer = tf_keras.initializers.VarianceScaling(
                scale=1.0, mode="fan_avg", distribution="uniform"
            )
            return tf_keras.layers.Dense(
                units, kernel_initializer=initializer, dtype=tf.float32, name=name
            )

        self._objectness = dense(1, "objectness") if separate_objectness else None
        self._classes = dense(num_classes + (0 if separate_objectness else 1), "classes")
        self._boxes = dense(4 * self._num_regressors, "boxes")

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the weights of all dense layers; `call` does not use that of the boxes."""
        *cells, channels = self._stage.compute_output_shape(input_shape)[1:]
        cells_for_boxes = math.prod(cells) if self._cells_for_boxes else 1
        for layer in filter(None, (self._objectness, self._classes, self._boxes)):
            with tf.name_scope(layer.name):
                layer.build([None, channels * (cells_for_boxes if layer is self._boxes else 1)])
        super().build(input_shape)

    def call(self, crops: tf.Tensor, training: bool | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Classifies crops.

        Args:
            crops: `[crops, size, size, channels]`.
            training: whether batch norm, where it is trained, uses the batch's statistics.

        Returns:
            Logits `[crops, classes + 1]`, the background first, and the features that box codes are
            computed from, `[crops, features]`; both float32. With a separate objectness the logits
            are log-probabilities, whose softmax they are again: so what becomes of them, losses
            included, need not know of the factors.
        """
        cells = tf.cast(self._stage(crops, training=training), tf.float32)
        x = tf.reduce_mean(cells, axis=[1, 2])
        logits = self._classes(x)
        if self._objectness is not None:
            animal = self._objectness(x)
            given_animal = tf.nn.log_softmax(logits)
            logits = tf.concat(
                [tf.math.log_sigmoid(-animal), tf.math.log_sigmoid(animal) + given_animal], axis=-1
            )
        if self._cells_for_boxes:
            # Sums over the cells become means, so that outputs and gradients are about as large.
            shape = cells.shape[1:]
            x = tf.reshape(cells / math.prod(shape[:2]), [-1, math.prod(shape)])
        return logits, x

    def box_codes(self, features: tf.Tensor) -> tf.Tensor:
        """Refines the boxes of crops for every class.

        Args:
            features: `[..., features]`, of `call`.

        Returns:
            float32 `[..., classes, 4]`, or `[..., 1, 4]` where one regressor serves all classes.
        """
        codes = self._boxes(tf.reshape(features, [-1, features.shape[-1]]))
        lead = tf.shape(features)[:-1]
        return tf.reshape(codes, tf.concat([lead, [self._num_regressors, 4]], axis=0))

    def box_codes_of_labels(self, features: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Refines the box of each crop for one class.

        Args:
            features: `[batch, n, features]`, of `call`.
            labels: int32 `[batch, n]`, from 1; with 0, the background's, the result is arbitrary.

        Returns:
            float32 `[batch, n, 4]`.
        """
        codes = self.box_codes(features)
        if self._num_regressors == 1:
            return codes[:, :, 0]
        return tf.gather(codes, tf.maximum(labels - 1, 0), batch_dims=2)

    def box_codes_of_pairs(
        self, features: tf.Tensor, crops: tf.Tensor, classes: tf.Tensor
    ) -> tf.Tensor:
        """Refines the boxes of some crops for some classes; with thousands of classes, much faster.

        Args:
            features: `[batch, n, features]`, of `call`.
            crops: int32 `[batch, pairs]`, which of the n.
            classes: int32 `[batch, pairs]`, from 0.

        Returns:
            float32 `[batch, pairs, 4]`.
        """
        if self._num_regressors == 1:
            codes, place = self.box_codes(features), tf.zeros_like(classes)
        elif classes.shape[1] >= self._num_regressors:
            codes, place = self.box_codes(features), classes
        else:
            # One product with the columns of the classes that occur, in their order, which suits
            # the memory. A product for each pair has fewer operations, but more columns to fetch.
            flat = tf.reshape(classes, [-1])
            occurring, _ = tf.unique(tf.sort(flat))
            kernel = tf.reshape(self._boxes.kernel, [-1, self._num_regressors, 4])
            bias = tf.reshape(self._boxes.bias, [-1, 4])
            codes = tf.tensordot(features, tf.gather(kernel, occurring, axis=1), axes=1)
            codes += tf.gather(bias, occurring)
            place = tf.reshape(tf.searchsorted(occurring, flat), tf.shape(classes))
        return box_math.of_pairs(codes, crops, place)
