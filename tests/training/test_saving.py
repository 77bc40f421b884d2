"""Checkpoints on a disk that is full, or away, for a while: files really cannot be written."""

import contextlib
import os
import resource

import numpy as np
import orbit
import pytest
import tensorflow as tf

from inatdet.errors import RunError
from inatdet.networks import checkpoints
from inatdet.training import saving
from inatdet.training.interruption import Interruption
from inatdet.training.saving import Log, Saver, Summaries
from inatdet.training.trainer import Controller

FULL = "File too large"  # what the system says at the limit on the size of files


@contextlib.contextmanager
def no_room(limit=20_000):
    """No file can become larger, as if there were no more room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Clock:
    """Time that passes where somebody sleeps; what happens then can be said."""

    def __init__(self):
        self.now, self.events = 0.0, {}

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        for time in [time for time in self.events if time <= self.now]:
            self.events.pop(time)()


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(saving, "time", clock)
    return clock


class Trainer(orbit.AbstractTrainer):
    """Counts steps; its weights are larger than there is room for."""

    def __init__(self):
        self.interruption = Interruption()
        self.step = tf.Variable(0, dtype=tf.int64)
        self.weights = tf.Variable(np.zeros(10_000))

    def train(self, num_steps):
        self.step.assign_add(tf.cast(num_steps, tf.int64))
        self.weights.assign_add(np.ones(10_000))
        return {}


@pytest.fixture
def training(tmp_path):
    """A function that trains to a step, saving every five, and what it said."""
    trainer, told = Trainer(), []
    folder = tmp_path / "model"
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(weights=trainer.weights, step=trainer.step),
        str(folder),
        max_to_keep=2,
        step_counter=trainer.step,
        checkpoint_interval=5,
    )
    asked = trainer.interruption.asked
    controller = Controller(
        global_step=trainer.step,
        trainer=trainer,
        checkpoint_manager=manager,
        checkpoint=None,
        saver=Saver(str(folder), 60, lambda: bool(asked.numpy()), told.append),
        most_recoveries=0,
        recovered=lambda *_: None,
        train_actions=[],
        steps_per_loop=5,
    )
    controller.train(10)
    assert told == []

    def train(step):
        controller.train(step)
        return told

    train.trainer, train.told, train.folder = trainer, told, folder
    return train


def whole(folder):
    return [
        int(name[5:-6])
        for name in sorted(os.listdir(folder))
        if name.endswith(".index") and not checkpoints.fault_of(str(folder / name[:-6]))
    ]


def test_the_run_waits_for_room_and_goes_on(training, clock):
    with contextlib.ExitStack() as disk:
        disk.enter_context(no_room())
        clock.events[12] = lambda: (
            kept.extend(whole(training.folder)),
            left.extend(os.listdir(training.folder)),
            disk.close(),
        )
        kept, left = [], []
        told = training(20)
    assert kept == [10, 5], "nothing older is lost meanwhile"
    assert not [name for name in left if "temp" in name or "ckpt-15" in name]
    assert told == [
        f"warning: {training.folder}: the checkpoint of step 15 cannot be saved ({FULL}); training "
        "waits for up to 1 min and goes on when it can",
        f"{training.folder}: the checkpoint of step 15 is saved after 15 s; training goes on",
    ]
    assert whole(training.folder) == [15, 20]
    saved = tf.train.load_checkpoint(str(training.folder / "ckpt-15"))
    assert saved.get_tensor("weights/.ATTRIBUTES/VARIABLE_VALUE")[0] == 3


def test_without_room_for_too_long_the_run_ends_in_one_sentence(training, clock):
    with no_room(), pytest.raises(RunError) as caught:
        training(20)
    assert str(caught.value) == (
        f"{training.folder}: the checkpoint of step 15 could not be saved for 1 min ({FULL}); free "
        "space there or change its permissions, and run the same command again"
    )
    assert clock.now == 60
    assert whole(training.folder) == [10, 5]
    assert len(training.told) == 1, "it warns once"
    assert not any(path.is_dir() for path in training.folder.iterdir())


def test_a_run_that_is_asked_to_end_does_not_wait(training, clock):
    clock.events[7] = lambda: training.trainer.interruption.asked.assign(True)
    with no_room(), pytest.raises(KeyboardInterrupt):
        training(20)
    assert 7 <= clock.now < 8
    assert whole(training.folder) == [10, 5]


def test_a_disk_that_is_away_for_a_while(training, clock):
    away = training.folder.with_name("away")
    os.rename(training.folder, away)
    training.folder.touch()  # or TensorFlow would make the folder again

    def back():
        os.remove(training.folder)
        os.rename(away, training.folder)

    clock.events[8] = back
    told = training(15)
    assert "not a directory" in told[0]
    assert whole(training.folder) == [10, 15]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            tf.errors.ResourceExhaustedError(
                None, None, "{{function_node __wrapped__}} /m/ckpt_temp/part; No space left on "
                "device [Op:SaveV2]"
            ),
            "No space left on device",
        ),
        (
            tf.errors.PermissionDeniedError(None, None, "/m/x; Read-only file system [Op:SaveV2]"),
            "Read-only file system",
        ),
        (OSError(28, "No space left on device"), "No space left on device"),
        (tf.errors.UnknownError(None, None, "something\nelse"), "something else"),
    ],
)  # fmt: skip
def test_the_reason_is_the_systems(clock, error, reason):
    told = []

    def save():
        if not told:
            raise error
        return 7

    assert Saver("m", 3600, lambda: False, told.append)("it", save, lambda: None) == 7
    assert told[0] == (
        f"warning: m: it cannot be saved ({reason}); training waits for up to 1 h and goes on when "
        "it can"
    )
    assert len(told) == 2


def test_other_errors_pass(clock):
    def save():
        raise ValueError("no disk")

    with pytest.raises(ValueError, match="no disk"):
        Saver("m", 60, lambda: False, pytest.fail)("it", save, lambda: None)
    assert clock.now == 0


def test_a_full_disk_costs_summaries_alone(tmp_path):
    step, told = tf.Variable(0, dtype=tf.int64), []
    summaries = Summaries(str(tmp_path / "train"), step, told.append)

    def loop(number):
        """As Orbit's controller and the pictures of validation do."""
        step.assign(number)
        with summaries.summary_writer().as_default():
            tf.summary.text("long", "x" * 2000, step=step)
        summaries.write_summaries({"loss": tf.constant(float(number))})
        summaries.flush()

    loop(1)
    assert told == []
    with no_room(2500):
        for number in range(2, 6):
            loop(number)
    for number in range(6, 30):  # more than TensorFlow keeps by itself
        loop(number)
    (line,) = told
    assert line.startswith(f"warning: {tmp_path}/train: summaries cannot be written ({FULL}); ")
    found = set()
    for path in (tmp_path / "train").iterdir():
        with contextlib.suppress(tf.errors.DataLossError):  # half a record at the end
            for event in tf.compat.v1.train.summary_iterator(str(path)):
                found |= {event.step for value in event.summary.value if value.tag == "loss"}
    assert {1, *range(6, 30)} <= found


def test_summaries_without_any_room(tmp_path):
    (tmp_path / "file").touch()
    told = []
    summaries = Summaries(str(tmp_path / "file" / "train"), tf.Variable(0), told.append)
    with summaries.summary_writer().as_default():
        summaries.write_summaries({"loss": tf.constant(1.0)})
    summaries.flush()
    assert len(told) == 1 and "summaries cannot be written" in told[0]


def test_a_log_that_cannot_be_written_is_no_reason_to_end(tmp_path):
    log = Log(str(tmp_path / "a.log"))
    with contextlib.redirect_stdout(log):
        print("one", flush=True)
        with no_room(10):
            print("longer than ten bytes")
        print("three")
    assert (tmp_path / "a.log").read_text().startswith("one\n")
    assert (tmp_path / "a.log").read_text().endswith("three\n")
    print("nowhere", file=Log(str(tmp_path / "missing" / "a.log")))
