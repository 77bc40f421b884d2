"""Signals whose exceptions get lost."""

import contextlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from inatdet import interruptions
from inatdet.interruptions import SIGNALS, deferred, heeded, raise_lost
from tests.interrupting import answer_that_must_come


@pytest.fixture(autouse=True)
def nothing_is_ignored():
    """Shells have what runs in the background ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Fragile:
    """Loses the exception of a signal that comes while it is removed."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        signal.raise_signal(self.number)


def go_on():
    """What a program does after an exception has got lost; it has a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass
    pytest.fail("the interruption stays lost")


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_lost_in_a_destructor_is_raised_again(number, capsys):
    def run():
        with heeded() as came:
            Fragile(number)
            assert list(came) == [number]
            try:
                go_on()
            finally:
                assert set(came) == {number}

    with pytest.raises(KeyboardInterrupt):
        run()
    assert not capsys.readouterr().err, "Python would report what it ignores"


def test_it_is_raised_again_as_often_as_it_gets_lost():
    class Twice(Fragile):
        def __del__(self):
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(self.number)
            go_on()

    def run():
        with heeded():
            Fragile(signal.SIGINT)
            Twice(signal.SIGTERM)
            go_on()

    with pytest.raises(KeyboardInterrupt):
        run()


def test_what_is_lost_without_a_word_is_raised_where_one_asks():
    def run(came):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        assert list(came) == [signal.SIGTERM]
        raise_lost()

    with heeded() as came:
        raise_lost()  # nothing came yet
        with pytest.raises(KeyboardInterrupt):
            run(came)
    raise_lost()  # it is over


def test_where_it_would_crash_a_library_it_is_raised_a_moment_later():
    answers = []

    def run():
        with heeded():
            answers.append(answer_that_must_come(signal.SIGINT))
            time.sleep(60)

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run()
    assert answers == ["an answer"]
    assert time.monotonic() - begin < 30, "what waits is ended, too"


INTERRUPTED_CONVERSION = """
import signal, time
import tensorflow as tf
from tensorflow.python.eager import context
from inatdet.interruptions import heeded

def handle(self):
    signal.raise_signal(signal.SIGINT)
    return self._context_handle

tf.constant([1])
handle.__code__ = handle.__code__.replace(co_filename=context.__file__)
context.Context._handle = property(handle)
with heeded():
    try:
        tf.constant([1])
        time.sleep(60)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.slow
def test_tensorflow_survives_it():
    run = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_CONVERSION],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, "interrupted\n"), run.stderr


def test_what_is_deferred_comes_after_the_block():
    done = []

    def run(came):
        with deferred() as noted:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            assert [one.number for one in noted] == [signal.SIGTERM, signal.SIGINT]
            assert noted[0].at <= noted[1].at <= time.monotonic()
            assert not came
            done.append("all of the block")
        pytest.fail("the interruption was forgotten")

    with heeded() as came:
        with pytest.raises(KeyboardInterrupt):
            run(came)
        assert list(came) == [signal.SIGTERM]
    assert done == ["all of the block"]


def test_a_block_that_ends_itself_is_ended_by_the_signal_that_came():
    def run():
        with deferred() as noted:
            signal.raise_signal(signal.SIGTERM)
            assert noted
            raise KeyboardInterrupt

    with heeded() as came:
        with pytest.raises(KeyboardInterrupt):
            run()
        assert list(came) == [signal.SIGTERM]


def test_without_a_signal_a_block_that_defers_ends_as_it_does():
    handlers = [signal.getsignal(number) for number in SIGNALS]
    with deferred() as noted:
        assert not noted
    for error in (KeyboardInterrupt, ValueError):
        with heeded() as came, pytest.raises(error), deferred():
            raise error
        assert not came
    assert [signal.getsignal(number) for number in SIGNALS] == handlers


def test_without_a_signal_all_is_as_before():
    hook, handlers = sys.unraisablehook, [signal.getsignal(number) for number in SIGNALS]
    with heeded():
        assert sys.unraisablehook != hook
    assert sys.unraisablehook == hook
    assert [signal.getsignal(number) for number in SIGNALS] == handlers


def test_other_errors_are_reported(monkeypatch):
    class Wrong:
        def __del__(self):
            raise ValueError("wrong")

    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda one: reported.append(one.exc_type))
    with heeded():
        Wrong()
    assert reported == [ValueError]


def test_who_ignores_a_signal_still_does():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with heeded() as came:
        signal.raise_signal(signal.SIGINT)
        assert not came


def test_in_another_thread_nothing_is_handled():
    seen = []

    def run():
        with interruptions.heeded() as came:
            seen.extend([came, signal.getsignal(signal.SIGTERM)])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [(), signal.getsignal(signal.SIGTERM)]
