"""What the training loop asks of a task, beyond what Model Garden's trainer does."""

from __future__ import annotations

from collections.abc import Callable

import orbit
import tensorflow as tf
import tf_keras
from official.core import base_task
from official.core import config_definitions as cfg
from official.modeling import optimization

from inatdet.training.averaging import Averaging
from inatdet.training.data_order import DataOrder
from inatdet.training.estimates import Preparation

LoopAction = Callable[[dict[str, tf.Tensor]], None]
"""Called after each loop of steps, or each validation, with the values that it gave."""


class Task(base_task.Task):
    """A Model Garden task with hooks for the loop; by default they do nothing."""

    order: DataOrder | None = None
    """Of the images that are trained on; set before the inputs are built, or they begin anew."""

    @property
    def needed(self) -> str:
        """What images must have to be trained on, in a word."""
        return "boxes"

    def images_per_epoch(self) -> float | None:
        """How many images, or boxes, an epoch of training shows; None where it is not known."""
        return None

    @classmethod
    def create_optimizer(
        cls,
        optimizer_config: optimization.OptimizationConfig,
        runtime_config: cfg.RuntimeConfig | None = None,
        dp_config: cfg.DifferentialPrivacyConfig | None = None,
    ) -> tf_keras.optimizers.Optimizer:
        """Model Garden's optimizer, but averages are around the one that scales losses.

        The other way round they would not be noticed in float16.
        """
        averages = optimizer_config.ema
        if averages is None:
            return super().create_optimizer(optimizer_config, runtime_config, dp_config)
        inner = optimizer_config.replace(ema=None)
        return Averaging(
            super().create_optimizer(inner, runtime_config, dp_config), **averages.as_dict()
        )

    def prepare(self) -> None:
        """Looks up what the model needs to know of the data, before it is built for training.

        Raises:
            InputError: if the settings ask for something that the data does not have.
        """

    def save_companions(self, model_dir: str) -> None:
        """Writes what a trained model needs beside its checkpoints.

        Args:
            model_dir: where checkpoints go. The loop calls this when nothing can be wrong any more
                with the model there.
        """

    def begin(self, model: tf_keras.Model, notify: Callable[[str], None]) -> None:
        """Prepares what depends on the weights that training begins with, before its first step.

        Args:
            model: with these weights, the initial ones or those of the checkpoint that is resumed.
            notify: receives remarks.

        Raises:
            InputError: it cannot be prepared.
        """

    def rehearse(self) -> None:
        """Has what `begin` would compute, and keep, invented instead: steps are only measured.

        Called before inputs are built.
        """

    def measure_preparation(
        self, model: tf_keras.Model, begins: bool, most_images: int, most_seconds: float
    ) -> Preparation | None:
        """Measures what `begin` would take; called in its place after `rehearse`.

        Args:
            model: with the weights of the checkpoint that is resumed, or random ones.
            begins: whether none is resumed; then the model may get the weights to begin with.
            most_images: on how many images to measure, at least `estimates.LEAST_STEPS`.
            most_seconds: after how long to stop, if so many have been measured.

        Returns:
            What it takes; None if there is nothing to prepare.
        """
        del model, begins, most_images, most_seconds
        return None

    def training_actions(
        self, images_per_loop: int, notify: Callable[[str], None]
    ) -> list[LoopAction]:
        """What to do after each loop of training steps.

        Args:
            images_per_loop: that one loop of steps shows.
            notify: receives remarks.
        """
        del images_per_loop, notify
        return []

    def evaluation_actions(
        self,
        model: tf_keras.Model,
        strategy: tf.distribute.Strategy,
        summaries: orbit.utils.SummaryManager,
        global_step: tf.Variable,
    ) -> list[LoopAction]:
        """What to do after each validation.

        Args:
            model: the model that is trained.
            strategy: the devices that the model is on.
            summaries: writes the validation's summaries.
            global_step: the step counter.
        """
        del model, strategy, summaries, global_step
        return []
