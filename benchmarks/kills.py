"""Kills programs at random moments, starts them again, and counts what survived.

    python -m benchmarks.kills --records=runs/mini/records --work_dir=DIR
    python -m benchmarks.kills --records=... --work_dir=DIR --programs=detect --kills=100
    python -m benchmarks.kills --records=... --work_dir=DIR --programs=train --ways=SIGKILL

The records are those of `make demo`. Each program, with a tiny model, runs once undisturbed and is
then killed and started again until it has been killed often enough and finished. Every third time
the moment is drawn from the time that the undisturbed run took, else it comes a while after the
first, second or third new checkpoint or part. In turn the program gets SIGKILL; SIGTERM; SIGINT;
and SIGKILL after which the newest checkpoint or part is cut off somewhere, as a power cut may
leave it.

Training must always go on from a whole checkpoint, never from an older one than there was, and end.
What the others write must be the undisturbed run's file, byte by byte.

What was counted is kept in DIR: a run that was interrupted goes on. To count again, remove DIR.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import glob
import itertools
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from absl import app, flags

from benchmarks import tiny
from benchmarks.measuring import print_table
from inatdet.files import sha256_of

_WAYS = ("SIGKILL", "SIGTERM", "SIGINT", "power cut")

_RECORDS = flags.DEFINE_string("records", None, "The mini dataset's.", required=True)
_WORK_DIR = flags.DEFINE_string("work_dir", None, "Folder for the models.", required=True)
_PROGRAMS = flags.DEFINE_list("programs", ["train", "detect", "classify", "boxes"], "Which.")
_KILLS = flags.DEFINE_integer("kills", 20, "How often each is killed.", lower_bound=1)
_KILLED_BY = flags.DEFINE_list("ways", list(_WAYS), f"How, in turn: {', '.join(_WAYS)}.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the moments.")

_NEEDS = {
    "detect": ("train",),
    "classify": ("classifier",),
    "boxes": ("classifier", "train", "detect"),
}
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_TRAIN_STEPS, _SAVE_EVERY = 60, 5


@dataclasses.dataclass(frozen=True)
class Job:
    """A program to kill.

    Attributes:
        name: for the table.
        arguments: its own.
        target: the file or folder that it writes.
        kept: a pattern of the files from which it goes on, each of which is new.
    """

    name: str
    arguments: Sequence[str]
    target: str
    kept: str


class Programs:
    """Runs programs, which start fast: see `benchmarks.peers.preloaded`.

    Args:
        said: a file for what they say.
    """

    def __init__(self, said: str):
        self._said = said
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.preloaded"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # so that Ctrl-C does not count as another interruption
        )
        atexit.register(os.killpg, self._process.pid, signal.SIGKILL)

    def run(
        self,
        arguments: Sequence[str],
        number: int = 0,
        is_time: Callable[[float], bool] = lambda seconds: False,
    ) -> Ended:
        """Runs a program to its end, or until it gets a signal.

        Args:
            arguments: the program's.
            number: of the signal.
            is_time: whether to send it, after so many seconds; never by default.
        """
        request = json.dumps({"arguments": list(arguments), "said": self._said})
        self._process.stdin.write(f"{request}\n".encode())
        program = int(self._process.stdout.readline())
        begin = time.monotonic()
        while not select.select([self._process.stdout], [], [], 0.01)[0]:
            if is_time(time.monotonic() - begin):
                with contextlib.suppress(ProcessLookupError):  # it has just ended
                    os.kill(program, number)
                break
        code = int(self._process.stdout.readline())
        took = time.monotonic() - begin
        with open(self._said, encoding="utf-8", errors="replace") as file:
            said = file.read()
        # 130 and 143 answer to SIGINT and SIGTERM, which may also come before anybody heeds them.
        if code not in (0, 130, 143) and -code not in _SIGNALS:
            raise RuntimeError(f"{arguments[0]} ended with {code}: {said[-2000:]}")
        return Ended(code == 0, said, took)


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a program ended: whether it had finished, what it said, and the seconds it took."""

    finished: bool
    said: str
    seconds: float


def drawn_moment(job: Job, seconds: float) -> Callable[[float], bool]:
    """Says when it is time to kill a job, whose undisturbed run took so many seconds."""
    if random.random() < 1 / 3:
        at = random.uniform(0.1, 1.0) * seconds
        return lambda passed: passed >= at
    before, files, more = set(glob.glob(job.kept)), random.randint(1, 3), None
    pause = random.uniform(0, 0.02) * seconds

    def is_time(passed: float) -> bool:
        nonlocal more
        if more is None and len(set(glob.glob(job.kept)) - before) >= files:
            more = passed + pause
        return more is not None and passed >= more

    return is_time


def cut_off_newest(job: Job) -> None:
    """Cuts off the newest file of a job anywhere."""
    if found := glob.glob(job.kept):
        newest = max(found, key=os.path.getmtime)
        os.truncate(newest, random.randint(0, max(0, os.path.getsize(newest) - 1)))


def remove(job: Job) -> None:
    """Removes what a job wrote."""
    for path in glob.glob(job.target + "*"):
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.remove(path)


