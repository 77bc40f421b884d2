"""A training process that is asked to end, as batch systems and people do."""

import re
import signal
import subprocess
import sys

import pytest
import tensorflow as tf

from tests import records
from tests.programs.small_training import LIMIT, arguments, running


def command(data, model_dir, steps):
    # Jobs in the background of a shell ignore Ctrl-C, and so would the programs that they start.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from inatdet.__main__ import main; sys.exit(main())"
    )
    return [sys.executable, "-c", program, *arguments(data, model_dir, steps)]


def ended_by(number, started):
    """Sends a signal after the first loop of steps; the exit code and what was said."""
    with running(started) as process:
        lines = []
        for line in process.stderr:
            lines.append(line.rstrip())
            if line.startswith("step "):
                break
        process.send_signal(number)
        lines += process.stderr.read().splitlines()
        return process.wait(), lines


@pytest.mark.slow
def test_signals_end_a_run_that_goes_on_later(tmp_path):
    data, model_dir = records.write(tmp_path / "records"), tmp_path / "model"
    step = 0
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        ended, lines = ended_by(number, command(data, model_dir, 100_000))
        assert ended == code
        said = re.fullmatch(r"interrupted; the same command goes on from .*/ckpt-(\d+)", lines[-1])
        assert int(said[1]) > step
        if step:
            assert any(f"resuming from step {step} in" in line for line in lines)
        step = int(said[1])
        checkpoint = tf.train.load_checkpoint(str(model_dir))
        assert checkpoint.get_tensor("global_step/.ATTRIBUTES/VARIABLE_VALUE") == step
    last = 5 * (step // 5 + 2)
    done = subprocess.run(
        command(data, model_dir, last), check=True, stderr=subprocess.PIPE, timeout=LIMIT
    )
    assert tf.train.latest_checkpoint(str(model_dir)).endswith(f"ckpt-{last}")
    shown = [
        event.step
        for path in (model_dir / "train").iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
        if value.tag == "training_loss"
    ]
    assert {last - 5, last} <= set(shown)  # as if the run had not been interrupted
    assert b"Traceback" not in done.stderr
