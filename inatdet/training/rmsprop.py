"""RMSProp as TensorFlow 1 began it, for settings made with it.

TensorFlow 1 starts the mean of squared gradients at one, `tf_keras` at zero. With an epsilon near 0
hardly anything depends on that after some ten steps, but with the epsilon of 1.0 that is usual for
Inception networks, the first steps would be up to 1.41 times as long.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import tensorflow as tf
import tf_keras
from official.modeling import optimization
from official.modeling.optimization.configs import optimizer_config

NAME = "rmsprop_from_one"
"""What settings call it, as `trainer.optimizer_config.optimizer.type`."""


class RMSPropFromOne(tf_keras.optimizers.legacy.RMSprop):
    """RMSProp whose mean of squared gradients starts at one.

    With momentum, epsilon is added below the square root, as in TensorFlow 1.
    """

    def _create_slots(self, var_list: Sequence[tf.Variable]) -> None:
        for variable in var_list:
            self.add_slot(variable, "rms", initializer="ones")
        super()._create_slots(var_list)  # which leaves slots as they are


@dataclasses.dataclass
class Optimizer(optimization.OptimizerConfig):
    """Model Garden's choice of optimizers, and this one."""

    rmsprop_from_one: optimizer_config.RMSPropConfig = dataclasses.field(
        default_factory=optimizer_config.RMSPropConfig
    )


@dataclasses.dataclass
class Optimization(optimization.OptimizationConfig):
    """Model Garden's settings of optimization with one more optimizer."""

    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)


@functools.cache
def register() -> None:
    """Makes the optimizer known to Model Garden's factory; may be called again and again."""
    optimization.optimizer_factory.register_optimizer_cls(NAME, RMSPropFromOne)
