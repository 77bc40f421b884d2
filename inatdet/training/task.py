"""What the training loop asks of a task, beyond what Model Garden's trainer does."""

from __future__ import annotations

from collections.abc import Callable

import orbit
import tensorflow as tf
import tf_keras
from official.core import base_task

EvaluationAction = Callable[[dict[str, tf.Tensor]], None]
"""Called after each validation with the values that it gave: an Orbit action."""


class Task(base_task.Task):
    """A Model Garden task with hooks for the loop; by default they do nothing."""

    def save_companions(self, model_dir: str, overwrite: bool) -> None:
        """Writes what a trained model needs beside its checkpoints.

        Args:
            model_dir: where checkpoints go.
            overwrite: whether to replace what is there. The loop calls this before the model is
                built, for what is missing, and again once a checkpoint has been restored.

        Raises:
            InputError: if the settings ask for something that the data does not have.
        """

    def evaluation_actions(
        self,
        model: tf_keras.Model,
        strategy: tf.distribute.Strategy,
        summaries: orbit.utils.SummaryManager,
        global_step: tf.Variable,
    ) -> list[EvaluationAction]:
        """What to do after each validation.

        Args:
            model: the model that is trained.
            strategy: the devices that the model is on.
            summaries: writes the validation's summaries.
            global_step: the step counter.
        """
        del model, strategy, summaries, global_step
        return []
