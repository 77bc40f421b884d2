"""Do plans come true? Each run is planned, then made.

    python -m benchmarks.planning --records=runs/demo/records

Plans and trains with each of the pipelines in --pipelines, from random weights, for --steps steps,
in processes of their own one after the other, so that other work on the machine disturbs both alike
or, if it begins in between, one alone. Printed are the time of the whole training beside the range
that was planned, the size of a checkpoint and the peak of memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from absl import app, flags

from benchmarks.measuring import print_table
from inatdet.training.durations import duration

_RECORDS = flags.DEFINE_string(
    "records", None, "A folder of records of the mini dataset.", required=True
)
_STEPS = flags.DEFINE_integer("steps", 200, "Steps of each training.", lower_bound=20)
_PIPELINES = flags.DEFINE_list(
    "pipelines", ["mini_generic", "mini_species", "mini_classification"], "Files of pipelines/."
)


def main(argv: Sequence[str]) -> None:
    """Plans, trains and compares."""
    del argv
    rows = [_row(pipeline) for pipeline in _PIPELINES.value]
    print_table(
        (
            "pipeline",
            "planned",
            "true",
            "in the range",
            "checkpoint, planned",
            "true",
            "memory, planned",
            "true",
        ),
        rows,
    )


def _row(pipeline: str) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "task.taxonomy": f"{_RECORDS.value}/taxonomy.json",
            "task.train_data.input_path": f"{_RECORDS.value}/train-*.tfrecord",
            "trainer.train_steps": _STEPS.value,
            "trainer.checkpoint_interval": _STEPS.value,
        }
        overrides = ",".join(f"{name}={value}" for name, value in settings.items())
        run = [f"--config_file=pipelines/{pipeline}.yaml", f"--params_override={overrides}"]
        planned = subprocess.run(
            [sys.executable, "-m", "inatdet", "plan", "--json", *run],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        plan = json.loads(planned.stdout)
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "inatdet", "train", f"--model_dir={folder}/model", *run]
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = status  # it has been waited for
        if status:
            raise RuntimeError(f"{pipeline}: the training failed")
        size = sum(
            entry.stat().st_size
            for entry in os.scandir(f"{folder}/model")
            if entry.name.startswith(f"ckpt-{_STEPS.value}.")
        )
    total = plan["total"]
    return (
        pipeline,
        f"{duration(total['least'])} to {duration(total['most'])}",
        duration(seconds),
        "yes" if total["least"] <= seconds <= total["most"] else "no",
        f"{plan['checkpoint_bytes'] / 1e6:.1f} MB",
        f"{size / 1e6:.1f} MB",
        f"{plan['memory_bytes'] / 2**30:.2f} GiB",
        f"{usage.ru_maxrss / 2**20:.2f} GiB",
    )


if __name__ == "__main__":
    app.run(main)
