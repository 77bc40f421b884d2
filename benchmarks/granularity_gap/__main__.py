r"""What is the coarse precision of a fine model lost to, and what gives it back?

    python -m benchmarks.granularity_gap
    python -m benchmarks.granularity_gap --preset=wild --data_dir=WILD
    python -m benchmarks.granularity_gap --preset=paper --data_dir=/data/inat2017 --num_gpus=8

A model that is trained on species is worse at super-classes, and at finding animals at all, than
models that are trained on these (Table 6 of the paper). Each variant in study.yaml changes one
thing about it that may be a cause. All of them are trained from several seeds, detected with and
evaluated at every level, on the same images. `gap.md`, `gap.csv` and `gap.png` in --work_dir say
how large the gap is at each level and what part of it each change makes up for, with intervals over
other images and other seeds (`inatdet.evaluation.runs`), and p-values adjusted for the number of
changes.

Everything is made by the ordinary programs, in subprocesses whose words are in `log.txt` beside
what they made. Rounds come one after another, all models at the first seed first, and the table is
made again after each. What is done is not done again: the same command goes on after an
interruption. It says first how long it will take; --estimate does only that, --table makes the
table of what is there. --variants and --seeds choose a part.

The same command may run several times at once, on one machine or on several that share --work_dir:
each process makes the trainings that no other has begun. Small networks use one core much better
than two, so that on a CPU a process for each core, kept there by `taskset`, makes more of them in
the same time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence

from absl import app, flags

from benchmarks.granularity_gap import costs, figure, steps, table, text
from benchmarks.granularity_gap.effects import GAP, Numbers, all_effects
from benchmarks.granularity_gap.measures import Measures, Measuring
from benchmarks.granularity_gap.running import Step
from benchmarks.granularity_gap.steps import Place
from benchmarks.granularity_gap.study import FILE, Study, read_study
from inatdet.errors import InputError, RunError
from inatdet.files import write_text
from inatdet.locks import only_writer, only_writer_in_turn
from inatdet.report.figures import save_png
from inatdet.training.plan_in_words import range_of

_PRESET = flags.DEFINE_string("preset", "mini", "Which data and settings: mini, wild or paper.")
_STUDY = flags.DEFINE_string("study", FILE, "The file that says what is varied.")
_DATA_DIR = flags.DEFINE_string("data_dir", "", "A dataset in iNat2017's layout.")
_WORK_DIR = flags.DEFINE_string("work_dir", "", "By default runs/granularity_gap/PRESET.")
_VARIANTS = flags.DEFINE_list("variants", [], "Only these variants.")
_SEEDS = flags.DEFINE_list("seeds", [], "Only these seeds.")
_NUM_GPUS = flags.DEFINE_integer("num_gpus", 0, "GPUs of each training.", lower_bound=0)
_RESAMPLES = flags.DEFINE_integer("resamples", 200, "Random halves of the images.", lower_bound=2)
_ESTIMATE = flags.DEFINE_bool("estimate", False, "Only say how long it will take.")
_TABLE = flags.DEFINE_bool("table", False, "Only make the table of what is there.")


def main(argv: Sequence[str]) -> int:
    """Makes the study, as far as it is not made."""
    if len(argv) > 1:
        return _refuse(f"unexpected argument {argv[1]!r}", 2)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        study, place = _asked_for()
        os.makedirs(place.work_dir, exist_ok=True)
        _make(study, place)
    except InputError as error:
        return _refuse(str(error), 2)
    except RunError as error:
        return _refuse(str(error), 1)
    except KeyboardInterrupt:
        return _refuse("interrupted; the same command goes on", 130)
    return 0


def _refuse(message: str, code: int) -> int:
    print(f"error: {message}" if code != 130 else message, file=sys.stderr)
    return code


def _asked_for() -> tuple[Study, Place]:
    """The study that the flags ask for, and where it lies."""
    try:
        seeds = [int(seed) for seed in _SEEDS.value]
    except ValueError as error:
        raise InputError(f"--seeds={','.join(_SEEDS.value)}: must be whole numbers") from error
    study = read_study(_STUDY.value, _PRESET.value, _VARIANTS.value, seeds)
    work_dir = _WORK_DIR.value or os.path.join("runs", "granularity_gap", _PRESET.value)
    data_dir = _DATA_DIR.value
    if not data_dir:
        if study.preset.data != "mini":
            raise InputError(f"--preset={_PRESET.value} needs a dataset; name it with --data_dir")
        data_dir = os.path.join(work_dir, "data")
    return study, Place(work_dir, data_dir, _NUM_GPUS.value)


def _make(study: Study, place: Place) -> None:
    if _TABLE.value:
        if not _write_table(study, place):
            raise InputError(
                f"{place.work_dir}: nothing has been measured yet; run the study first"
            )
        return
    preparing = list(steps.preparing(study, place))
    runs = [(seed, model) for seed in study.preset.seeds for model in study.models]
    every = [step for run in runs for step in steps.of_model(study, place, *run)]
    for step in (*preparing, *every):
        step.check()
    if _ESTIMATE.value and any(step.seconds is None for step in preparing):
        raise InputError(
            f"{place.work_dir}: has no records yet, with which the estimate is measured; run the "
            "study without --estimate, which says how long it takes once they are there"
        )
    with only_writer_in_turn(
        os.path.join(place.work_dir, "preparation"),
        lambda: _say("waiting for another process, which prepares the data"),
    ):
        for step in preparing:
            _run(step, place)
    done = sum(step.seconds is not None for step in every)
    _say(
        f"{len(runs)} trainings, {len(every)} programs, {done} of which are done; "
        f"{_time_left(every, place)}"
    )
    if _ESTIMATE.value:
        return
    measuring = Measuring(study, place, _RESAMPLES.value)
    others = 0
    for seed in study.preset.seeds:
        for model in study.models:
            with _unless_taken(place.run_dir(seed, model)) as is_ours:
                if is_ours:
                    _make_model(study, place, measuring, seed, model, every)
                else:
                    others += 1
        _write_table(study, place)
    if others:
        _say(
            f"{others} of {len(runs)} trainings are made by other processes, which add them to "
            "the table"
        )


def _make_model(
    study: Study, place: Place, measuring: Measuring, seed: int, model: str, every: Sequence[Step]
) -> None:
    """Trains a model, detects with it and measures it, as far as that is not done."""
    for step in steps.of_model(study, place, seed, model):
        _run(step, place, every)
    if not measuring.is_done(seed, model):
        _say(f"seed {seed}, {model}: measuring")
        measuring.measure(seed, model)


@contextlib.contextmanager
def _unless_taken(folder: str) -> Iterator[bool]:
    """Whether no other process writes there; none does while the block runs."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(only_writer(folder))
        except InputError:
            yield False
        else:
            yield True


