"""The training loop: Model Garden's, with progress lines, validation and safe resumption."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable

import orbit
import tensorflow as tf
import tf_keras
from official.core import task_factory, train_lib, train_utils

from inatdet import locks, outputs
from inatdet.errors import InputError
from inatdet.networks import checkpoints
from inatdet.tfrecords import contents
from inatdet.tfrecords.damage import reading_errors
from inatdet.tfrecords.reading import find_files
from inatdet.training import averaging, devices, experiment, resuming
from inatdet.training.config import Experiment, TrainingTask, images_per_step, scale_to_replicas
from inatdet.training.data_order import DataOrder
from inatdet.training.progress import BadLossError, ProgressLine, StopOnBadLoss, losses_text
from inatdet.training.task import Task
from inatdet.training.trainer import Controller, Trainer

_log = logging.getLogger(__name__)

# The file for what Orbit prints; the progress lines say the same in fewer words.
_ORBIT_LOG = "orbit.log"


def train(
    params: Experiment,
    mode: str,
    model_dir: str,
    strategy: tf.distribute.Strategy | None = None,
    notify: Callable[[str], None] = _log.info,
) -> dict[str, float]:
    """Trains, or computes the validation losses.

    Args:
        params: the settings, unlocked; their task is an `inatdet.training.task.Task`, registered
            with Model Garden.
        mode: one of `inatdet.training.modes.MODES`.
        model_dir: where checkpoints, summaries and settings go. Training resumes from the newest
            checkpoint there.
        strategy: the devices, instead of those of `params.runtime`.
        notify: receives one line for each loop of steps, each validation and each remark.

    Returns:
        The last values of a training run's losses (empty when nothing was left to train).

    Raises:
        InputError: for settings that do not fit the data, the machine, or the model in the folder,
            which is then left as it was; and while another process trains there.
        RunError: when a loss is not finite.
        KeyboardInterrupt: when interrupted, with the words for what is left.
    """
    checkpoints.check_folder_name(model_dir)
    outputs.check_folder(model_dir)
    devices.set_precision(params.runtime)
    strategy = strategy or devices.strategy_of(params.runtime)
    with locks.only_writer(model_dir) if "train" in mode else contextlib.nullcontext():
        try:
            return _train(params, mode, model_dir, strategy, notify)
        except KeyboardInterrupt as error:
            newest = checkpoints.latest(model_dir)
            raise KeyboardInterrupt(
                f"the same command goes on from {newest}"
                if newest and "train" in mode
                else "nothing was saved yet, so the same command begins again"
            ) from error


def _train(
    params: Experiment,
    mode: str,
    model_dir: str,
    strategy: tf.distribute.Strategy,
    notify: Callable[[str], None],
) -> dict[str, float]:
    """Compares, builds and restores, in this order, before anything is written; then runs."""
    replicas = strategy.num_replicas_in_sync
    factor = scale_to_replicas(params, replicas)
    patterns = _patterns(params.task, mode)
    checkpoint = resuming.checkpoint_to_resume(model_dir, notify)
    differing = _compare(params, mode, model_dir, patterns)
    if differing:
        notify(f"resuming with {differing}")
    if factor != 1.0:
        notify(
            f"{images_per_step(params.task, replicas)} images per step, {factor:g} times the "
            f"reference: learning rate times {factor:g}, {params.trainer.train_steps} steps"
        )
    with strategy.scope():
        task = task_factory.get_task(params.task, logging_dir=model_dir)
    if "train" in mode:
        task.prepare()
        step = checkpoints.step_of(checkpoint) if checkpoint else 0
        task.order = DataOrder.read(model_dir, step, params.task, replicas)
    params.lock()
    if params.task.seed is not None:
        tf_keras.utils.set_random_seed(params.task.seed)
    with reading_errors(*patterns):
        with strategy.scope():
            trainer = train_utils.create_trainer(
                params,
                task,
                train="train" in mode,
                evaluate="eval" in mode,
                trainer_cls=Trainer,
            )
            # Orbit restores it without noticing if it is of another model.
            if checkpoint:
                checkpoints.restore(trainer.model, checkpoint)
                averaging.begin(trainer.optimizer)  # in case the checkpoint has no averages
        try:
            with trainer.interruption.heard():
                return _run(trainer, task, params, mode, model_dir, checkpoint, strategy, notify)
        except tf.errors.OutOfRangeError as error:
            raise InputError(
                f"{' and '.join(patterns)}: holds no image to train on; write TFRecords of images "
                f"with {task.NEEDED}, or turn task.train_data.single_instance off"
            ) from error


def _compare(params: Experiment, mode: str, model_dir: str, patterns: list[str]) -> str:
    """Compares settings, labels and records with each other and with the model in a folder.

    Returns:
        The settings that differ from the model's and may, in words; empty if none does.

    Raises:
        InputError: something does not fit.
    """
    for pattern in patterns:
        find_files(pattern)
        contents.check_complete(pattern)
    checkpoints.check_format(model_dir)
    differing = resuming.compare_settings(params, model_dir)
    taxonomy = experiment.label_spaces(params, model_dir)
    for pattern in patterns:
        contents.check_labels(pattern, taxonomy, params.task.taxonomy)
    if "train" in mode:
        resuming.compare_records(params.task.train_data.input_path, model_dir)
    return differing


def _run(
    trainer: Trainer,
    task: Task,
    params: Experiment,
    mode: str,
    model_dir: str,
    checkpoint: str | None,
    strategy: tf.distribute.Strategy,
    notify: Callable[[str], None],
) -> dict[str, float]:
    """Runs the steps and validations of a mode; see `train`."""
    step, last_step = trainer.global_step, params.trainer.train_steps
    per_step = images_per_step(params.task, strategy.num_replicas_in_sync)
    progress = ProgressLine(step, last_step, per_step, notify)
    last: dict[str, float] = {}
    train_actions = [
        StopOnBadLoss(
            step,
            lambda: checkpoints.latest(model_dir),
            lambda: trainer.images,
            params.trainer.loss_upper_bound,
            params.trainer.recovery_begin_steps,
        ),
        progress,
        lambda output: last.update({name: float(value) for name, value in output.items()}),
        *task.training_actions(params.trainer.steps_per_loop * per_step, notify),
    ]
    summaries = orbit.utils.SummaryManager(
        os.path.join(model_dir, params.trainer.validation_summary_subdir),
        tf.summary.scalar,
        global_step=step,
    )
    eval_actions = [
        lambda output: notify(
            f"validation at step {int(step.numpy())}"
            f" | loss {losses_text(output, 'validation_loss')}"
        )
    ]
    if "eval" in mode:
        eval_actions += task.evaluation_actions(trainer.model, strategy, summaries, step)

    def recovered(error: BadLossError, failed: int, begin: int) -> None:
        notify(f"warning: {error.what}; going on from step {begin} with the images after these")
        assert task.order  # as in all training
        task.order.go_back(failed, begin)
        task.order.save(model_dir)
        progress.start()

    os.makedirs(model_dir, exist_ok=True)
    with (
        open(os.path.join(model_dir, _ORBIT_LOG), "a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
    ):
        runner = train_lib.OrbitExperimentRunner(
            distribution_strategy=strategy,
            task=task,
            mode=mode,
            # The controller does what Model Garden does with recovery_max_trials.
            params=params.replace(trainer={"recovery_max_trials": -1}),
            model_dir=model_dir,
            train_actions=train_actions,
            eval_actions=eval_actions,
            eval_summary_manager=summaries,
            trainer=trainer,
            controller_cls=functools.partial(
                Controller,
                checkpoint=checkpoint,
                most_recoveries=max(params.trainer.recovery_max_trials, 0),
                recovered=recovered,
            ),
        )
        # The checkpoint has been restored, so these are the settings of its model.
        if "train" in mode:
            experiment.save(params, model_dir)
            task.save_companions(model_dir)
            resuming.save_records(params.task.train_data.input_path, model_dir)
            if task.order:
                task.order.save(model_dir)
            resuming.remove_leftovers(model_dir)
        start = int(step.numpy())
        if start:
            notify(f"resuming from step {start} in {model_dir}")
        progress.start()
        runner.run()
    if mode == "train" and start >= last_step:
        notify(f"{model_dir} is already trained: {start} of {last_step} steps")
    return last


def _patterns(settings: TrainingTask, mode: str) -> list[str]:
    """The TFRecords that a mode reads."""
    patterns = []
    if "train" in mode:
        patterns.append(settings.train_data.input_path)
    if "eval" in mode:
        patterns.append(settings.validation_data.input_path)
    return patterns
