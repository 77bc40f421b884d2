"""Model Garden's trainer and Orbit's controller with what they lack for long runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orbit
import tensorflow as tf
from official.core import base_trainer

from inatdet.training import asynchronous, averaging
from inatdet.training.accumulation import Batch
from inatdet.training.interruption import Interruption


class Trainer(base_trainer.Trainer):
    """A trainer with `task.accumulate_steps` batches per step, whose loops can be ended early.

    Args:
        interruption: whether to end them; one of its own by default.

    Attributes:
        interruption: whether to end them.
        steps: hands them out to workers, in asynchronous training; else None.
    """

    def __init__(self, *args: Any, interruption: Interruption | None = None, **settings: Any):
        self.interruption = interruption or Interruption()
        self.steps: asynchronous.Steps | None = None
        super().__init__(*args, **settings)

    def distribute_dataset(
        self, dataset_or_fn: Callable[..., tf.data.Dataset], *args: Any, **settings: Any
    ) -> Any:
        """The batches of each replica; every worker has its own part of the data."""
        if not self._is_async:
            return super().distribute_dataset(dataset_or_fn, *args, **settings)
        return asynchronous.per_worker_dataset(
            self.coordinator_for_async(), dataset_or_fn, *args, **settings
        )

    def next_train_inputs(self, iterator) -> tuple[Batch, ...]:
        """The batches of the next step."""
        return tuple(next(iterator) for _ in range(self.config.task.accumulate_steps))

    def initialize(self) -> None:
        """Loads the weights that training starts from, where no checkpoint is resumed."""
        super().initialize()
        averaging.begin(self.optimizer)

    def create_train_loop_fn(self) -> Callable[..., None]:
        """Orbit's loop in a graph, but for one more condition."""
        if self._is_async:
            self.steps = asynchronous.Steps(
                self.coordinator_for_async(),
                self.train_step,
                self.optimizer.iterations,
                self.interruption.asked,
            )
            return self.steps

        @tf.function
        def loop(iterator, num_steps: tf.Tensor) -> None:
            done, ends = tf.constant(0), tf.constant(False)
            while tf.logical_and(done < num_steps, tf.logical_not(ends)):
                with tf.name_scope(""):  # or the names of all summaries would begin with while/
                    self.train_step(iterator)
                done += 1
                ends = self.interruption.agreed(self.strategy)

        return loop

    def train_loop_end(self) -> dict[str, Any]:
        """The values of a loop; in asynchronous training, also the steps of each worker so far."""
        return super().train_loop_end() | (self.steps.named() if self.steps else {})


class Controller(orbit.Controller):
    """A controller that begins with a given checkpoint, and none of whose steps get lost.

    Args:
        checkpoint: the path of the checkpoint to begin with; None for initial weights.
        train_actions: what to do after each loop.
        steps_per_loop: after how many steps values are reported. A run that goes on in the middle
            of a loop first completes it, so that summaries stay at the same steps.
    """

    def __init__(
        self,
        *args: Any,
        checkpoint: str | None,
        train_actions: Sequence[orbit.Action],
        steps_per_loop: int,
        **settings: Any,
    ):
        self._checkpoint = checkpoint
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

    def _end_if_asked(self, output: Mapping[str, tf.Tensor] | None = None) -> None:
        del output
        self.trainer.interruption.end_if_asked(self.save_unsaved)
