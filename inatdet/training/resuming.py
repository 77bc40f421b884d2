"""Whether training may resume in a folder: its settings compared with those of the model there."""

from __future__ import annotations

import os
from collections.abc import Mapping

import tensorflow as tf

from inatdet.errors import InputError
from inatdet.training.config import Experiment
from inatdet.training.experiment import PARAMS_FILE, read_experiment

_IGNORED = ("task.taxonomy", "runtime")
"""Settings that say where things are, or on what they run."""

_NAMED = 8  # settings that a message names at most


def compare_settings(params: Experiment, model_dir: str) -> str:
    """Compares settings with those that a folder's model was trained with.

    Settings that change what is learned, such as the size of the images, would continue as another
    model under the same name, or not fit the checkpoint at all. Others, such as the learning rate
    or the number of steps, only change how training continues.

    Args:
        params: the settings for training on.
        model_dir: the folder; without a checkpoint in it, there is nothing to compare.

    Returns:
        What differs and is allowed to, in words; empty if nothing does.

    Raises:
        InputError: a setting differs that changes what is learned.
    """
    path = os.path.join(model_dir, PARAMS_FILE)
    if tf.train.latest_checkpoint(model_dir) is None or not os.path.exists(path):
        return ""
    saved = read_experiment([path], default=params.experiment)
    before, now = _flat(saved.as_dict()), _flat(params.as_dict())
    learned = ("experiment", *(f"task.{name}" for name in saved.task.learned()))
    changed = [name for name in sorted(before | now) if before.get(name) != now.get(name)]
    broken = [name for name in changed if _is_below(name, learned)]
    # Settings that only one of two networks has follow from their types.
    broken = [name for name in broken if name in before and name in now] or broken
    if broken:
        raise InputError(
            f"{model_dir} holds a model that was trained with {_values(broken, before)}, not "
            f"{_values(broken, now)}; use its settings, or another --model_dir"
        )
    allowed = [name for name in changed if not _is_below(name, _IGNORED)]
    return f"{_values(allowed, now)} (was {_values(allowed, before)})" if allowed else ""


def _flat(settings: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested settings as one level of dotted names."""
    found: dict[str, object] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = tuple(value) if isinstance(value, list) else value
    return found


def _is_below(name: str, parents: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def _values(names: list[str], settings: Mapping[str, object]) -> str:
    shown = [f"{name}={settings.get(name, 'not set')}" for name in names[:_NAMED]]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(shown) + more
