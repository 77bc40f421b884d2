"""With what a model was trained: an entry for every start of training, beside its checkpoints."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
from collections.abc import Callable
from typing import Any

from inatdet.errors import InputError
from inatdet.files import check_version, write_text
from inatdet.tfrecords.contents import Contents, summary_sha256
from inatdet.training.config import Experiment
from inatdet.version import versions

HISTORY_FILE = "history.json"

_VERSION = 1
_REMEDY = "remove it to train on without what it says"


def add(
    params: Experiment,
    model_dir: str,
    step: int,
    command: str,
    notify: Callable[[str], None] = lambda message: None,
) -> None:
    """Adds the start of a run to what a folder says about its training.

    Args:
        params: the run's settings, which are repeated only where they are not those of before.
        model_dir: the folder.
        step: after how many steps the run begins.
        command: the command line; empty if there is none.
        notify: is told if what was there cannot be read and was put aside.

    Raises:
        InputError: what is there has a newer format version.
    """
    path = os.path.join(model_dir, HISTORY_FILE)
    starts = _starts(path, notify)
    pattern = params.task.train_data.input_path
    start = {
        "from_step": step,
        "began": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "versions": versions(),
        "records": {
            "input_path": pattern,
            "summary_sha256": summary_sha256(pattern),
            **dataclasses.asdict(Contents.of(pattern)),
        },
    }
    # As JSON returns them, to compare them with what was read.
    settings = json.loads(json.dumps(params.as_dict(), default=str))
    if settings != next((s["settings"] for s in reversed(starts) if "settings" in s), None):
        start["settings"] = settings
    content = {"version": _VERSION, "starts": [*starts, start]}
    write_text(path, json.dumps(content, indent=1) + "\n")


def read(model_dir: str) -> list[dict[str, Any]]:
    """The starts of training in a folder, the first one first, each with its settings.

    A checkpoint is of the last start whose `from_step` is less than the checkpoint's step.

    Args:
        model_dir: the folder.

    Returns:
        Per start `from_step`; `began`, a time; `command`; `versions`, by name; `records`, what was
        trained on; and `settings`. Nothing for a folder without a history.

    Raises:
        InputError: the history cannot be read, or has a newer format version.
    """
    settings: dict[str, Any] = {}
    found = []
    for start in _read(os.path.join(model_dir, HISTORY_FILE)):
        settings = start.get("settings", settings)
        found.append(start | {"settings": settings})
    return found


def _starts(path: str, notify: Callable[[str], None]) -> list[dict[str, Any]]:
    """The starts that a file lists; one that cannot be read is put aside, and lists none."""
    try:
        return _read(path)
    except InputError as error:
        if not isinstance(error.__cause__, Exception):  # of a newer version
            raise
        aside = path + ".damaged"
        os.replace(path, aside)
        notify(f"warning: {error}; it is {aside} from now on, and another one begins")
        return []


def _read(path: str) -> list[dict[str, Any]]:
    if not os.path.exists(path):
        return []
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        version, starts = content["version"], content["starts"]
        if not all(isinstance(start["from_step"], int) for start in starts):
            raise ValueError("a start has no step")
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(
            f"{path}: cannot be read as a history of training ({type(error).__name__})"
        ) from error
    check_version(path, version, _VERSION, _REMEDY)
    return list(starts)
