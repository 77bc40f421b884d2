"""Validating the checkpoints of a training run that goes on in other processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import yaml
from official.core import config_definitions as cfg

from inatdet.errors import RunError
from inatdet.networks import checkpoints
from inatdet.training.experiment import PARAMS_FILE
from inatdet.training.trainer import Controller

_LOOKED_AFTER = 2.0  # seconds between two looks


def first_checkpoint(model_dir: str, seconds: float, notify: Callable[[str], None]) -> str:
    """Waits until a folder, which need not exist yet, has a checkpoint.

    Args:
        model_dir: the folder.
        seconds: to wait, at most.
        notify: is told that this waits.

    Returns:
        The path of the newest one.

    Raises:
        RunError: there is none within that time.
    """
    if checkpoints.latest(model_dir) is None:
        notify(f"waiting for the first checkpoint in {model_dir}")
    return _newer_than(None, model_dir, seconds)


def validate(controller: Controller, settings: cfg.TrainerConfig, model_dir: str) -> None:
    """Validates the newest checkpoint of a folder and each newer one, up to that of the last step.

    Args:
        controller: of a trainer that can validate.
        settings: how many steps a validation has, and how long to wait for a checkpoint.
        model_dir: the folder.

    Raises:
        RunError: there is no newer one within that time.
    """
    last_step = last_step_in(model_dir, settings.train_steps)
    for path in new_checkpoints(model_dir, last_step, settings.continuous_eval_timeout):
        controller.restore_checkpoint(path)
        controller.evaluate(settings.validation_steps)


def new_checkpoints(model_dir: str, last_step: int, seconds: float) -> Iterator[str]:
    """The newest checkpoint of a folder, and again each time that there is a newer one.

    Those that are saved while one is validated, but for the newest, are left out.

    Args:
        model_dir: the folder.
        last_step: the step after which training ends, and these end.
        seconds: to wait for a newer one, at most.

    Raises:
        RunError: there is no newer one within that time.
    """
    seen = None
    while seen is None or _step_of(seen) < last_step:
        seen = _newer_than(seen, model_dir, seconds)
        yield seen


def _newer_than(seen: str | None, model_dir: str, seconds: float) -> str:
    since = time.monotonic()
    while True:
        newest = checkpoints.latest(model_dir)
        if newest and newest != seen:
            return newest
        if time.monotonic() - since > seconds:
            raise RunError(
                f"{model_dir}: no {'newer ' if seen else ''}checkpoint within {seconds:g} s, and "
                "training has not ended; see whether it still runs, or wait longer with "
                "trainer.continuous_eval_timeout"
            )
        time.sleep(_LOOKED_AFTER)


def is_done(model_dir: str) -> bool:
    """Whether a folder has a checkpoint of the last step of the settings saved with it."""
    newest, last_step = checkpoints.latest(model_dir), last_step_in(model_dir, 0)
    return bool(newest and last_step and _step_of(newest) >= last_step)


def last_step_in(model_dir: str, default: int) -> int:
    """The step after which a run ends, by the settings saved with it.

    Args:
        model_dir: the run's folder.
        default: where there are none.
    """
    # The run's own number: more processes may mean fewer steps.
    try:
        with open(os.path.join(model_dir, PARAMS_FILE), encoding="utf-8") as file:
            return int(yaml.full_load(file)["trainer"]["train_steps"])
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        return default


def _step_of(checkpoint: str) -> int:
    return int(checkpoint.rpartition("-")[2])