def _run(step: Step, place: Place, every: Sequence[Step] = ()) -> None:
    if step.seconds is not None:
        return
    where = os.path.relpath(step.folder, place.work_dir)
    _say(f"{where}: {step.name}{f'; {_time_left(every, place)}' if every else ''}")
    step.run()


def _time_left(every: Sequence[Step], place: Place) -> str:
    """What the steps that are not done take, in words."""
    left, unknown = costs.time_left(every, os.path.join(place.work_dir, "plans"))
    parts = [f"about {range_of(left)}"] if left.most or not unknown else []
    if unknown:
        parts.append(f"{unknown} passes of detection, of which none was made yet,")
    return f"{' and '.join(parts)} are left"


def _write_table(study: Study, place: Place) -> bool:
    """Makes the table and the figure of what has been measured; False if that is nothing."""
    runs = {
        (seed, model): measures
        for seed in study.preset.seeds
        for model in study.models
        if (measures := Measures.load(place.measures_file(seed, model)))
    }
    if not runs:
        return False
    numbers = Numbers(study, runs)
    rows = all_effects(numbers)
    table.table_of(rows).to_csv(os.path.join(place.work_dir, "gap.csv"))
    table.proposal_table(numbers).to_csv(os.path.join(place.work_dir, "proposals.csv"))
    write_text(os.path.join(place.work_dir, "gap.md"), text.in_markdown(numbers, rows))
    if any(row.name == GAP for row in rows):
        save_png(figure.draw(rows), os.path.join(place.work_dir, "gap.png"))
    _say(f"the table of {len(runs)} trainings is in {place.work_dir}/gap.md")
    return True


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    app.run(main)
