"""Asynchronous training: who takes which steps, and with which images."""

import json
import subprocess
import sys

import pytest

from inatdet.detection.experiments import read_experiment
from inatdet.errors import InputError
from inatdet.training import asynchronous


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What `in_process_cluster` found."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.training.in_process_cluster", tmp_path_factory.mktemp("all")],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.slow
def test_all_steps_are_taken_and_all_workers_are_busy(found):
    first, second = found["steps"]
    assert first["0"] + first["1"] == first["global"] == 200
    assert min(first["0"], first["1"]) > 20
    assert 0 <= first["age"] < 2  # nearly as many as there are other workers
    # Steps that had begun when the end was asked for are completed, others are not begun.
    assert second["0"] + second["1"] == second["global"]
    assert 250 <= second["global"] <= 251
    assert second["text"] == f"worker 0 took {second['0']} steps, worker 1 took {second['1']}"


@pytest.mark.slow
@pytest.mark.parametrize("files", ["one file", "four files"])
def test_each_worker_has_its_own_part_of_the_images(found, files):
    one, other = found[files]
    assert sorted(one + other) == list(range(16))
    assert len(one) == len(other) == 8


@pytest.mark.slow
@pytest.mark.parametrize("task", ["detector", "classifier"])
def test_tasks_train(found, task):
    run = found[task]
    assert run["step"] == 10
    steps = [line for line in run["lines"] if line.startswith("step ")]
    assert [line.split(" |")[0] for line in steps] == ["step  5/10", "step 10/10"]
    assert run["last"]["worker_steps/0"] + run["last"]["worker_steps/1"] == 10
    assert run["lines"][-1].startswith("worker ")
    assert run["last"]["training_loss"] > 0


@pytest.mark.slow
def test_training_resumes(found):
    run = found["resumed"]
    assert run["step"] == 15
    assert any(line.startswith("resuming from step 10 in") for line in run["lines"])
    assert run["last"]["training_loss"] < found["classifier"]["last"]["training_loss"] + 0.5


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("runtime.mixed_precision_dtype=float16", "use bfloat16 or float32"),
        (
            "task.model.backbone.batch_norm=synchronised",
            "^task.model.backbone.batch_norm is synchronised, .* workers do not meet",
        ),
    ],
)
def test_what_workers_that_do_not_meet_cannot_do(setting, words):
    with pytest.raises(InputError, match=words):
        asynchronous.check(read_experiment([], setting))


def test_the_defaults_can_be_trained_asynchronously():
    asynchronous.check(read_experiment(["pipelines/species.yaml"]))
