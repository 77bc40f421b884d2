"""Kills a process of asynchronous training again and again, and counts what survived.

    python -m benchmarks.cluster_kills --records=runs/mini/records --work_dir=DIR

Two workers train a tiny detector, as `inatdet launch` starts them, but with short pauses before a
lost process is started again. One of the workers gets SIGKILL at a random moment, and another one
when the lost one has been started again. Every third time the moment is drawn from the seconds that
the first start took to its first steps, else it comes within a second of the chief's first, second
or third report of steps. Then one worker trains, and the parameter server is killed, which takes
all processes back to the newest checkpoint.

After the last kill training is asked to end, and is started once more, undisturbed. All has
survived if every start went on from the newest checkpoint, and the last one has taken all steps.

What was counted is kept in DIR: a run that was interrupted goes on. To count again, remove DIR.
"""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from absl import app, flags

from benchmarks import tiny
from benchmarks.measuring import print_table
from inatdet.networks import checkpoints
from inatdet.training.cluster import ASYNCHRONOUS, SERVER, WORKER
from inatdet.training.launch_plan import Plan
from inatdet.training.launching import Launch

_RECORDS = flags.DEFINE_string("records", None, "The mini dataset's.", required=True)
_WORK_DIR = flags.DEFINE_string("work_dir", None, "Folder for the models.", required=True)
_KILLED = flags.DEFINE_list("killed", [WORKER, SERVER], "Which kinds of process.")
_KILLS = flags.DEFINE_integer("kills", 20, "How often each is killed.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the moments.")

_SAVE_EVERY = 20
_ENDLESS = 1_000_000
_MORE = 100  # steps of the last start


class Cluster:
    """Trains with some workers, and hears what the launcher says.

    Args:
        workers: how many.
        model_dir: the model's folder.
        steps: after how many training is done.
    """

    def __init__(self, workers: int, model_dir: str, steps: int):
        settings = (
            f"{tiny.detector(steps, _SAVE_EVERY)},{tiny.data(os.path.abspath(_RECORDS.value))},"
            f"runtime.distribution_strategy={ASYNCHRONOUS}"
        )
        command = [
            *(sys.executable, "-m", "inatdet", "train"),
            "--config_file=pipelines/mini_species.yaml",
            f"--model_dir={model_dir}",
            f"--params_override={settings}",
        ]
        plan = Plan(command, ASYNCHRONOUS, workers, os.path.join(model_dir, "logs"))
        self.launch = Launch(
            plan, lambda: checkpoints.latest(model_dir), self.hear, max_restarts=1000, pause=0.01
        )
        self.newest, self.wrong = 0, 0  # the step of the newest checkpoint; starts from another
        self.resumed = 0

    def hear(self, line: str) -> None:
        """Hears what the launcher or the chief says."""
        if match := re.match(r"starting all again in .* from .*-(\d+)$", line):
            self.newest = int(match[1])
        if match := re.match(r"resuming from step (\d+) in", line):
            self.resumed += 1
            self.wrong += int(match[1]) < self.newest


class Killing(Cluster):
    """Trains, and kills processes until that was done often enough; then asks training to end.

    Args:
        job: which processes.
        workers: how many workers there are.
        model_dir: the model's folder.
        counted: what was counted so far.

    Attributes:
        is_over: whether training was asked to end.
    """

    def __init__(self, job: str, workers: int, model_dir: str, counted: tiny.Counted):
        super().__init__(workers, model_dir, _ENDLESS)
        self._job, self._counted = job, counted
        self._processes: dict[str, int] = {}
        self._begin, self._until_steps = time.monotonic(), 0.0
        self._reports_left = 0  # of steps, before a process is killed; 0 or less for never
        self._all_are_there = True
        self.is_over = False

    def hear(self, line: str) -> None:
        """Kills the next process a while after it, or another, was started."""
        super().hear(line)
        if self.is_over:
            return
        if line.startswith("step "):
            self._reports_left -= 1
            if not self._until_steps:
                self._until_steps = time.monotonic() - self._begin
                self._draw_moment()
            elif self._reports_left == 0:
                self._kill_after(random.uniform(0, 1))
        started = re.findall(rf"({self._job} \d+) \(process (\d+)\)", line)
        if line.startswith("started ") and started:
            self._all_are_there = True
            self._processes |= {name: int(process) for name, process in started}
            if self._until_steps:
                self._draw_moment()
        if re.match(rf"{self._job} \d+ was ended by SIGKILL", line):
            self._all_are_there = False
            self._counted.values["kills"] += 1
            self._counted.save()
            print(f"{self._job}: {self._counted.values['kills']} times", file=sys.stderr)
        is_enough = self._counted.values["kills"] >= _KILLS.value and self._all_are_there
        if line.startswith("step ") and is_enough:
            self.is_over = True
            raise KeyboardInterrupt

    def _draw_moment(self) -> None:
        self._reports_left = 0
        if self._counted.values["kills"] >= _KILLS.value:
            return
        if random.random() < 1 / 3:
            self._kill_after(random.uniform(0, self._until_steps))
        else:
            self._reports_left = random.randint(1, 3)

    def _kill_after(self, seconds: float) -> None:
        process = random.choice(sorted(self._processes.values()))
        threading.Timer(seconds, _kill, [process]).start()


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def disturbed(job: str, work: str) -> tuple[object, ...]:
    """Kills processes of a kind, and lets training finish; a row of the table."""
    model_dir = os.path.join(work, job)
    counted = tiny.Counted(os.path.join(work, f"{job}.json"), {"kills": 0, "resumed": 0})
    workers = 2 if job == WORKER else 1
    begin, wrong = time.monotonic(), 0
    if counted.values["kills"] < _KILLS.value:
        killing = Killing(job, workers, model_dir, counted)
        try:
            killing.launch.run()
        except KeyboardInterrupt:
            if not killing.is_over:
                raise
        wrong = killing.wrong
        counted.values["resumed"] += killing.resumed
        counted.save()
    reached = checkpoints.step_of(checkpoints.newest_whole(model_dir) or "")
    last = (reached // _SAVE_EVERY) * _SAVE_EVERY + _MORE
    finishing = Cluster(workers, model_dir, last)
    finishing.newest = reached
    finishing.launch.run()
    wrong += finishing.wrong + (finishing.resumed != 1)
    end = checkpoints.newest_whole(model_dir) or ""
    # Updates are at least once: a step that was lost in the middle is counted twice.
    is_done = bool(end) and last <= checkpoints.step_of(end) <= last + workers
    return (
        job,
        counted.values["kills"],
        counted.values["resumed"] + finishing.resumed,
        wrong,
        "yes" if is_done else f"no, {end}",
        f"{(time.monotonic() - begin) / 60:.0f}",
    )


def main(argv: Sequence[str]) -> None:
    """Kills and prints."""
    del argv
    random.seed(_SEED.value)
    work = os.path.abspath(_WORK_DIR.value)
    os.makedirs(work, exist_ok=True)
    rows = [disturbed(job, work) for job in _KILLED.value]
    print_table(
        (
            "killed",
            "times",
            "starts of all that went on",
            "from older steps",
            "finished",
            "minutes",
        ),
        rows,
    )


if __name__ == "__main__":
    app.run(main)
