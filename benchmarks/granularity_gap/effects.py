"""What each change is worth: a function of the saved numbers and of nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.granularity_gap.measures import AP, Measures
from benchmarks.granularity_gap.steps import OWN
from benchmarks.granularity_gap.study import Reading, Study, Variant
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from inatdet.evaluation.resampling import Halves
from inatdet.evaluation.runs import OverRuns, holm, over_runs, share_over_runs

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
        of_both: the same with a model trained at the level with the change; None without one.
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
    of_both: OverRuns | None = None
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

    def over_runs(
        self, values: Mapping[int, np.ndarray], seeds: Iterable[int] | None = None
    ) -> OverRuns:
        """A number of each seed, over all runs, or over those from the seeds that are given."""
        return over_runs(_stacked(values, values if seeds is None else seeds), self.halves)

    def of_both(self, variant: Variant, level: Granularity) -> dict[int, np.ndarray]:
        """AP at a level of each seed's model that is trained there with the change; may be none."""
        if str(level) not in variant.also_at:
            return {}
        return self.of(variant.model_at(str(level)), OWN, Reading.NONE, level)

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


def all_effects(numbers: Numbers) -> list[Effect]:
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
    difference = less(coarse, fine)
    if not difference:
        return None
    row = Effect(
        level,
        GAP,
        "",
        f"the {level} model less the {study.fine} model with nothing merged",
        list(difference),
        numbers.over_runs(coarse, difference),
        numbers.over_runs(difference),
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
    difference = less(changed, before)
    if all(np.nanmax(np.abs(one)) < _NOTHING for one in difference.values()):
        return None  # it has no numbers here, or changes detections at other levels alone
    return Effect(
        level,
        variant.name,
        variant.cause,
        variant.what,
        list(difference),
        numbers.over_runs(changed, difference),
        numbers.over_runs(difference),
        _share(numbers, difference, gap),
        _ahead(numbers, gap.coarse if gap else {}, changed),
        _ahead(numbers, numbers.of_both(variant, level), changed),
    )


def _ahead(
    numbers: Numbers, coarse: Mapping[int, np.ndarray], fine: Mapping[int, np.ndarray]
) -> OverRuns | None:
    """How far one model is ahead of another, over the runs that have both; None without any."""
    difference = less(coarse, fine)
    return numbers.over_runs(difference) if difference else None


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


def less(
    values: Mapping[int, np.ndarray], others: Mapping[int, np.ndarray]
) -> dict[int, np.ndarray]:
    """The difference of each seed that both have, in the seeds' order."""
    return {seed: values[seed] - others[seed] for seed in sorted(values.keys() & others.keys())}


def _stacked(values: Mapping[int, np.ndarray], seeds: Iterable[int]) -> np.ndarray:
    """The numbers of these seeds, float64 `[seeds, 1 + halves]`."""
    return np.stack([values[seed] for seed in seeds])
