"""One process of a cluster on one machine: started, and what can be said of it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

_DIE_WITH_PARENT = 1  # Linux: PR_SET_PDEATHSIG


@dataclass
class Member:
    """A process, which may be started several times.

    Attributes:
        job: what it is in the cluster.
        index: its number among those that are the same.
        log: the file that its output is added to.
        process: as it was last started.
        failures: how often it was lost of late.
        started_at: when it was last started, by the monotonic clock.
        start_at: when to start it again, if it is lost; else 0.
    """

    job: str
    index: int
    log: str
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started_at: float = 0.0
    start_at: float = 0.0

    @property
    def name(self) -> str:
        """As `worker 3`."""
        return f"{self.job} {self.index}"

    @property
    def described(self) -> str:
        """The name and the number by which the system knows it."""
        return f"{self.name} (process {self.process.pid if self.process else 'none'})"

    @property
    def code(self) -> int | None:
        """The exit code, below 0 for the number of a signal; None while it runs."""
        return self.process.poll() if self.process else None

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts it.

        Args:
            command: what to run.
            environment: variables besides those of this process.
        """
        self.started_at, self.start_at = time.monotonic(), 0.0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(  # noqa: S603, it is the caller's command
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C must reach the processes in the right order, from here.
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )

    def how_it_ended(self) -> str:
        """`worker 3 ended with code 1 (there is not enough memory)`."""
        code, words = self.code or 0, self.last_words()
        how = f"ended with code {code}" if code >= 0 else f"was ended by {_signal_name(-code)}"
        return f"{self.name} {how}{f' ({words})' if words else ''}"

    def last_words(self) -> str:
        """What it said last, without the word for errors."""
        with suppress(OSError), open(self.log, "rb") as log:
            log.seek(max(0, os.path.getsize(self.log) - 4096))
            lines = log.read().decode("utf-8", "replace").split("\n")
            said = [line.strip() for line in lines if line.strip()]
            return said[-1].removeprefix("error: ") if said else ""
        return ""


class NewLines:
    """The lines that are added to a file from now on.

    Args:
        path: of the file, which need not be there yet.
    """

    def __init__(self, path: str):
        self._path = path
        self._read = os.path.getsize(path) if os.path.exists(path) else 0

    def read(self) -> list[str]:
        """The whole lines since the last time."""
        with suppress(OSError), open(self._path, "rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
            if whole:
                self._read += len(whole) + 1
                return whole.decode("utf-8", "replace").split("\n")
        return []


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _die_with_parent() -> None:
    """Makes Linux end a process when the launcher is gone, however that ended."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
