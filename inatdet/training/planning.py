"""What a training run will take here: a few steps are made and measured, and thrown away."""

from __future__ import annotations

import copy
import logging
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from official.core import task_factory

from inatdet import locks
from inatdet.errors import InputError
from inatdet.networks import checkpoints
from inatdet.outputs import free_space
from inatdet.tfrecords.contents import Contents
from inatdet.tfrecords.damage import reading_errors
from inatdet.tfrecords.journal import count_images
from inatdet.training import cluster, devices, loop, resuming
from inatdet.training.config import Experiment, images_per_step, scale_to_replicas
from inatdet.training.estimates import (
    NOTHING,
    Measured,
    TrainingPlan,
    saved_steps,
    span_of,
    span_of_mean,
)
from inatdet.training.measuring import (
    Watched,
    device_memory,
    train_steps,
    validation_steps,
    write_checkpoint,
)
from inatdet.training.modes import WATCH

_log = logging.getLogger(__name__)

_UNIT_OF_PEAK = 1 if sys.platform == "darwin" else 1024  # bytes in which the system counts


def plan(
    params: Experiment,
    model_dir: str = "",
    mode: str = "train",
    *,
    steps: int = 40,
    seconds: float = 120.0,
    strategy: tf.distribute.Strategy | None = None,
    notify: Callable[[str], None] = _log.info,
    began: float | None = None,
) -> TrainingPlan:
    """Measures what a run of training will take.

    The steps are those of the run, with its network, its images and its devices, but at a learning
    rate of 0, and from random weights unless the run goes on: the time does not depend on them,
    except where something was kept that another run with the same weights prepared.
    Nothing is written, except temporary files.

    Args:
        params: the settings, unlocked; they are left as they are.
        model_dir: the folder of the run; if it holds checkpoints, what is left is planned. Another
            process may be training there. Empty for a run that begins.
        mode: what the run does, one of `inatdet.training.modes.MODES`.
        steps: how many steps to measure, after the first one.
        seconds: after how long to stop measuring, if `LEAST_STEPS` have been made.
        strategy: the devices, instead of those of `params.runtime`.
        notify: receives remarks.
        began: when the program began, by `time.monotonic()`; now by default.

    Raises:
        InputError: where training would raise it; and for a cluster of several processes.
    """
    began = time.monotonic() if began is None else began
    params = copy.deepcopy(params)
    if mode == WATCH or params.runtime.distribution_strategy in cluster.STRATEGIES:
        what = mode if mode == WATCH else params.runtime.distribution_strategy
        raise InputError(
            f"{what} takes several processes, and a plan is measured in one; plan with "
            "--mode=train_and_eval and runtime.distribution_strategy=mirrored, on one of the "
            "machines"
        )
    checkpoints.check_folder_name(model_dir)
    devices.set_precision(params.runtime)
    strategy = strategy or devices.strategy_of(params.runtime)
    scale_to_replicas(params, strategy.num_replicas_in_sync)
    with tempfile.TemporaryDirectory(prefix="inatdet-plan-") as scratch:
        patterns = loop.patterns_of(params.task, mode)
        checkpoint = _checked(params, mode, model_dir or scratch, patterns, notify)
        _stand_still(params)
        with reading_errors(*patterns):
            with strategy.scope():
                # Training writes there; what only validates, reads what is beside the model.
                folder = scratch if "train" in mode else model_dir or scratch
                task = task_factory.get_task(params.task, logging_dir=folder)
            task.rehearse()
            if "train" in mode:
                task.prepare()
            with strategy.scope():
                trainer = loop.build_trainer(params, task, mode, checkpoint, Watched)
            try:
                return _measured(
                    trainer, mode, model_dir, checkpoint, scratch, (steps, seconds), began
                )
            except tf.errors.OutOfRangeError as error:
                raise loop.nothing_to_train_on(patterns, task) from error
            finally:
                trainer.end_inputs()