def disturbed(
    programs: Programs, job: Job, counted: tiny.Counted, is_right: Callable[[list[str]], bool]
) -> tuple[str, ...]:
    """Kills a job as often as asked for and lets it finish; a row of the table."""
    of: dict[str, Any] = counted.values
    if sum(of["ways"].values()) < _KILLS.value and not of["said"]:
        remove(job)  # which an earlier run had finished
    while sum(of["ways"].values()) < _KILLS.value or of["said"]:
        kills = sum(of["ways"].values())
        way = _KILLED_BY.value[kills % len(_KILLED_BY.value)]
        number = getattr(signal, "SIGKILL" if way == "power cut" else way)
        if kills < _KILLS.value:
            ended = programs.run(job.arguments, number, drawn_moment(job, of["seconds"]))
        else:
            ended = programs.run(job.arguments)
        of["said"].append(ended.said)
        of["resumed"] += "going on behind" in ended.said or "resuming from step" in ended.said
        if ended.finished:
            of["rounds"], of["right"] = of["rounds"] + 1, of["right"] + is_right(of["said"])
            of["said"] = []
            if kills < _KILLS.value:
                remove(job)
        else:
            of["ways"][way] = of["ways"].get(way, 0) + 1
            print(f"{job.name}: {kills + 1} times, last {way}", file=sys.stderr)
            if way == "power cut":
                cut_off_newest(job)
        counted.save()
    how = ", ".join(f"{count} {way}" for way, count in of["ways"].items())
    return job.name, how, str(of["resumed"]), f"{of['right']} of {of['rounds']}"


def same_file(path: str, expected: str) -> Callable[[list[str]], bool]:
    """Whether a file is the undisturbed run's, and nothing is left beside it."""

    def is_right(said: list[str]) -> bool:
        del said
        beside = glob.glob(path + ".*")
        return os.path.exists(path) and sha256_of(path) == expected and not beside

    return is_right


def trained(model_dir: str) -> Callable[[list[str]], bool]:
    """Whether training always went on from the newest whole checkpoint, and ended."""

    def is_right(said: list[str]) -> bool:
        from inatdet.networks import checkpoints

        steps = [
            int(step) for text in said for step in re.findall(r"resuming from step (\d+) in", text)
        ]
        # A checkpoint that was cut off may cost those since the one before.
        onwards = all(after >= before - _SAVE_EVERY for before, after in itertools.pairwise(steps))
        last = os.path.join(model_dir, f"ckpt-{_TRAIN_STEPS}")
        return onwards and checkpoints.newest_whole(model_dir) == last

    return is_right


def jobs_of(records: str, work: str) -> list[Job]:
    """The programs, in an order in which each finds what it needs."""
    model, classifier = os.path.join(work, "model"), os.path.join(work, "classifier")
    found, named = os.path.join(work, "found.parquet"), os.path.join(work, "named.parquet")
    boxes = os.path.join(work, "boxes.parquet")
    inputs = f"--input={records}/train-*"
    of_boxes = (f"--boxes={found}", "--boxes_per_image=3", f"--output={boxes}")
    return [
        Job(
            "train",
            training("species", model, tiny.detector(_TRAIN_STEPS, _SAVE_EVERY), records),
            model,
            f"{model}/ckpt-*",
        ),
        Job(
            "detect",
            ("detect", f"--model_dir={model}", inputs, f"--output={found}"),
            found,
            f"{found}.parts/*/*.part",
        ),
        Job(
            "classify",
            ("classify", f"--model_dir={classifier}", inputs, f"--output={named}"),
            named,
            f"{named}.parts/*/*.part",
        ),
        Job(
            "boxes",
            ("classify", f"--model_dir={classifier}", inputs, *of_boxes),
            boxes,
            f"{boxes}.parts/*/*.part",
        ),
    ]


def training(pipeline: str, model_dir: str, settings: str, records: str) -> tuple[str, ...]:
    """The arguments that train a model of one of the mini dataset's pipelines."""
    return (
        "train",
        f"--config_file=pipelines/mini_{pipeline}.yaml",
        f"--model_dir={model_dir}",
        f"--params_override={settings},{tiny.data(records)}",
    )


def count(programs: Programs, job: Job, path: str) -> tuple[str, ...]:
    """Runs a job undisturbed, if that was not done yet, and then disturbed; a row of the table."""
    counted = tiny.Counted(path, {"ways": {}, "resumed": 0, "rounds": 0, "right": 0, "said": []})
    if "seconds" not in counted.values:
        remove(job)
        counted.values["seconds"] = programs.run(job.arguments).seconds
        if job.name != "train":
            counted.values["sha256"] = sha256_of(job.target)
        remove(job)
        counted.save()
        print(f"{job.name}: undisturbed {counted.values['seconds']:.0f} s", file=sys.stderr)
    is_right = (
        trained(job.target)
        if job.name == "train"
        else same_file(job.target, counted.values["sha256"])
    )
    return disturbed(programs, job, counted, is_right)


def main(argv: Sequence[str]) -> None:
    """Kills and prints."""
    del argv
    random.seed(_SEED.value)
    records, work = os.path.abspath(_RECORDS.value), os.path.abspath(_WORK_DIR.value)
    os.makedirs(work, exist_ok=True)
    programs = Programs(os.path.join(work, "said.txt"))
    asked = set(_PROGRAMS.value)
    needed = asked | {name for one in asked for name in _NEEDS.get(one, ())}
    if "classifier" in needed:
        model_dir = os.path.join(work, "classifier")
        programs.run(training("classification", model_dir, tiny.classifier(5), records))
    rows = []
    for job in jobs_of(records, work):
        if job.name in asked:
            rows.append(count(programs, job, os.path.join(work, f"{job.name}.json")))
        elif job.name in needed:
            programs.run(job.arguments)
    print_table(("program", "killed", "starts that went on", "right at the end"), rows)


if __name__ == "__main__":
    app.run(main)
