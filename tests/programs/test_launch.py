"""Clusters of real processes that lose some of their own."""

import os
import re
import signal
import subprocess
import sys
import threading

import pytest
import tensorflow as tf

from tests import records
from tests.programs.small_training import LIMIT, arguments

MORE = 150  # steps that take longer than killing a process


class Launched:
    """`inatdet launch` with a small classifier, and what it says."""

    def __init__(self, data, model_dir, strategy, steps, *flags, mode="train"):
        command = [
            *(sys.executable, "-m", "inatdet", "launch", f"--strategy={strategy}", *flags, "--"),
            *arguments(data, model_dir, steps, mode),
        ]
        self.lines = []
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self._limit = threading.Timer(LIMIT, self.process.kill)

    def __enter__(self):
        self._limit.start()
        return self

    def __exit__(self, *error):
        self.process.terminate()
        self.process.communicate()
        self._limit.cancel()

    def wait_for(self, start):
        """Reads on to a line that begins so; the line."""
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if line.startswith(start):
                return line.rstrip()
        raise AssertionError("\n".join([f"no line {start!r}", *self.lines]))

    def code(self):
        """Reads to the end; the exit code."""
        self.lines += self.process.stderr.read().splitlines()
        return self.process.wait()

    def pid(self, name):
        """The number of the process that was last started under a name."""
        found = [re.search(rf"{name} \(process (\d+)\)", line) for line in self.lines]
        return int([match[1] for match in found if match][-1])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    # In validation, one of two workers has a batch more than the other.
    return records.write(tmp_path_factory.mktemp("records"), count=15)


def step_in(model_dir):
    checkpoint = tf.train.load_checkpoint(str(model_dir))
    return int(checkpoint.get_tensor("global_step/.ATTRIBUTES/VARIABLE_VALUE"))


@pytest.mark.slow
def test_asynchronous_training_outlives_its_processes(data, tmp_path):
    model_dir = tmp_path / "model"
    with Launched(data, model_dir, "parameter_server", 100_000) as run:
        run.wait_for("step ")
        os.kill(run.pid("worker 1"), signal.SIGKILL)
        assert "was ended by SIGKILL" in run.wait_for("worker 1 ")
        assert "the others go on" in run.wait_for("starting worker 1 again")
        run.wait_for("started worker 1 ")
        run.wait_for("step ")
        run.process.send_signal(signal.SIGTERM)
        assert run.code() == 143, run.lines
    reached = step_in(model_dir)
    assert reached > 5
    # The same goes on; a server that is lost takes everything back to the newest checkpoint.
    last = 5 * (reached // 5) + MORE
    with Launched(data, model_dir, "parameter_server", last, "--evaluator", "--workers=1") as run:
        run.wait_for(f"resuming from step {reached} in")
        run.wait_for("step ")
        os.kill(run.pid("ps 0"), signal.SIGKILL)
        run.wait_for("starting all again in 1 s from ckpt-")
        run.wait_for("resuming from step ")
        assert run.code() == 0, run.lines
    assert last <= step_in(model_dir) <= last + 2
    text = (model_dir / "logs" / "evaluator-0.log").read_text()
    assert re.search(rf"validation at step {step_in(model_dir)} \| loss \d", text)


@pytest.mark.slow
def test_synchronous_training_outlives_its_processes(data, tmp_path):
    model_dir = tmp_path / "model"
    with Launched(data, model_dir, "multi_worker_mirrored", 100_000) as run:
        run.wait_for("step ")
        os.kill(run.pid("worker 1"), signal.SIGTERM)  # and both end, after the same step
        assert run.code() == 130, run.lines
    reached = step_in(model_dir)
    assert reached > 0
    assert f"ckpt-{reached}" in (model_dir / "logs" / "worker-0.log").read_text().splitlines()[-1]
    last = 5 * (reached // 5) + MORE
    mode = "train_and_eval"
    with Launched(data, model_dir, "multi_worker_mirrored", last, mode=mode) as run:
        run.wait_for(f"resuming from step {reached} in")
        run.wait_for("step ")
        os.kill(run.pid("worker 1"), signal.SIGKILL)
        run.wait_for("starting all again in 1 s from ckpt-")
        assert run.code() == 0, run.lines
    assert step_in(model_dir) == last
    texts = [(model_dir / "logs" / f"worker-{i}.log").read_text() for i in range(2)]
    one, other = (re.findall(r"^validation at step .*", text, re.MULTILINE)[-1] for text in texts)
    assert one == other, "the losses of all images"
    assert one.startswith(f"validation at step {last} | loss ")
    assert "nan" not in one


def run(*words):
    return subprocess.run(
        [sys.executable, "-m", "inatdet", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "TF_CONFIG": ""},
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "the command to start is missing"),
        (["--", "detect"], "the command to start is missing"),
        (["--", "train", "--config_file=a"], "has no --model_dir"),
        (["--", "train", "--model_dir=a"], "has no --config_file"),
        (["--", "train", "--config_file=a", "--model_dir=a", "--mode=eval"], "--mode=eval"),
    ],
)
def test_commands_that_cannot_be_started(given, words):
    result = run("launch", *given)
    assert result.returncode == 2
    assert words in result.stderr


def test_gpus_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    result = run(
        "launch", "--num_gpus=2", "--", "train", "--config_file=a", f"--model_dir={tmp_path}/model"
    )
    assert result.returncode == 2
    assert "--num_gpus=2, but CUDA_VISIBLE_DEVICES names 1; set --num_gpus=1" in result.stderr
    assert not (tmp_path / "model").exists()
