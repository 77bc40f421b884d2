"""Saving where the disk is full, or cannot be written, for a while."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import time
from collections.abc import Callable
from typing import TypeVar

import orbit
import tensorflow as tf

from inatdet.errors import RunError, reason_of
from inatdet.training.durations import duration

_PAUSE = 5.0  # seconds between two attempts
_NAP = 0.5  # seconds after which it is noticed that the run is to end
_LONGEST_QUEUE, _NEVER = 1 << 20, 1 << 30  # summaries, and milliseconds

_Result = TypeVar("_Result")


class Saver:
    """Tries to save until it succeeds, or too long.

    Args:
        place: the folder, for messages.
        seconds: how long to go on trying.
        is_asked_to_end: whether somebody asked the run to end, so that there is no time to wait.
        notify: is told when saving fails and when it succeeds again.
    """

    def __init__(
        self,
        place: str,
        seconds: float,
        is_asked_to_end: Callable[[], bool],
        notify: Callable[[str], None],
    ):
        self._place, self._seconds = place, seconds
        self._is_asked_to_end, self._notify = is_asked_to_end, notify

    def __call__(
        self, what: str, save: Callable[[], _Result], clean_up: Callable[[], None]
    ) -> _Result:
        """Saves.

        Args:
            what: is saved, for messages: `the checkpoint of step 7`.
            save: does it.
            clean_up: removes what a failed attempt left.

        Raises:
            RunError: it failed for too long.
            KeyboardInterrupt: the run was asked to end meanwhile.
        """
        started = None
        while True:
            try:
                result = save()
            except (OSError, tf.errors.OpError) as error:
                reason = _reason_of(error)
                with contextlib.suppress(OSError):
                    clean_up()
                if started is None:
                    started = time.monotonic()
                    self._notify(
                        f"warning: {self._place}: {what} cannot be saved ({reason}); training "
                        f"waits for up to {duration(self._seconds)} and goes on when it can"
                    )
                if not self._wait(started + self._seconds):
                    raise RunError(
                        f"{self._place}: {what} could not be saved for "
                        f"{duration(time.monotonic() - started)} ({reason}); free space there or "
                        "change its permissions, and run the same command again"
                    ) from error
            else:
                if started is not None:
                    took = duration(time.monotonic() - started)
                    self._notify(f"{self._place}: {what} is saved after {took}; training goes on")
                return result

    def _wait(self, end: float) -> bool:
        """Waits until the next attempt; whether there is to be one before the end."""
        now = time.monotonic()
        following = min(now + _PAUSE, end)
        while time.monotonic() < following:
            if self._is_asked_to_end():
                raise KeyboardInterrupt
            time.sleep(_NAP)
        return now < end


def _reason_of(error: Exception) -> str:
    """What the system says, where TensorFlow's words for an error have it."""
    text = str(error)
    words = (os.strerror(number) for number in errno.errorcode)
    return next((said for said in words if said in text), reason_of(error))


class Summaries(orbit.utils.SummaryManager):
    """Orbit's, but a full disk costs summaries, and not the run.

    Args:
        folder: for TensorBoard's files.
        step: the step counter.
        notify: is told once.
    """

    def __init__(self, folder: str, step: tf.Variable, notify: Callable[[str], None]):
        super().__init__(folder, tf.summary.scalar, global_step=step)
        self._folder, self._notify, self._has_told = folder, notify, False

    def summary_writer(self, relative_path: str = "") -> tf.summary.SummaryWriter:
        """A writer for a folder below; one that writes nowhere if no file can be made."""
        if relative_path not in self._summary_writers:
            path = os.path.join(self._folder, relative_path)
            try:
                # It writes when it is told to, so that nothing else can fail.
                writer = tf.summary.create_file_writer(
                    path, max_queue=_LONGEST_QUEUE, flush_millis=_NEVER
                )
            except tf.errors.OpError as error:
                self._tell(error)
                return tf.summary.create_noop_writer()
            writer.flush = functools.partial(self._flush, relative_path, writer.flush)
            self._summary_writers[relative_path] = writer
        return self._summary_writers[relative_path]

    def flush(self) -> None:
        """Writes what was summarized."""
        for writer in list(self._summary_writers.values()):
            writer.flush()

    def _flush(self, relative_path: str, flush: Callable[[], object]) -> None:
        try:
            flush()
        except tf.errors.OpError as error:
            # What follows goes to a new file, because nothing can be read behind half a record.
            self._summary_writers.pop(relative_path, None)
            self._tell(error)

    def _tell(self, error: tf.errors.OpError) -> None:
        if not self._has_told:
            self._notify(
                f"warning: {self._folder}: summaries cannot be written ({_reason_of(error)}); they "
                "are lost until they can be"
            )
        self._has_told = True


class Log(io.TextIOBase):
    """Lines added to a file that nobody misses; a full disk is no reason to end.

    Args:
        path: the file.
    """

    def __init__(self, path: str):
        self._path = path

    def write(self, text: str) -> int:
        """Adds some text, if there is room."""
        with contextlib.suppress(OSError), open(self._path, "a", encoding="utf-8") as file:
            file.write(text)
        return len(text)
