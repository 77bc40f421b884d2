"""Signals while steps run, and where training ends then."""

import os
import signal
import threading
import time

import pytest
import tensorflow as tf

from inatdet.interruptions import SIGNALS
from inatdet.training.interruption import Interruption
from tests.interrupting import answer_that_must_come


@pytest.fixture
def handled():
    """The signals that reach whoever handled them before."""
    numbers = []

    def handle(number, frame):
        numbers.append(number)
        raise KeyboardInterrupt("as before")

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


def steps_until(interruption, number, at):
    """Counts the steps of a loop in a graph that gets a signal in one of them."""
    arrived = threading.Event()

    def send_and_wait():
        os.kill(os.getpid(), number)
        while not interruption.asked.numpy():  # the loop cannot be ahead of what it must notice
            arrived.wait(0.01)

    @tf.function
    def loop():
        done = tf.constant(0)
        while tf.logical_and(done < 1000, tf.logical_not(interruption.asked)):
            done += 1
            if done == at:
                tf.py_function(send_and_wait, [], [])
        return done

    return int(loop())


@pytest.mark.parametrize("number", SIGNALS)
def test_where_it_would_crash_tensorflow_it_ends_a_moment_later(handled, number):
    answers = []

    def run():
        with Interruption().heard():
            answers.append(answer_that_must_come(number))
            time.sleep(60)

    with pytest.raises(KeyboardInterrupt, match="as before"):
        run()
    assert (answers, handled) == (["an answer"], [number])


@pytest.mark.parametrize("number", SIGNALS)
def test_the_step_ends_and_what_was_trained_is_saved(handled, number):
    interruption = Interruption()
    saved = []

    def run():
        with interruption.heard():
            with interruption.in_steps():
                assert steps_until(interruption, number, 7) == 7
            assert not handled
            interruption.end_if_asked(lambda: saved.append(1))

    with pytest.raises(KeyboardInterrupt, match="as before"):
        run()
    assert saved == [1]
    assert handled == [number]


def test_outside_of_steps_it_ends_at_once(handled):
    interruption = Interruption()

    def run():
        with interruption.heard():
            signal.raise_signal(signal.SIGTERM)
            pytest.fail("goes on")

    with pytest.raises(KeyboardInterrupt, match="as before"):
        run()
    assert handled == [signal.SIGTERM]


def test_the_second_signal_does_not_wait(handled):
    interruption = Interruption()

    def run():
        with interruption.heard(), interruption.in_steps():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("goes on")

    with pytest.raises(KeyboardInterrupt, match="as before"):
        run()
    assert handled == [signal.SIGINT]


def test_without_a_signal_all_is_as_before(handled):
    before = [signal.getsignal(number) for number in SIGNALS]
    threads = threading.active_count()
    interruption = Interruption()
    with interruption.heard():
        with interruption.in_steps():
            pass
        interruption.end_if_asked(lambda: pytest.fail("nobody asked"))
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert signal.set_wakeup_fd(-1) == -1
    assert threading.active_count() == threads
    assert not interruption.asked.numpy()


def test_in_another_thread_nothing_is_handled():
    before = [signal.getsignal(number) for number in SIGNALS]
    seen = []

    def run():
        with Interruption().heard():
            seen.extend(signal.getsignal(number) for number in SIGNALS)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == before


def test_other_errors_pass(handled):
    with pytest.raises(ValueError, match="no signal"), Interruption().heard():
        raise ValueError("no signal")
    assert not handled


def test_who_ignores_a_signal_still_does(handled):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interruption = Interruption()
    with interruption.heard(), interruption.in_steps():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    assert not interruption.asked.numpy()


def test_a_process_that_agrees_to_end_saves_before_its_own_signal_counts(handled):
    interruption = Interruption(shared=True)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    # Another process was asked; this one learns of it after a step, and is asked while it saves.
    strategy.reduce = lambda op, value, axis: tf.constant(1)
    saved = []

    def save():
        os.kill(os.getpid(), signal.SIGTERM)
        saved.append(1)

    def run():
        with interruption.heard(), interruption.in_steps():
            interruption.end_if_asked(lambda: pytest.fail("nobody was asked yet"))
            assert interruption.agreed(strategy)
            interruption.end_if_asked(save)

    with pytest.raises(KeyboardInterrupt, match="as before"):
        run()
    assert saved == [1]
    assert handled == [signal.SIGTERM]
