"""The table of the study: a function of the saved numbers and of nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.granularity_gap.measures import AP, ECE, Measures
from benchmarks.granularity_gap.steps import OWN
from benchmarks.granularity_gap.study import Reading, Study, Variant
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from inatdet.evaluation.proposals import ALL_SIZES, MOST
from inatdet.evaluation.resampling import Halves
from inatdet.evaluation.runs import OverRuns, holm, over_runs, share_over_runs
from inatdet.report.table import Table

Runs = Mapping[tuple[int, str], Measures]
"""The numbers of each training, by seed and model."""

SIGNIFICANT = 0.05

_NOTHING = 1e-3  # percent points that rounding may make

GAP = "gap"


@dataclass(frozen=True)
class Effect:
    """What a change is worth at a level.

    Attributes:
        level: where detections are right or wrong.
        name: of the variant; `GAP` for the model trained at the level less the fine one with
            nothing merged.
        cause: that it tests; empty for the gap.
        what: is changed.
        seeds: of the runs on both sides.
        value: AP with the change, in percent.
        effect: AP with it less AP without, in percent points.
        share: of the gap, in percent; None where there is no gap that is certain.
        left: AP of the model trained at the level less AP with the change, in percent points; None
            for the gap itself, and where no model was trained.
        adjusted: the p-value of `effect`, adjusted for all changes at the level; NaN for the gap,
            and with a single run, which says nothing about others.
    """

    level: Granularity
    name: str
    cause: str
    what: str
    seeds: Sequence[int]
    value: OverRuns
    effect: OverRuns
    share: OverRuns | None = None
    left: OverRuns | None = None
    adjusted: float = math.nan

    @property
    def is_gap(self) -> bool:
        """Whether it is the gap, and not the effect of a change."""
        return not self.cause

    @property
    def verdict(self) -> str:
        """Whether another study like this one would find the same sign."""
        if len(self.seeds) < 2:
            return "one run"
        p = self.effect.p_value if self.is_gap else self.adjusted
        return "significant" if p < SIGNIFICANT else "not significant"


class Numbers:
    """The numbers of all trainings, side by side.

    Args:
        study: what is compared.
        runs: the numbers of each training.

    Raises:
        InputError: they were not all measured on the same images in the same way.
    """

    def __init__(self, study: Study, runs: Runs):
        self.study, self.runs = study, runs
        about = [measures.about for measures in runs.values()]
        if any(one != about[0] for one in about):
            raise InputError(
                "the measures are of several sets of images or of several versions of the "
                "protocol; run the study again, which measures what differs again"
            )
        self.about: Mapping[str, object] = about[0] if about else {}
        images, halves = (int(str(self.about.get(key, 0))) for key in ("images", "halves"))
        self.halves = Halves(np.arange(images), halves)

    def of(
        self, model: str, name: str, reading: Reading, level: Granularity, measure: str = AP
    ) -> dict[int, np.ndarray]:
        """A number of each seed, float64 `[1 + halves]`."""
        own, _ = self.study.models[model]
        key = name, str(Reading.NONE if level is own else reading), str(level), measure
        return {
            seed: measures.numbers[key]
            for (seed, of), measures in sorted(self.runs.items())
            if of == model and key in measures.numbers
        }

    def recall(self, model: str, most: int, size: str, measure: str) -> dict[int, np.ndarray]:
        """The recall of proposals of each seed, likewise."""
        key = most, size, measure
        return {
            seed: measures.proposals[key]
            for (seed, of), measures in sorted(self.runs.items())
            if of == model and key in measures.proposals
        }

    def levels(self) -> list[Granularity]:
        """All levels with numbers, from fine to coarse as the first run has them."""
        own, _ = self.study.models[str(self.study.fine)]
        found = dict.fromkeys(
            Granularity(level)
            for (_, model), measures in self.runs.items()
            if model == str(own)
            for _, _, level, _ in measures.numbers
        )
        return list(found)


def effects(numbers: Numbers) -> list[Effect]:
    """All rows, level after level: the gap, then each variant."""
    found: list[Effect] = []
    for level in numbers.levels():
        gap = _gap(numbers, level)
        variants = [
            row
            for variant in numbers.study.variants
            if (row := _effect(numbers, variant, level, gap))
        ]
        adjusted = holm(
            [row.effect.p_value if len(row.seeds) > 1 else math.nan for row in variants]
        )
        found += [gap.row] if gap else []
        found += [replace(row, adjusted=p) for row, p in zip(variants, adjusted)]
    return found


@dataclass(frozen=True, eq=False)
class _Gap:
    """The gap at a level.

    Attributes:
        row: of the table.
        coarse: numbers of the model trained at the level, of each seed.
        difference: from the fine one's, of each seed that both have.
    """

    row: Effect
    coarse: Mapping[int, np.ndarray]
    difference: Mapping[int, np.ndarray]


def _gap(numbers: Numbers, level: Granularity) -> _Gap | None:
    """The gap at a level; None where no model was trained."""
    study = numbers.study
    if level not in study.coarse:
        return None
    coarse = numbers.of(str(level), OWN, Reading.NONE, level)
    fine = numbers.of(str(study.fine), OWN, Reading.NONE, level)
    difference = {seed: coarse[seed] - fine[seed] for seed in sorted(coarse.keys() & fine.keys())}
    if not difference:
        return None
    seeds = list(difference)
    row = Effect(
        level,
        GAP,
        "",
        f"the {level} model less the {study.fine} model with nothing merged",
        seeds,
        over_runs(_stacked(coarse, seeds), numbers.halves),
        over_runs(_stacked(difference, seeds), numbers.halves),
    )
    return _Gap(row, coarse, difference)


def _effect(
    numbers: Numbers, variant: Variant, level: Granularity, gap: _Gap | None
) -> Effect | None:
    """The row of a variant at a level; None where it has no numbers there."""
    fine = str(numbers.study.fine)
    if level is numbers.study.fine and not (variant.train or variant.detect):
        return None  # reading matters only at coarser levels
    name = variant.name if variant.detect else OWN
    changed = numbers.of(variant.model or fine, name, variant.read, level)
    before = numbers.of(fine, OWN, variant.over, level)
    seeds = sorted(changed.keys() & before.keys())
    if not seeds:
        return None
    difference = {seed: changed[seed] - before[seed] for seed in seeds}
    if all(np.nanmax(np.abs(one)) < _NOTHING for one in difference.values()):
        return None  # it changes detections at other levels alone
    return Effect(
        level,
        variant.name,
        variant.cause,
        variant.what,
        seeds,
        over_runs(_stacked(changed, seeds), numbers.halves),
        over_runs(_stacked(difference, seeds), numbers.halves),
        _share(numbers, difference, gap),
        _left(numbers, changed, gap),
    )


def _left(numbers: Numbers, changed: Mapping[int, np.ndarray], gap: _Gap | None) -> OverRuns | None:
    """How far the model trained at the level is ahead of a changed one."""
    seeds = sorted(changed.keys() & gap.coarse.keys()) if gap else []
    if not gap or not seeds:
        return None
    ahead = _stacked(gap.coarse, seeds) - _stacked(changed, seeds)
    return over_runs(ahead, numbers.halves)


def _share(
    numbers: Numbers, difference: Mapping[int, np.ndarray], gap: _Gap | None
) -> OverRuns | None:
    """The share of the gap, over the runs that have both; None where there may be no gap."""
    if gap is None:
        return None
    whole, certain = gap.difference, gap.row.effect
    seeds = sorted(difference.keys() & whole.keys())
    if not seeds or certain.value - certain.margin <= 0:
        return None
    return share_over_runs(_stacked(difference, seeds), _stacked(whole, seeds), numbers.halves)


def _stacked(values: Mapping[int, np.ndarray], seeds: Sequence[int]) -> np.ndarray:
    return np.stack([values[seed] for seed in seeds])


COLUMNS = (
    "level", "variant", "cause", "runs", "AP", "AP_lower", "AP_upper",
    "effect", "effect_lower", "effect_upper", "share", "share_lower", "share_upper",
    "left", "left_lower", "left_upper",
    "p", "p_adjusted", "verdict",
)  # fmt: skip


def table_of(rows: Sequence[Effect]) -> Table:
    """All rows in full, as they are saved."""
    return Table(
        COLUMNS,
        tuple(
            (
                str(row.level),
                row.name,
                row.cause,
                len(row.seeds),
                *_interval(row.value),
                *_interval(row.effect),
                *_interval(row.share),
                *_interval(row.left),
                row.effect.p_value if len(row.seeds) > 1 else math.nan,
                row.adjusted,
                row.verdict,
            )
            for row in rows
        ),
    )


def short_table_of(rows: Sequence[Effect]) -> Table:
    """The same for reading."""
    return Table(
        (
            *("level", "variant", "cause", "runs", "AP", "effect"),
            *("share of the gap", "left", "p", "verdict"),
        ),
        tuple(
            (
                str(row.level),
                row.name,
                row.cause or "-",
                len(row.seeds),
                shown(row.value),
                shown(row.effect, "+.1f"),
                "-" if row.share is None else f"{shown(row.share, '.0f')}%",
                "-" if row.left is None else shown(row.left, "+.1f"),
                _p_in_words(row),
                row.verdict,
            )
            for row in rows
        ),
    )


def shown(number: OverRuns, form: str = ".1f") -> str:
    """`12.3 ± 1.2`."""
    return f"{number.value:{form}} ± {number.margin:{form.lstrip('+')}}"


def _interval(number: OverRuns | None) -> tuple[float, float, float]:
    if number is None:
        return math.nan, math.nan, math.nan
    return number.value, number.value - number.margin, number.value + number.margin


def _p_in_words(row: Effect) -> str:
    p = row.effect.p_value if row.is_gap else row.adjusted
    if len(row.seeds) < 2 or math.isnan(p):
        return "-"
    return "<.001" if p < 0.001 else f"{p:.3f}".lstrip("0")


def proposal_table(numbers: Numbers) -> Table:
    """The recall of each baseline's proposals, and how it differs from the fine model's.

    P-values are adjusted for all differences in the table.
    """
    study = numbers.study
    models = [str(study.fine), *map(str, study.coarse)]
    sizes = dict.fromkeys(
        size for measures in numbers.runs.values() for _, size, _ in measures.proposals
    )
    rows, p_values = [], []
    for measure in ("AR50", "AR"):
        for size in sizes:
            for most in MOST:
                fine = numbers.recall(models[0], most, size, measure)
                for model in models:
                    own = numbers.recall(model, most, size, measure)
                    seeds = sorted(own.keys() & fine.keys())
                    if not seeds or np.isnan(own[seeds[0]][0]):
                        continue
                    value = over_runs(_stacked(own, seeds), numbers.halves)
                    difference = over_runs(
                        np.stack([own[seed] - fine[seed] for seed in seeds]), numbers.halves
                    )
                    is_tested = model != models[0] and len(seeds) > 1 and size == ALL_SIZES
                    p_values.append(difference.p_value if is_tested else math.nan)
                    rows.append(
                        (measure, size, str(most), model, len(seeds), *_interval(value),
                         *_interval(None if model == models[0] else difference))
                    )  # fmt: skip
    return Table(
        ("measure", "size", "most", "trained_on", "runs", "recall", "recall_lower",
         "recall_upper", "difference", "difference_lower", "difference_upper", "p_adjusted"),
        tuple((*row, p) for row, p in zip(rows, holm(p_values))),
    )  # fmt: skip


def calibration_table(numbers: Numbers) -> Table:
    """The expected calibration error of each baseline at each level and reading."""
    study = numbers.study
    rows = []
    for model in (str(study.fine), *map(str, study.coarse)):
        own, _ = study.models[model]
        for level in numbers.levels():
            for reading in Reading:
                if level is own and reading is not Reading.NONE:
                    continue
                found = numbers.of(model, OWN, reading, level, ECE)
                if found:
                    value = over_runs(_stacked(found, sorted(found)), numbers.halves)
                    rows.append((model, str(level), str(reading), len(found), shown(value)))
    return Table(("trained_on", "level", "merge", "runs", "ECE"), tuple(rows))
