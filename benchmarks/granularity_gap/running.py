"""Programs run as a person would run them: once, logged, and ended when this one is."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from inatdet.errors import InputError, RunError
from inatdet.files import write_text

_LAST_LINES = 5
_LONGEST_END = 600.0  # seconds that a program has to save what it did


@dataclass(frozen=True)
class Step:
    """A program that is run once in the folder of a model.

    Attributes:
        name: of the file that says that it is done.
        folder: of the model.
        arguments: of `python -m inatdet`, the program first.
        settings: what makes it another step if it changes, for `settings_file`.
    """

    name: str
    folder: str
    arguments: Sequence[str]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings_file(self) -> str:
        """The YAML file with its settings, which is written when it is first run."""
        return os.path.join(self.folder, f"{self.name}.yaml")

    @property
    def path(self) -> str:
        """The file that says that it is done."""
        return os.path.join(self.folder, "done", f"{self.name}.json")

    @property
    def seconds(self) -> float | None:
        """How long it took; None if it is not done."""
        try:
            with open(self.path, encoding="utf-8") as file:
                return float(json.load(file)["seconds"])
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def check(self) -> None:
        """Raises InputError if it was begun with other settings."""
        try:
            with open(self.settings_file, encoding="utf-8") as file:
                before = yaml.safe_load(file)
        except FileNotFoundError:
            return
        if before != yaml.safe_load(yaml.safe_dump(self.settings)):
            raise InputError(
                f"{self.settings_file}: was begun with other settings than the study has now; "
                f"remove {self.folder} to begin again, or choose another --work_dir"
            )

    def write_settings(self) -> None:
        """Writes the file with its settings, if there are any."""
        if self.settings:
            write_text(self.settings_file, yaml.safe_dump(self.settings))

    def run(self) -> None:
        """Runs it; what it says goes to `log.txt`.

        Raises:
            RunError: it ended with an error.
            KeyboardInterrupt: this process was interrupted; the program was ended first.
        """
        command = [sys.executable, "-m", "inatdet", *self.arguments]
        log = os.path.join(self.folder, "log.txt")
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.write_settings()
        before = _seconds_before(self.path)
        start = time.monotonic()
        with open(log, "a", encoding="utf-8") as file:
            print(f"$ {shlex.join(command)}", file=file, flush=True)
            # In a session of its own, so that a terminal's Ctrl-C reaches it but once, through us.
            process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                code = process.wait()
            except BaseException:
                _end(process)
                _save(f"{self.path}.begun", before + time.monotonic() - start, command)
                raise
        if code:
            with open(log, encoding="utf-8", errors="replace") as file:
                last = file.read().splitlines()[-_LAST_LINES:]
            raise RunError(
                f"{log}: inatdet {self.arguments[0]} ended with code {code}: {' / '.join(last)}"
            )
        _save(self.path, before + time.monotonic() - start, command)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Asks a program to end, and waits until it has saved what it did."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_LONGEST_END)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # and the processes that it started
        process.wait()


def _seconds_before(path: str) -> float:
    """How long a step ran before it was interrupted."""
    try:
        with open(f"{path}.begun", encoding="utf-8") as file:
            return float(json.load(file)["seconds"])
    except (OSError, ValueError, LookupError, TypeError):
        return 0.0


def _save(path: str, seconds: float, command: Sequence[str]) -> None:
    content = {"seconds": round(seconds, 1), "command": shlex.join(command)}
    write_text(path, json.dumps(content) + "\n")
