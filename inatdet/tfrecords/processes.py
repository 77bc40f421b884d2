"""Work in several processes, which end when this one does, however it ends."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple, TypeVar, cast

from inatdet.errors import RunError

_R = TypeVar("_R")

Advance = Callable[[], object]
"""Called after each step of the work."""

CAN_FORK = sys.platform == "linux"
"""Elsewhere processes cannot be copied, or not once libraries have run."""

_ENDINGS = frozenset((signal.SIGINT, signal.SIGTERM))
_STOP = signal.SIGUSR1 if CAN_FORK else signal.SIGTERM  # from this process to its copies
_END_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
_REPORT_EVERY = 0.1  # seconds


class _Failed(NamedTuple):
    """An error in a process, and where it came from."""

    error: Exception
    trace: str


class _InProcessError(Exception):
    """Where an error in another process came from; shown above that error."""


class _StoppedError(BaseException):
    """Nobody waits for the result; like an interruption, this is for no other handler."""


class _Done(NamedTuple):
    """What a process found, and how many steps it has not reported."""

    result: Any
    steps: int


def in_processes(
    work: Callable[[str, Advance], _R],
    names: Sequence[str],
    at_once: int,
    advance: Callable[[int], object],
    finished: Callable[[str], object],
) -> list[_R]:
    """Does each piece of work in a process of its own, which is a copy of this one.

    The copy shares the memory of this process, so that nothing need be sent to it, and gives back
    what it took. A process whose libraries run threads, as TensorFlow does, should not be copied.

    Args:
        work: what to do, with a name and a function to call after each step.
        names: of the pieces of work.
        at_once: the most processes at a time.
        advance: called with numbers of steps that were done.
        finished: called with the name of each piece that is done.

    Returns:
        What `work` returned for each name.

    Raises:
        Exception: what `work` raised first. The other processes end after their next step, as they
            do when this one is interrupted.
        RunError: a process was killed.
    """
    fork = multiprocessing.get_context("fork")
    waiting = list(reversed(names))
    results: dict[str, _R] = {}
    running: dict[Connection, tuple[str, BaseProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                name = waiting.pop()
                reports, theirs = fork.Pipe(duplex=False)
                with theirs, _signals_held() as before:
                    others = (reports, *running)
                    copy = fork.Process(
                        target=_run, args=(work, name, theirs, others, os.getpid(), before)
                    )
                    _start(copy)
                    running[reports] = name, copy
            for ready in wait(list(running)):
                reports = cast(Connection, ready)
                name, process = running[reports]
                report = _next(reports, name, process)
                if isinstance(report, int):
                    advance(report)
                    continue
                if isinstance(report, _Failed):
                    raise report.error from _InProcessError(report.trace)
                process.join()
                reports.close()
                del running[reports]
                results[name] = report.result
                advance(report.steps)
                finished(name)
    finally:
        with _signals_held():
            for reports, (_, process) in running.items():
                if process.is_alive() and process.pid:
                    os.kill(process.pid, _STOP)
                reports.close()  # a process that reports much would wait for a reader
            for _, process in running.values():
                process.join()
    return [results[name] for name in names]


def _start(process: BaseProcess) -> None:
    """Starts a process.

    Raises:
        RunError: the system has no room for it.
    """
    try:
        process.start()
    except OSError as error:
        raise RunError(
            f"one more process cannot be started ({error.strerror}); use fewer --processes"
        ) from error


def _next(reports: Connection, name: str, process: BaseProcess) -> int | _Failed | _Done:
    """What a process reports next.

    Raises:
        RunError: it ended without a result.
    """
    try:
        found: int | _Failed | _Done = reports.recv()
        return found
    except (EOFError, OSError) as error:
        process.join()
        code = process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise RunError(
            f"{name}: the process that wrote it was ended ({how}), as happens where memory runs "
            "out; run the same command again, if need be with fewer --processes"
        ) from error


@contextlib.contextmanager
def _signals_held() -> Iterator[set[signal.Signals]]:
    """Holds signals back until the block ends; yields those that were held before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_ENDINGS, _STOP})
    try:
        yield {signal.Signals(number) for number in before}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(
    work: Callable[[str, Advance], _R],
    name: str,
    reports: Connection,
    others: Sequence[Connection],
    parent: int,
    signals: set[signal.Signals],
) -> None:
    """Does a piece of work in this process, a copy, and reports what comes of it."""
    # Keyboards and batch systems send signals to all processes; the first one ends the others.
    for number in _ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    progress = _Progress(reports)
    signal.signal(_STOP, progress.stop)
    ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        return
    signal.pthread_sigmask(signal.SIG_SETMASK, signals)
    for other in others:  # while a copy holds it open, nobody notices that it is closed
        other.close()
    gc.freeze()  # its memory is shared for as long as nothing writes to it, as this collector does
    with contextlib.suppress(_StoppedError, BrokenPipeError):
        try:
            result = work(name, progress.advance)
        except Exception as error:  # noqa: BLE001 - raised again in the other process
            reports.send(_Failed(error, traceback.format_exc()))
        else:
            reports.send(_Done(result, progress.steps))


class _Progress:
    """Reports steps, many at a time, and gives up after one if nobody waits for the result."""

    def __init__(self, reports: Connection):
        self._reports = reports
        self._next = time.monotonic() + _REPORT_EVERY
        self._stopped = False
        self.steps = 0

    def stop(self, number: int, frame: object) -> None:
        # An error that was raised here might interrupt the removal of an unfinished file.
        self._stopped = True

    def advance(self) -> None:
        if self._stopped:
            raise _StoppedError
        self.steps += 1
        if (now := time.monotonic()) >= self._next:
            self._reports.send(self.steps)
            self._next, self.steps = now + _REPORT_EVERY, 0
