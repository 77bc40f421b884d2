"""One step of an optimizer on a replica's batches, whatever the task and the precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf
import tf_keras

from inatdet.training.accumulation import Batch, mean_over
from inatdet.training.averaging import Averaging


def take_step(
    batches: Sequence[Batch],
    values_of: Callable[[Batch], Sequence[tf.Tensor]],
    count: int,
    variables: Sequence[tf.Variable],
    optimizer: tf_keras.optimizers.Optimizer,
) -> list[tf.Tensor]:
    """Lowers the mean of a loss over a replica's batches; see `accumulation`.

    Args:
        batches: of this replica.
        values_of: from a batch to scalars, the loss first.
        count: the number of these scalars.
        variables: what is trained.
        optimizer: sums gradients over the replicas; in float16 it scales the loss.

    Returns:
        The mean of each scalar over the batches, before the step.
    """
    scaling = optimizer.optimizer if isinstance(optimizer, Averaging) else optimizer
    mixed = isinstance(scaling, tf_keras.mixed_precision.LossScaleOptimizer)

    def gradients_and_values(batch: Batch) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss, *others = values_of(batch)
            # The optimizer sums gradients over the replicas; the loss is the mean over them.
            scaled = loss / tf.distribute.get_strategy().num_replicas_in_sync
            scaled = scaling.get_scaled_loss(scaled) if mixed else scaled
        return [*tape.gradient(scaled, variables), loss, *others]

    means = mean_over(batches, gradients_and_values, like=[*variables, *[tf.zeros([])] * count])
    gradients, values = means[: len(variables)], means[len(variables) :]
    gradients = scaling.get_unscaled_gradients(gradients) if mixed else gradients
    optimizer.apply_gradients(zip(gradients, variables))
    return values
