"""Gradient accumulation: one optimizer step from several batches, one of them in memory at a time.

The gradient of a step's loss is the mean of its batches' gradients, since every image has its own
normalizers in the losses and every training batch is full. Each replica sums its own batches; the
optimizer reduces over replicas once, and clips the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf
from official.core import base_trainer

from inatdet.training import averaging

Batch = dict[str, tf.Tensor]


class AccumulatingTrainer(base_trainer.Trainer):
    """Model Garden's trainer, but with `task.accumulate_steps` batches per step."""

    def next_train_inputs(self, iterator) -> tuple[Batch, ...]:
        """The batches of the next step."""
        return tuple(next(iterator) for _ in range(self.config.task.accumulate_steps))

    def initialize(self) -> None:
        """Loads the weights that training starts from, where no checkpoint is resumed."""
        super().initialize()
        averaging.begin(self.optimizer)


def mean_over(
    batches: Sequence[Batch],
    function: Callable[[Batch], Sequence[tf.Tensor]],
    like: Sequence[tf.Tensor | tf.Variable],
) -> list[tf.Tensor]:
    """The mean of a function's values over batches, computed for one batch at a time.

    Args:
        batches: of any shapes.
        function: from a batch to tensors.
        like: tensors of the same shapes and types as the function's.

    Returns:
        The mean of each tensor.
    """
    if len(batches) == 1:
        return list(function(batches[0]))

    # A loop rather than one copy of the model per batch: nothing would keep such copies from
    # running at the same time, and the graph would grow with their number.
    def body(index: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
        batch = tf.switch_case(index, [lambda batch=batch: batch for batch in batches])
        return index + 1, *(total + value for total, value in zip(sums, function(batch)))

    _, *sums = tf.while_loop(
        lambda index, *_: index < len(batches),
        body,
        (tf.constant(0), *(tf.zeros_like(value) for value in like)),
        parallel_iterations=1,
    )
    return [total / len(batches) for total in sums]
