"""Model Garden's trainer and Orbit's controller with what they lack for long runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orbit
import tensorflow as tf
from official.core import base_trainer

from inatdet.training import asynchronous, averaging, feeding, resuming
from inatdet.training.accumulation import Batch
from inatdet.training.interruption import Interruption
from inatdet.training.progress import BadLossError
from inatdet.training.saving import Saver


class Trainer(base_trainer.Trainer):
    """A trainer with `task.accumulate_steps` batches per step, whose loops can be ended early.

    Args:
        interruption: whether to end them; one of its own by default.

    Attributes:
        interruption: whether to end them.
        steps: hands them out to workers, in asynchronous training; else None.
        images: the ids of the images that this process saw, by step: in the first step of the last
            loop whose loss was not finite, or else in its last step, and in the step before that.
    """

    def __init__(self, *args: Any, interruption: Interruption | None = None, **settings: Any):
        self.interruption = interruption or Interruption()
        self.steps: asynchronous.Steps | None = None
        self.images: dict[int, list[int]] = {}
        self._images_of_step: tf.Tensor | None = None  # while its graph is built
        self._last_images: list[int] = []
        super().__init__(*args, **settings)
        # A loop in whose first step the optimizer made its variables would be traced once more.
        self.optimizer._create_all_weights(self.model.trainable_variables)

    def distribute_dataset(
        self, dataset_or_fn: Callable[..., tf.data.Dataset], *args: Any, **settings: Any
    ) -> Any:
        """The batches of each replica; every worker has its own part of the data."""
        if not self._is_async:
            return feeding.distributed(
                self.strategy,
                lambda context: dataset_or_fn(*args, input_context=context, **settings),
            )
        return asynchronous.per_worker_dataset(
            self.coordinator_for_async(), dataset_or_fn, *args, **settings
        )

    def next_train_inputs(self, iterator) -> tuple[Batch, ...]:
        """The batches of the next step."""
        batches = tuple(next(iterator) for _ in range(self.config.task.accumulate_steps))
        ids = [self.strategy.experimental_local_results(batch["image_id"]) for batch in batches]
        self._images_of_step = tf.concat([part for parts in ids for part in parts], axis=0)
        return batches

    def initialize(self) -> None:
        """Loads the weights that training starts from, where no checkpoint is resumed."""
        super().initialize()
        averaging.begin(self.optimizer)

    def end_inputs(self) -> None:
        """Ends the reading of records.

        Iterators that are left to the interpreter can hold its end up for a minute.
        """
        self._train_iter = self._eval_iter = None

    def create_train_loop_fn(self) -> Callable[..., None]:
        """Orbit's loop in a graph, but it may end early, and keeps in mind what it saw."""
        if self._is_async:
            self.steps = asynchronous.Steps(
                self.coordinator_for_async(),
                self.train_step,
                self.optimizer.iterations,
                self.interruption.asked,
            )
            return self.steps

        @tf.function
        def loop(iterator, num_steps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            done, good, ends = tf.constant(0), tf.constant(0), tf.constant(False)
            images = tf.TensorArray(tf.int64, 0, dynamic_size=True, element_shape=[None])
            while tf.logical_and(done < num_steps, tf.logical_not(ends)):
                with tf.name_scope(""):  # or the names of all summaries would begin with while/
                    self.train_step(iterator)
                images = images.write(done, self._images_of_step)
                # Not finite once, the sum stays so. Only counted, so that no step waits for it.
                good += tf.cast(self._is_finite(), tf.int32)
                done += 1
                ends = self.interruption.agreed(self.strategy)
            return images.concat(), done, good

        def run(iterator, num_steps: tf.Tensor) -> None:
            images, done, good = loop(iterator, num_steps)
            if done:
                self._remember(np.reshape(images, [int(done), -1]).tolist(), int(good))

        return run

    def _is_finite(self) -> tf.Tensor:
        """Whether the losses of this process's replicas are, so far in this loop."""
        sums = self.strategy.experimental_local_results(self.train_loss.total)
        return tf.reduce_all([tf.math.is_finite(one) for one in sums])

    def _remember(self, images: list[list[int]], good: int) -> None:
        place = min(good, len(images) - 1)
        step = int(self.global_step.numpy()) - (len(images) - 1 - place)
        before = images[place - 1] if place else self._last_images
        self.images = {step: images[place], step - 1: before}
        self._last_images = images[-1]

    def eval_step(self, iterator) -> dict[str, Any]:
        """A step of validation, in which a replica for which no images are left does nothing."""

        def validate(batch: Batch) -> None:
            if tf.size(batch["image_id"]) > 0:  # or its losses would be no numbers
                losses = self.task.validation_step(batch, self.model, self.validation_metrics)
                self.validation_loss.update_state(losses[self.task.loss])

        self.strategy.run(validate, args=(next(iterator),))
        return {}

    def train_loop_end(self) -> dict[str, Any]:
        """The values of a loop; in asynchronous training, also the steps of each worker so far."""
        return super().train_loop_end() | (self.steps.named() if self.steps else {})


class Controller(orbit.Controller):
    """A controller that begins with a given checkpoint, and none of whose steps get lost.

    After a bad loss it goes back to the last checkpoint, and on from there with other images.

    Args:
        checkpoint: the path of the checkpoint to begin with; None for initial weights.
        saver: saves where the disk may be full.
        most_recoveries: how often it goes back at most.
        recovered: called then, with the error, the step that failed and the one to go on from.
        train_actions: what to do after each loop.
        steps_per_loop: after how many steps values are reported. A run that goes on in the middle
            of a loop first completes it, so that summaries stay at the same steps.
    """

    def __init__(
        self,
        *args: Any,
        checkpoint: str | None,
        saver: Saver,
        most_recoveries: int,
        recovered: Callable[[BadLossError, int, int], None],
        train_actions: Sequence[orbit.Action],
        steps_per_loop: int,
        **settings: Any,
    ):
        self._checkpoint, self._saver = checkpoint, saver
        self._recoveries_left, self._recovered = most_recoveries, recovered
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
            BadLossError: a loss is not finite, and there is nothing to go back to, or that was done
                often enough.
        """
        with self.trainer.interruption.in_steps():
            while True:
                try:
                    super().train(steps, checkpoint_at_completion)
                    break
                except BadLossError as error:
                    self._go_back(error)
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

    def _go_back(self, error: BadLossError) -> None:
        """Restores the last checkpoint; the iterator stays where it is."""
        checkpoint = self.checkpoint_manager.latest_checkpoint or self._checkpoint
        if not self._recoveries_left or not checkpoint:
            raise error
        self._recoveries_left -= 1
        failed = int(self.global_step.numpy())
        self.restore_checkpoint(checkpoint)
        self._recovered(error, failed, int(self.global_step.numpy()))

    def _end_if_asked(self, output: Mapping[str, tf.Tensor] | None = None) -> None:
        del output
        self.trainer.interruption.end_if_asked(self.save_unsaved)
