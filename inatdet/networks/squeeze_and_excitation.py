"""Squeeze-and-excitation: gates on the channels of a layer's output, put into a finished network.

Source: Hu et al., "Squeeze-and-Excitation Networks", 2018.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
import tf_keras

REDUCTION = 16
"""Channels of a layer for each channel of the squeeze [Hu et al.]."""


class Excited(tf_keras.layers.Wrapper):
    """A layer with gates on the channels of its output, which are computed from their means.

    The layer gives `[batch, height, width, channels]`; its weights come first among those of both.
    """

    def build(self, input_shape: object) -> None:
        """Builds the layer, and gates for as many channels as it gives."""
        super().build(input_shape)
        channels = self.layer.compute_output_shape(input_shape)[-1]
        self.squeeze = tf_keras.layers.GlobalAveragePooling2D(keepdims=True)
        self.reduce = tf_keras.layers.Dense(
            max(1, channels // REDUCTION), activation="relu", name="reduce"
        )
        self.gate = tf_keras.layers.Dense(channels, activation="sigmoid", name="gate")
        shape = (None, 1, 1, channels)
        self.reduce.build(shape)
        self.gate.build((*shape[:-1], self.reduce.units))

    def call(self, inputs: object) -> tf.Tensor:
        """The layer's output, each channel times its gate, which is between 0 and 1."""
        features = self.layer(inputs)
        return features * self.gate(self.reduce(self.squeeze(features)))


def excited(
    network: tf_keras.Model, is_excited: Callable[[tf_keras.layers.Layer], bool]
) -> tf_keras.Model:
    """A network with the same weights and gates behind some of its layers.

    Args:
        network: a functional model.
        is_excited: whether a layer's output gets gates.

    Returns:
        A new model. Its gates are random, all other weights are those of `network`.
    """

    def copied(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        copy = layer.__class__.from_config(layer.get_config())
        return Excited(copy, name=f"{layer.name}_excited") if is_excited(layer) else copy

    model = tf_keras.models.clone_model(network, clone_function=copied)
    for layer, copy in zip(network.layers, model.layers):
        (copy.layer if isinstance(copy, Excited) else copy).set_weights(layer.get_weights())
    return model
