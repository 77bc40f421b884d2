"""Keeps what TensorFlow's C++ code logs for its developers off the terminal."""

from __future__ import annotations

import atexit
import os
import re
import signal
import sys

# TF_CPP_MIN_LOG_LEVEL does not reach these: they are logged before the log is set up, or are
# further lines of a message about another process that is gone.
_FOR_DEVELOPERS = re.compile(
    rb"[IWE]0000 00:00:\d+\.\d+ |WARNING: All log messages before absl::InitializeLog"
    rb"|Additional GRPC error information|:UNKNOWN:Error received from peer"
    rb"|This could happen if the remote target has been disconnected"
)


def hide() -> None:
    """Leaves such lines out of the standard error stream, until the process ends.

    A process of its own reads what is written to descriptor 2, so that the last words of a crash
    are not lost. Python's `sys.stderr` goes past it. Call this before TensorFlow is loaded and
    before anything is locked or started; where it cannot be done, nothing changes.
    """
    if not hasattr(os, "fork"):
        return
    try:
        terminal = os.dup(2)
    except OSError:  # closed
        return
    reading, writing = os.pipe()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(writing)
        _pass_on(reading, terminal)
    os.close(reading)
    os.dup2(writing, 2)
    os.close(writing)
    sys.stderr = open(  # noqa: SIM115
        terminal, "w", buffering=1, encoding=sys.stderr.encoding, errors=sys.stderr.errors
    )
    atexit.register(_end, child, terminal)


def _pass_on(reading: int, terminal: int) -> None:
    """Copies lines until the last process that writes has ended; never returns."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # ends with its parent, whose words come last
        with open(reading, "rb") as lines:
            for line in lines:
                if not _FOR_DEVELOPERS.match(line):
                    os.write(terminal, line)
    finally:
        os._exit(0)


def _end(child: int, terminal: int) -> None:
    """Waits until all has been passed on, so that no line comes after the shell's prompt."""
    os.dup2(terminal, 2)
    os.waitpid(child, 0)
