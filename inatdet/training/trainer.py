"""Model Garden's trainer and Orbit's controller with what they lack for long runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orbit
import tensorflow as tf
from official.core import base_trainer

from inatdet.training import averaging, resuming
from inatdet.training.accumulation import Batch
from inatdet.training.interruption import Interruption
from inatdet.training.saving import Saver


class Trainer(base_trainer.Trainer):
    """A trainer with `task.accumulate_steps` batches per step, whose loops can be ended early.

    Attributes:
        interruption: whether to end them.
    """

    def __init__(self, *args: Any, **settings: Any):
        self.interruption = Interruption()
        super().__init__(*args, **settings)
        # A loop in whose first step the optimizer made its variables would be traced once more.
        self.optimizer._create_all_weights(self.model.trainable_variables)

    def next_train_inputs(self, iterator) -> tuple[Batch, ...]:
        """The batches of the next step."""
        return tuple(next(iterator) for _ in range(self.config.task.accumulate_steps))

    def initialize(self) -> None:
        """Loads the weights that training starts from, where no checkpoint is resumed."""
        super().initialize()
        averaging.begin(self.optimizer)

    def end_inputs(self) -> None:
        """Ends the reading of records: iterators left to the interpreter's end hold it up.

        After some minutes of training, for up to a minute.
        """
        self._train_iter = self._eval_iter = None

    def create_train_loop_fn(self) -> Callable[..., None]:
        """Orbit's loop in a graph, but for one more condition."""
        asked = self.interruption.asked

        @tf.function
        def loop(iterator, num_steps: tf.Tensor) -> None:
            done = tf.constant(0)
            while tf.logical_and(done < num_steps, tf.logical_not(asked)):
                with tf.name_scope(""):  # or the names of all summaries would begin with while/
                    self.train_step(iterator)
                done += 1

        return loop


class Controller(orbit.Controller):
    """A controller that begins with a given checkpoint, and none of whose steps get lost.

    Args:
        checkpoint: the path of the checkpoint to begin with; None for initial weights.
        saver: saves where the disk may be full.
        train_actions: what to do after each loop.
        steps_per_loop: after how many steps values are reported. A run that goes on in the middle
            of a loop first completes it, so that summaries stay at the same steps.
    """

    def __init__(
        self,
        *args: Any,
        checkpoint: str | None,
        saver: Saver,
        train_actions: Sequence[orbit.Action],
        steps_per_loop: int,
        **settings: Any,
    ):
        self._checkpoint, self._saver = checkpoint, saver
        super().__init__(
            *args,
            # The last action, because the first refuses to save what is not finite.
            train_actions=[*train_actions, self._end_if_asked],
            steps_per_loop=lambda step: steps_per_loop - step % steps_per_loop,
            **settings,
        )

    def restore_checkpoint(self, checkpoint_path: str | None = None) -> str | None:
        """Restores a checkpoint, by default that to begin with."""
        return super().restore_checkpoint(checkpoint_path or self._checkpoint)

    def train(self, steps: int, checkpoint_at_completion: bool = True) -> None:
        """Trains up to a step, or until the run is asked to end, and then ends it.

        Raises:
            KeyboardInterrupt: the run was asked to end; what was trained is saved.
        """
        with self.trainer.interruption.in_steps():
            super().train(steps, checkpoint_at_completion)
        self._end_if_asked()

    def evaluate(self, steps: int = -1) -> dict[str, Any]:
        """Validates, which may take long, after saving what was trained since the last time."""
        if self.trainer is not None:
            self.save_unsaved()
        return super().evaluate(steps)

    def save_unsaved(self) -> None:
        """Saves a checkpoint, unless there is one of this step, or nothing was trained yet."""
        step = int(self.global_step.numpy())
        saved = self.checkpoint_manager.latest_checkpoint or self._checkpoint or "-0"
        if not saved.endswith(f"-{step}"):
            self.save_checkpoint()

    def _maybe_save_checkpoint(self, check_interval: bool = True) -> bool:
        """Orbit's, which everything that saves goes through; it waits where saving fails."""
        manager, save = self.checkpoint_manager, super()._maybe_save_checkpoint
        if manager is None:
            return save(check_interval)
        step, before = int(self.global_step.numpy()), manager._last_checkpoint_step

        def clean_up() -> None:
            manager._last_checkpoint_step = before  # or it would not try this step again
            resuming.remove_leftovers(manager.directory)

        return self._saver(
            f"the checkpoint of step {step}", functools.partial(save, check_interval), clean_up
        )

    def _end_if_asked(self, output: Mapping[str, tf.Tensor] | None = None) -> None:
        del output
        self.trainer.interruption.end_if_asked(self.save_unsaved)
