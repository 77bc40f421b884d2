"""Training runs of several processes on this machine, for the benchmarks of distribution."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_RATE = re.compile(r"^step +(\d+)/\d+ \| loss ([\d.naif]+) .*\| ([\d.]+) images/s")


@dataclass
class Run:
    """What a training run said.

    Attributes:
        losses: the mean loss of each loop, by the step at its end.
        rates: images per second of each loop, by the same.
        last: the run's last line, for asynchronous training the steps of each worker.
        seconds: what the whole run took, with its start.
    """

    losses: dict[int, float] = field(default_factory=dict)
    rates: dict[int, float] = field(default_factory=dict)
    last: str = ""
    seconds: float = 0.0

    @property
    def images_per_second(self) -> float:
        """The median, without the first loop, which builds the graph."""
        return statistics.median(list(self.rates.values())[1:] or self.rates.values())


def train(
    model_dir: Path, records: str, config_file: str, strategy: str, workers: int, overrides: str
) -> Run:
    """Trains with one process, or with several that `inatdet launch` starts.

    Args:
        model_dir: where the model goes.
        records: the folder of the TFRecords.
        config_file: of pipelines/.
        strategy: `one_device` for one process; else see `inatdet launch`.
        workers: processes that compute gradients.
        overrides: more settings.
    """
    settings = (
        f"task.train_data.input_path={records}/train-*,"
        f"task.validation_data.input_path={records}/val-*,"
        f"task.taxonomy={records}/taxonomy.json,{overrides}"
    )
    arguments = [
        "train",
        f"--config_file={config_file}",
        f"--model_dir={model_dir}",
        f"--params_override={settings}",
    ]
    if strategy != "one_device":
        arguments = ["launch", f"--strategy={strategy}", f"--workers={workers}", "--", *arguments]
    run, lines, begin = Run(), [], time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "inatdet", *arguments], stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr or []:
            lines.append(line.rstrip())
            if match := _RATE.match(line):
                run.losses[int(match[1])] = float(match[2])
                run.rates[int(match[1])] = float(match[3])
    if process.returncode:
        raise RuntimeError("\n".join(["training failed:", *lines[-20:]]))
    run.last, run.seconds = lines[-1], time.monotonic() - begin
    return run


def say(row: Sequence[object], run: Run) -> None:
    """Tells the person who waits a row of the table to come, and the seconds that it took."""
    print(*row, f"{run.seconds:.0f} s", sep=", ", file=sys.stderr)
