"""Training and validation: what is compared, built and restored before a run, in this order."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable

import tensorflow as tf
import tf_keras
from official.core import task_factory, train_utils

from inatdet import locks, outputs
from inatdet.errors import InputError, RunError, reason_of
from inatdet.networks import checkpoints
from inatdet.tfrecords import contents
from inatdet.tfrecords.damage import reading_errors
from inatdet.tfrecords.reading import find_files
from inatdet.training import (
    asynchronous,
    averaging,
    cluster,
    devices,
    experiment,
    meeting,
    resuming,
    together,
    watching,
)
from inatdet.training.cluster import Cluster
from inatdet.training.config import Experiment, TrainingTask, images_per_step, scale_to_replicas
from inatdet.training.data_order import DataOrder
from inatdet.training.interruption import Interruption
from inatdet.training.modes import WATCH
from inatdet.training.run import Run
from inatdet.training.task import Task
from inatdet.training.trainer import Trainer

_log = logging.getLogger(__name__)

# What TensorFlow raises when another process is no longer there.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)


def train(
    params: Experiment,
    mode: str,
    model_dir: str,
    strategy: tf.distribute.Strategy | None = None,
    notify: Callable[[str], None] = _log.info,
    command: str = "",
    start_timeout: float = meeting.SECONDS,
) -> dict[str, float]:
    """Trains, or computes the validation losses.

    Args:
        params: the settings, unlocked; their task is an `inatdet.training.task.Task`, registered
            with Model Garden.
        mode: one of `inatdet.training.modes.MODES`.
        model_dir: where checkpoints, summaries and settings go. Training resumes from the newest
            checkpoint there. All processes of a cluster read it; the first of them writes it.
        strategy: the devices, instead of those of `params.runtime` and of the cluster.
        notify: receives one line for each loop of steps, each validation and each remark.
        command: the command line that is running, which the folder's history names.
        start_timeout: how many seconds the processes of a cluster wait for one another.

    Returns:
        The last values of a training run's losses (empty when nothing was left to train).

    Raises:
        InputError: for settings that do not fit the data, the machine, or the model in the folder,
            which is then left as it was; and while another process trains there.
        RunError: when a loss is not finite, checkpoints cannot be saved for too long, or other
            processes of the cluster are lost.
        KeyboardInterrupt: when interrupted, with the words for what is left.
    """
    checkpoints.check_folder_name(model_dir)
    processes = cluster.of(params.runtime) if "train" in mode and not strategy else None
    if processes and processes.serves:
        is_done = functools.partial(watching.is_done, model_dir)
        asynchronous.serve(processes, is_done, start_timeout, notify)
        return {}
    if processes and processes.evaluates:
        mode, processes = WATCH, None
    writes = processes is None or processes.is_first
    if writes:
        outputs.check_folder(model_dir)
    devices.set_precision(params.runtime)
    with locks.only_writer(model_dir) if writes and "train" in mode else contextlib.nullcontext():
        try:
            if processes:
                if params.runtime.distribution_strategy == cluster.ASYNCHRONOUS:
                    asynchronous.check(params, mode)
                strategy = devices.strategy_in(processes, params.runtime, start_timeout, notify)
            strategy = strategy or devices.strategy_of(params.runtime)
            return _train(params, mode, model_dir, strategy, processes, notify, command)
        except KeyboardInterrupt as error:
            newest = checkpoints.latest(model_dir)
            raise KeyboardInterrupt(
                f"the same command goes on from {newest}"
                if newest and "train" in mode
                else "nothing was saved yet, so the same command begins again"
            ) from error
        except _LOST as error:
            if not processes:
                raise
            newest = checkpoints.latest(model_dir)
            raise RunError(
                "another process of the cluster has ended or cannot be reached; start all again, "
                f"which {f'goes on from {newest}' if newest else 'begins anew'} "
                f"({reason_of(error)})"
            ) from error


def _train(
    params: Experiment,
    mode: str,
    model_dir: str,
    strategy: tf.distribute.Strategy,
    processes: Cluster | None,
    notify: Callable[[str], None],
    command: str,
) -> dict[str, float]:
    """Compares, builds and restores, in this order, before anything is written; then runs."""
    replicas = strategy.num_replicas_in_sync
    factor = scale_to_replicas(params, replicas)
    patterns = patterns_of(params.task, mode)
    if mode == WATCH:
        watching.first_checkpoint(model_dir, params.trainer.continuous_eval_timeout, notify)
    checkpoint = resuming.checkpoint_to_resume(model_dir, notify)
    differing = compare(params, mode, model_dir, patterns)
    if differing and mode != WATCH:
        notify(f"resuming with {differing}")
    if factor != 1.0:
        notify(
            f"{images_per_step(params.task, replicas)} images per step, {factor:g} times the "
            f"reference: learning rate times {factor:g}, {params.trainer.train_steps} steps"
        )
    interruption = Interruption(shared=True) if together.takes_steps(strategy) else None
    with strategy.scope():
        task = task_factory.get_task(params.task, logging_dir=model_dir)
    if "train" in mode:
        task.prepare()
        step = checkpoints.step_of(checkpoint) if checkpoint else 0
        task.order = DataOrder.read(model_dir, step, params.task, replicas)
        task.order.seed = together.of_first(strategy, task.order.seed)
    params.lock()
    if params.task.seed is not None:
        tf_keras.utils.set_random_seed(params.task.seed)
    with reading_errors(*patterns):
        with strategy.scope():
            kind = functools.partial(Trainer, interruption=interruption)
            trainer = build_trainer(params, task, mode, checkpoint, kind)
        writes = processes is None or processes.is_first
        try:
            with trainer.interruption.heard():
                return Run(trainer, mode, model_dir, checkpoint, writes, notify, command)()
        except tf.errors.OutOfRangeError as error:
            raise nothing_to_train_on(patterns, task) from error
        finally:
            trainer.end_inputs()


def build_trainer(
    params: Experiment,
    task: Task,
    mode: str,
    checkpoint: str | None,
    kind: Callable[..., Trainer],
) -> Trainer:
    """Builds a trainer, with the weights of a checkpoint if there is one.

    Args:
        params: the settings.
        task: made from them.
        mode: see `train`.
        checkpoint: its path, without extension.
        kind: the trainer's class.
    """
    trainer = train_utils.create_trainer(
        params, task, train="train" in mode, evaluate="eval" in mode, trainer_cls=kind
    )
    # Orbit restores it without noticing if it is of another model.
    if checkpoint:
        checkpoints.restore(trainer.model, checkpoint)
        averaging.begin(trainer.optimizer)  # in case the checkpoint has no averages
    return trainer


def nothing_to_train_on(patterns: list[str], task: Task) -> InputError:
    """The error for records of which training can use none."""
    return InputError(
        f"{' and '.join(patterns)}: holds no image to train on; write TFRecords of images with "
        f"{task.needed}, or turn task.train_data.single_instance off"
    )


def compare(params: Experiment, mode: str, model_dir: str, patterns: list[str]) -> str:
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


def patterns_of(settings: TrainingTask, mode: str) -> list[str]:
    """The TFRecords that a mode reads."""
    patterns = []
    if "train" in mode:
        patterns.append(settings.train_data.input_path)
    if "eval" in mode:
        patterns.append(settings.validation_data.input_path)
    return patterns
