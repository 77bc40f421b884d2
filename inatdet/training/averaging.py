"""Averages of a model's weights over the steps of training, which are better than the weights.

Training goes on with the weights; validations and everything that applies a model use the averages.
They are saved with the optimizer, in every checkpoint.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras
from official.modeling.optimization import ema_optimizer

from inatdet.networks import checkpoints

_SLOT = "average"  # what Model Garden calls the averages in checkpoints


class Averaging(ema_optimizer.ExponentialMovingAverage):
    """Model Garden's averages, around any optimizer, that of float16 included.

    They begin with the weights, as TensorFlow 1's, and they are exchanged with the weights exactly:
    Model Garden's begin with zeros, and adding and subtracting changes the last digits.
    """

    def shadow_copy(self, model: tf_keras.Model) -> None:
        """Creates the averages of a model's weights, except those of frozen layers."""
        weights = model.trainable_variables if self._trainable_weights_only else model.variables
        frozen = {
            id(weight)
            for layer in model.submodules
            if isinstance(layer, tf_keras.layers.Layer) and not layer.trainable
            for weight in layer.weights
        }
        self._model_weights = [weight for weight in weights if id(weight) not in frozen]
        for weight in self._model_weights:
            self.add_slot(weight, _SLOT, initializer="zeros")
        self._average_weights = [self.get_slot(weight, _SLOT) for weight in self._model_weights]
        self.begin()

    def begin(self) -> None:
        """Makes the averages those of a single step: the weights."""
        for average, weight in zip(self._average_weights, self._model_weights):
            average.assign(weight)

    def swap_weights(self) -> None:
        """Exchanges averages and weights; twice, it changes nothing."""
        for average, weight in zip(self._average_weights, self._model_weights):
            kept = tf.identity(weight)
            weight.assign(average)
            average.assign(kept)

    @property
    def learning_rate(self) -> object:
        """That of the optimizer."""
        return self._optimizer.learning_rate

    @property
    def optimizer(self) -> tf_keras.optimizers.Optimizer:
        """The one that takes the steps."""
        return self._optimizer


def begin(optimizer: tf_keras.optimizers.Optimizer) -> None:
    """Makes averages the weights, if an optimizer has averages: after weights have been read."""
    if isinstance(optimizer, Averaging):
        optimizer.begin()


def restore(model: tf_keras.Model, checkpoint: str) -> bool:
    """Reads the averages of a checkpoint's weights into a model, or the weights if it has none.

    Args:
        model: built with the settings that the checkpoint was trained with.
        checkpoint: its path, without extension.

    Returns:
        Whether it has averages.

    Raises:
        InputError: if there is no such checkpoint, or it is of another model or format version.
    """
    checkpoints.restore(model, checkpoint)
    mark = f".OPTIMIZER_SLOT/optimizer/{_SLOT}/"
    if not any(mark in name for name, _ in tf.train.list_variables(checkpoint)):
        return False
    holder = Averaging(tf_keras.optimizers.legacy.SGD(), trainable_weights_only=False)
    holder.shadow_copy(model)  # what has no average, frozen statistics for one, keeps its weight
    tf.train.Checkpoint(model=model, optimizer=holder).read(checkpoint).expect_partial()
    holder.swap_weights()
    return True
