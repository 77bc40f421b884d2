"""Ending a training run between two steps when someone, or the machine, asks it to end.

Python runs its signal handlers between two of its own instructions, and a loop of training steps is
one instruction, which may take minutes. So a thread, which hears of a signal at once, sets a
variable that the loop looks at after each step. Where several processes take each step together,
they ask one another, so that a signal to one of them ends all after the same step.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import tensorflow as tf

from inatdet.interruptions import SIGNALS, handled_by, in_main_thread, raise_in_handler


class Interruption:
    """Whether a run was asked to end.

    Args:
        shared: whether processes take steps together and must end together; then this is created
            outside of their strategy's scope.

    Attributes:
        asked: bool variable, on the CPU, that the loop of steps reads.
    """

    def __init__(self, shared: bool = False) -> None:
        with tf.device("CPU:0"):
            self.asked = tf.Variable(False, trainable=False, name="asked_to_end")
            # Of any process; it says which steps were the last for all of them.
            self._agreed = tf.Variable(False, trainable=False) if shared else None
        self._number: int | None = None
        self._in_steps = False

    def agreed(self, strategy: tf.distribute.Strategy) -> tf.Tensor:
        """Whether steps are to end: bool `[]`, the same in all processes; in a graph.

        Args:
            strategy: all of whose processes call this after the same step.
        """
        if self._agreed is None:
            return self.asked.read_value()
        asked = strategy.run(lambda: tf.cast(self.asked.read_value(), tf.int32))
        ends = strategy.reduce(tf.distribute.ReduceOp.SUM, asked, axis=None) > 0
        self._agreed.assign(ends)
        return ends

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Notices signals while the block runs, and then hands them to whoever handled them before.

        Outside of the main thread, it does nothing.
        """
        if not in_main_thread():
            yield
            return
        try:
            with self._handling():
                yield
        except KeyboardInterrupt:
            if self._number is not None:
                signal.raise_signal(self._number)
            raise

    @contextlib.contextmanager
    def in_steps(self) -> Iterator[None]:
        """A block in which the first signal only sets `asked`; others end it at once."""
        self._in_steps = True
        try:
            yield
        finally:
            self._in_steps = False

    def end_if_asked(self, save: Callable[[], None]) -> None:
        """Ends the run if a signal came in `in_steps`, to this process or one that it agrees with.

        Args:
            save: is called before.

        Raises:
            KeyboardInterrupt: one came.
        """
        own = self._number is not None
        if own if self._agreed is None else self._agreed.numpy():
            save()
            # Not before: a signal to this process, too, must not end it while it saves.
            self._number = self._number or signal.SIGTERM
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def _handling(self) -> Iterator[None]:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        thread = threading.Thread(target=self._listen, args=(reading,), daemon=True)
        thread.start()
        try:
            with handled_by(self._handle):
                descriptor = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
                try:
                    yield
                finally:
                    signal.set_wakeup_fd(descriptor)
        finally:
            os.close(writing)  # which ends the thread
            thread.join()
            os.close(reading)

    def _listen(self, descriptor: int) -> None:
        while numbers := os.read(descriptor, 1):
            if numbers[0] in SIGNALS:
                # A lost server, which may hold the variable, ends the steps by itself.
                with contextlib.suppress(tf.errors.OpError):
                    self.asked.assign(True)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # The first, because one whose exception gets lost comes again, perhaps as another.
        again, self._number = self._number is not None, self._number or number
        if again or not self._in_steps:
            raise_in_handler(number, frame)
