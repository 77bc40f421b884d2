"""Ctrl-C and SIGTERM that count even where their exception gets lost.

Python handles signals between any two instructions of the main thread. If that is in a destructor,
or in what a library calls back, an exception is reported and forgotten; and libraries in C may
clear errors without a word. So a signal is remembered. What Python reports is raised again, and
long loops can ask. Where a library does not expect an exception and would crash, it is raised a
moment later; and where one would leave something half done, such as a lock that nobody releases,
signals are deferred.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, NamedTuple

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what batch systems and preemptible machines send before they end a process."""

_PAUSE = 0.05  # seconds after which the code that lost an exception has been left

# TensorFlow's C++ asks the objects of this module for attributes that are computed in Python, and
# uses the answer without looking for an exception: one there is a segmentation fault.
_CRASHING = os.path.join("tensorflow", "python", "eager", "context.py")

_came: list[signal.Signals] = []

Handler = Callable[[int, "FrameType | None"], object]
"""What handles a signal, from its number and the frame that it interrupted."""


def in_main_thread() -> bool:
    """Whether this thread is the main one, which alone can handle signals."""
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def heeded() -> Iterator[Sequence[signal.Signals]]:
    """A block which signals end with KeyboardInterrupt; yields those that came.

    Outside of the main thread, it does nothing.
    """
    if not in_main_thread():
        yield ()
        return
    hook = sys.unraisablehook
    try:
        with handled_by(_interrupt):
            sys.unraisablehook = _raising_again(hook)
            yield _came
    finally:
        sys.unraisablehook = hook
        _came.clear()


@contextlib.contextmanager
def handled_by(handle: Handler) -> Iterator[None]:
    """A block in which a function handles the signals that were not ignored before.

    Outside of the main thread, it does nothing.
    """
    if not in_main_thread():
        yield
        return
    # Shells have jobs in the background ignore Ctrl-C, and that is how it stays.
    numbers = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Noted(NamedTuple):
    """A signal that waits to be handled.

    Attributes:
        number: of the signal.
        at: when it came, by the monotonic clock, in seconds.
    """

    number: int
    at: float


@contextlib.contextmanager
def deferred() -> Iterator[Sequence[Noted]]:
    """A block that signals do not end; yields those that came, for the block to ask about.

    When it has ended, also by a KeyboardInterrupt of its own, the first one goes to whoever handled
    it before.

    Raises:
        KeyboardInterrupt: one came.
    """
    came: list[Noted] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(Noted(number, time.monotonic()))

    try:
        with handled_by(note):
            yield came
        if came:
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        if came:
            signal.raise_signal(came[0].number)
        raise


def raise_in_handler(number: int, frame: FrameType | None) -> None:
    """Raises KeyboardInterrupt; where that would crash a library, sends the signal again later.

    Args:
        number: of the signal that is being handled.
        frame: what it interrupted.
    """
    if frame is None or not frame.f_code.co_filename.endswith(_CRASHING):
        raise KeyboardInterrupt
    _send_again(number)


def raise_lost() -> None:
    """Raises KeyboardInterrupt if a signal came in `heeded` and this was reached all the same."""
    if _came:
        raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    _came.append(signal.Signals(number))
    raise_in_handler(number, frame)


def _raising_again(report: Callable[[Any], object]) -> Callable[[Any], None]:
    """A hook for errors that Python forgets; it reports all but interruptions."""

    def hook(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            report(unraisable)
            return
        _send_again(_came[-1] if _came else signal.SIGINT)

    return hook


def _send_again(number: int) -> None:
    """Sends this thread, the main one, a signal a moment later."""
    # Without the locks of `threading`, which the code that was interrupted may hold.
    with contextlib.suppress(RuntimeError):  # too late, Python is ending
        _thread.start_new_thread(_send_later, (threading.get_ident(), number))


def _send_later(thread: int, number: int) -> None:
    time.sleep(_PAUSE)
    signal.pthread_kill(thread, number)  # a real signal, which also ends waiting
