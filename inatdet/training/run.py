"""The steps and validations of a run: Model Garden's, with progress lines and safe resumption."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orbit
import tensorflow as tf
from official.core import train_lib

from inatdet.networks import checkpoints
from inatdet.training import experiment, history, resuming, saving, together, watching
from inatdet.training.config import images_per_step
from inatdet.training.modes import WATCH
from inatdet.training.progress import BadLossError, ProgressLine, StopOnBadLoss, losses_text
from inatdet.training.trainer import Controller, Trainer

# The file for what Orbit prints; the progress lines say the same in fewer words.
_ORBIT_LOG = "orbit.log"


@dataclass
class Run:
    """One run, which goes from a checkpoint to the last step, or validates.

    Attributes:
        trainer: built, and the checkpoint of the same model.
        mode: see `loop.train`, as all that follow.
        model_dir: where the model is.
        checkpoint: the path of the checkpoint to begin with, if any.
        writes: whether this process writes what others read.
        notify: receives lines.
        command: the command line that is running.
    """

    trainer: Trainer
    mode: str
    model_dir: str
    checkpoint: str | None
    writes: bool
    notify: Callable[[str], None]
    command: str
    _last: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._settings = self.trainer.config
        self._step = self.trainer.global_step
        replicas = self.trainer.strategy.num_replicas_in_sync
        self._images_per_step = images_per_step(self._settings.task, replicas)
        self._progress = ProgressLine(
            self._step, self._settings.trainer.train_steps, self._images_per_step, self.notify
        )

    def __call__(self) -> dict[str, float]:
        """Runs.

        Returns:
            The last values of the losses.

        Raises:
            RunError: see `loop.train`.
            KeyboardInterrupt: the same.
        """
        with contextlib.ExitStack() as stack:
            place = (
                self.model_dir
                if self.writes
                else stack.enter_context(tempfile.TemporaryDirectory())
            )
            os.makedirs(place, exist_ok=True)
            log = saving.Log(os.path.join(place, _ORBIT_LOG))
            stack.enter_context(contextlib.redirect_stdout(log))
            runner = self._runner(place)
            if not self.writes:  # saving takes all processes, but what these save is for nobody
                folder = runner.checkpoint_manager.directory
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
            together.check_step(self.trainer.strategy, self._step, self.model_dir)
            start = int(self._step.numpy())
            if "train" in self.mode and start < self._settings.trainer.train_steps:
                self.trainer.task.begin(self.trainer.model, self.notify)
            if "train" in self.mode and self.writes:
                self._save_what_does_not_change(start)
            if start and self.mode != WATCH:
                self.notify(f"resuming from step {start} in {self.model_dir}")
            self._progress.start()
            if self.mode == WATCH:
                watching.validate(runner.controller, self._settings.trainer, self.model_dir)
            else:
                runner.run()
        self._say_end(start)
        return self._last

    def _runner(self, place: str) -> train_lib.OrbitExperimentRunner:
        """Model Garden's, which restores the checkpoint and writes to a folder."""
        settings, trainer = self._settings, self.trainer
        summaries = saving.Summaries(
            os.path.join(place, settings.trainer.validation_summary_subdir),
            self._step,
            self.notify,
        )
        saver = saving.Saver(
            place,
            settings.task.wait_for_disk,
            lambda: bool(trainer.interruption.asked.numpy()),
            self.notify,
        )
        return train_lib.OrbitExperimentRunner(
            distribution_strategy=trainer.strategy,
            task=trainer.task,
            mode=self.mode,
            # The controller does what Model Garden does with recovery_max_trials, and ending when
            # asked to is `interruption`'s, whatever the strategy.
            params=settings.replace(
                trainer={"recovery_max_trials": -1, "preemption_on_demand_checkpoint": False}
            ),
            model_dir=place,
            train_actions=self._train_actions(),
            eval_actions=self._eval_actions(summaries),
            summary_manager=saving.Summaries(os.path.join(place, "train"), self._step, self.notify),
            eval_summary_manager=summaries,
            trainer=trainer,
            controller_cls=functools.partial(
                Controller,
                checkpoint=self.checkpoint,
                saver=saver,
                most_recoveries=max(settings.trainer.recovery_max_trials, 0),
                recovered=functools.partial(self._recovered, place),
            ),
        )

    def _train_actions(self) -> Sequence[orbit.Action]:
        """What is done after each loop of steps; first of all, a bad loss ends the run."""
        settings = self._settings.trainer
        return [
            StopOnBadLoss(
                self._step,
                lambda: checkpoints.latest(self.model_dir),
                lambda: self.trainer.images,
                settings.loss_upper_bound,
                settings.recovery_begin_steps,
            ),
            self._progress,
            lambda output: self._last.update({name: float(one) for name, one in output.items()}),
            *self.trainer.task.training_actions(
                settings.steps_per_loop * self._images_per_step, self.notify
            ),
        ]

    def _eval_actions(self, summaries: saving.Summaries) -> Sequence[orbit.Action]:
        """What is done after each validation."""

        def say(output: dict[str, tf.Tensor]) -> None:
            self.notify(
                f"validation at step {int(self._step.numpy())}"
                f" | loss {losses_text(output, 'validation_loss')}"
            )

        if "eval" not in self.mode:
            return [say]
        trainer = self.trainer
        of_task = trainer.task.evaluation_actions(
            trainer.model, trainer.strategy, summaries, self._step
        )
        return [say, *of_task]

    def _save_what_does_not_change(self, start: int) -> None:
        """Saves what a model's folder has beside its checkpoints.

        The checkpoint has been restored by now, so these are the settings of its model.
        """
        params, model_dir, task = self._settings, self.model_dir, self.trainer.task
        history.add(params, model_dir, start, self.command, self.notify)
        experiment.save(params, model_dir)
        task.save_companions(model_dir)
        resuming.save_records(params.task.train_data.input_path, model_dir)
        if task.order:
            task.order.save(model_dir)
        resuming.remove_leftovers(model_dir)

    def _recovered(self, place: str, error: BadLossError, failed: int, begin: int) -> None:
        """Passes over the images after which a loss was bad."""
        self.notify(
            f"warning: {error.what}; going on from step {begin} with the images after these"
        )
        order = self.trainer.task.order
        assert order  # as in all training
        order.go_back(failed, begin)
        order.save(place)
        self._progress.start()

    def _say_end(self, start: int) -> None:
        steps, last_step = self.trainer.steps, self._settings.trainer.train_steps
        if steps and steps.taken:
            self.notify(steps.text())
        if self.mode == "train" and start >= last_step:
            self.notify(f"{self.model_dir} is already trained: {start} of {last_step} steps")
