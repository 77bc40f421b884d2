"""Whether training may resume in a folder: settings and records compared with its model's."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping

from inatdet.errors import InputError
from inatdet.files import check_version, write_text
from inatdet.networks import checkpoints
from inatdet.tfrecords.contents import Contents
from inatdet.training.config import Experiment
from inatdet.training.experiment import PARAMS_FILE, read_experiment

_IGNORED = ("task.taxonomy", "runtime")
"""Settings that say where things are, or on what they run."""

_NAMED = 8  # settings that a message names at most

_RECORDS_FILE = "records.json"
_RECORDS_VERSION = 1


def checkpoint_to_resume(model_dir: str, notify: Callable[[str], None]) -> str | None:
    """The checkpoint that training goes on from: the newest one that is whole.

    Args:
        model_dir: the folder.
        notify: is told when that is not the newest, or the file `checkpoint` does not name it.

    Returns:
        Its path; None if there are no checkpoints.

    Raises:
        InputError: there are some, but none is whole.
    """
    newest = checkpoints.latest(model_dir)
    if newest is None:
        return None
    whole = checkpoints.newest_whole(model_dir)
    if whole is None:
        raise InputError(
            f"{newest}: is damaged ({checkpoints.fault_of(newest)}), and so is every other "
            "checkpoint there; choose another --model_dir to begin again"
        )
    if whole != newest:
        fault = checkpoints.fault_of(newest)
        notify(f"warning: {newest} is damaged ({fault}); going on from {whole}")
    elif checkpoints.named(model_dir) is None:
        state = os.path.join(model_dir, "checkpoint")
        notify(f"warning: {state} names no checkpoint that is there; going on from {whole}")
    return whole


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
    if checkpoints.latest(model_dir) is None or not os.path.exists(path):
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


def compare_records(file_pattern: str, model_dir: str) -> None:
    """Compares records with those that a folder's model was trained on.

    Args:
        file_pattern: the records for training on.
        model_dir: the folder; without a checkpoint in it, or a word on records, there is nothing
            to compare.

    Raises:
        InputError: the records are others; being elsewhere or sharded otherwise does not count.
    """
    path = os.path.join(model_dir, _RECORDS_FILE)
    if checkpoints.latest(model_dir) is None or not os.path.exists(path):
        return
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        check_version(path, content.pop("version"), _RECORDS_VERSION, "choose another --model_dir")
        before = Contents(**content)
    except InputError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path}: cannot be read as what a model was trained on ({error!r}); remove it to "
            "train on with any records"
        ) from error
    now = Contents.of(file_pattern)
    if not now.are_those_of(before):
        raise InputError(
            f"{model_dir} holds a model that was trained on other records ({before}) than "
            f"{file_pattern} ({now}); use those, or begin another --model_dir with its weights, "
            "as task.init_checkpoint"
        )


def save_records(file_pattern: str, model_dir: str) -> None:
    """Writes beside a model what it is trained on, for `compare_records`."""
    content = {"version": _RECORDS_VERSION, **dataclasses.asdict(Contents.of(file_pattern))}
    write_text(os.path.join(model_dir, _RECORDS_FILE), json.dumps(content) + "\n")


def remove_leftovers(model_dir: str) -> None:
    """Removes what a killed run was writing; the caller is the folder's only writer."""
    for name in os.listdir(model_dir):
        path = os.path.join(model_dir, name)
        if re.fullmatch(r"ckpt-\d+_temp", name):  # TensorFlow's, before a checkpoint is whole
            shutil.rmtree(path, ignore_errors=True)
        elif re.fullmatch(r"checkpoint\.tmp[0-9a-f]{32}", name):
            with contextlib.suppress(OSError):
                os.remove(path)


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
