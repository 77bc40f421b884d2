"""How long the study will take: what has been measured, and a plan of the first training."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence

from benchmarks.granularity_gap.running import Step
from inatdet.errors import RunError
from inatdet.files import write_text
from inatdet.training.estimates import NOTHING, Span

_PLAN_FLAGS = ("--config_file", "--params_override")


def time_left(steps: Sequence[Step], plans_dir: str) -> tuple[Span, int]:
    """What the steps that are not done will take.

    A step takes what other steps of its name took, of the same model if there are any. Trainings of
    which none has ended are planned with `inatdet plan`.

    Args:
        steps: all of them.
        plans_dir: a folder for plans.

    Returns:
        The time, and how many steps it does not count because none like them was made.
    """
    done = [(step, seconds) for step in steps if (seconds := step.seconds) is not None]
    total, unknown, planned = NOTHING, 0, None
    for step in steps:
        if step.seconds is not None:
            continue
        alike = [seconds for other, seconds in done if other.name == step.name]
        same = [
            seconds
            for other, seconds in done
            if other.name == step.name and _model(other) == _model(step)
        ]
        if same or alike:
            total += _range_of(same or alike)
        elif step.name == "train":
            planned = planned or _plan(step, plans_dir)
            total += planned
        else:
            unknown += 1
    return total, unknown


def _model(step: Step) -> str:
    return os.path.basename(step.folder)


def _range_of(seconds: Iterable[float]) -> Span:
    values = list(seconds)
    return Span(statistics.mean(values), min(values), max(values))


def _plan(step: Step, plans_dir: str) -> Span:
    """The time of a training, by `inatdet plan`; kept, because it takes a minute."""
    path = os.path.join(plans_dir, f"{_model(step)}.json")
    if not os.path.exists(path):
        step.write_settings()
        flags = [flag for flag in step.arguments if flag.startswith(_PLAN_FLAGS)]
        command = [sys.executable, "-m", "inatdet", "plan", "--json", "--steps=20", *flags]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise RunError(f"inatdet plan ended with code {ended.returncode}: {ended.stderr}")
        write_text(path, ended.stdout)
    with open(path, encoding="utf-8") as file:
        return Span(**json.load(file)["total"])