def _checked(
    params: Experiment,
    mode: str,
    folder: str,
    patterns: list[str],
    notify: Callable[[str], None],
) -> str | None:
    """Compares everything as training does; the checkpoint that the run goes on from, if any."""
    if writer := locks.writer_in(folder):
        notify(
            f"note: {folder}: {writer} is training there; what it does from now on is not counted, "
            "and both are slower than one would be"
        )
    checkpoint = resuming.checkpoint_to_resume(folder, notify)
    differing = loop.compare(params, mode, folder, patterns)
    if differing:
        notify(f"going on with {differing}")
    return checkpoint


def _stand_still(params: Experiment) -> None:
    """Sets the learning rate to 0, so that a few steps change no weight and no loss diverges."""
    optimizer = params.trainer.optimizer_config
    optimizer.learning_rate.override({"type": "constant", "constant": {"learning_rate": 0.0}})
    optimizer.warmup.type = None


def _measured(
    trainer: Watched,
    mode: str,
    model_dir: str,
    checkpoint: str | None,
    scratch: str,
    most: tuple[int, float],
    began: float,
) -> TrainingPlan:
    """Measures, and gathers what there is to say.

    Args:
        trainer: built and restored.
        mode: see `plan`.
        model_dir: see `plan`.
        checkpoint: that the run goes on from.
        scratch: a folder for temporary files.
        most: the number of steps to measure, and the seconds after which to stop.
        began: see `plan`.
    """
    params, task = trainer.config, trainer.task
    first = checkpoints.step_of(checkpoint) if checkpoint else 0
    last, interval = params.trainer.train_steps, params.trainer.validation_interval
    left = max(last - first, 0) if "train" in mode else 0
    start, step, measured, preparation = 0.0, NOTHING, Measured((), ()), None
    validations, validation = 0, NOTHING
    replicas = trainer.strategy.num_replicas_in_sync
    validated = _images_of_validation(params, replicas) if "eval" in mode else None
    if left:
        before = time.monotonic()
        preparation = task.measure_preparation(trainer.model, checkpoint is None, *most)
        began += time.monotonic() - before
        measured = train_steps(trainer, *most)
        start = time.monotonic() - began - sum(measured.seconds)
        step = span_of_mean(measured.usual)
    if "eval" in mode and (left or mode == "eval"):
        validations = -(-left // interval) if left else 1
        building, seconds, count = validation_steps(trainer, validated, most)
        start += building if left else time.monotonic() - began - sum(seconds)
        validation = span_of(seconds, building).times(count)
    saved, size, saving = 0, 0, 0.0
    if left:
        intervals = [params.trainer.checkpoint_interval, *([interval] if validations else [])]
        saved = saved_steps(first, last, intervals)
        size, saving = write_checkpoint(trainer, scratch)
    return TrainingPlan(
        mode=mode,
        images_per_epoch=task.images_per_epoch(),
        images_per_step=images_per_step(params.task, replicas),
        first_step=first,
        last_step=last if "train" in mode else first,
        start=start,
        step=step,
        measured_steps=len(measured.usual),
        shapes=measured.by_shape(),
        validations=validations,
        validation_images=validated,
        validation=validation,
        checkpoints=saved,
        checkpoint_bytes=size,
        saving=saving,
        # Before the oldest is removed, there is one more than are kept.
        disk_bytes=size * (min(params.trainer.max_to_keep, saved) + 1) if saved else 0,
        free_bytes=free_space(model_dir) if model_dir else None,
        memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT_OF_PEAK,
        device_memory_bytes=device_memory(),
        cached_bytes=_cached_bytes(params.task, mode),
        preparation=preparation,
    )


def _images_of_validation(params: Experiment, replicas: int) -> int | None:
    """How many images a validation sees, as far as it is known."""
    data, steps = params.task.validation_data, params.trainer.validation_steps
    images = count_images(data.input_path)
    if steps == -1:
        return images
    most = steps * data.batch_size * replicas
    return most if images is None else min(images, most)


def _cached_bytes(task: Any, mode: str) -> int:
    """The bytes of the records that will be kept in memory."""
    parts = {"train": task.train_data, "eval": task.validation_data}
    return sum(
        Contents.of(data.input_path).bytes
        for part, data in parts.items()
        if part in mode and data.cache
    )
