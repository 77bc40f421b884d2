"""What the tables of classification say, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from inatdet.data.granularity import Granularity
from inatdet.evaluation.average_precision import OVERALL
from inatdet.evaluation.classification.accuracy import Table3Row
from inatdet.evaluation.classification.results import Results

_MOST_TESTS = 3  # that are told in words
_CLOSE = 1.0  # percent points


def _best(results: Results) -> Table3Row | None:
    """The most accurate of the finest models on the main split."""
    rows = [row for row in results.table3 if row.split == results.split]
    levels = results.taxonomy.levels
    finest = min((levels.index(row.trained_on) for row in rows), default=0)
    known = [r for r in rows if levels.index(r.trained_on) == finest and not math.isnan(r.top1)]
    return max(known, key=lambda row: float(row.top1), default=None)


def accuracy(results: Results) -> str:
    """How often the best model is right."""
    row = _best(results)
    if row is None:
        return ""
    others = sum(other.trained_on is row.trained_on for other in _on_main(results)) > 1
    right = f"right about {_percent(row.top1)} of the {row.images:,} images"
    text = (
        f"On {row.split}, {row.model} is the most accurate {row.trained_on} model, {right}"
        if others
        else f"On {row.split}, {row.model} is {right}"
    )
    if row.top5 is not None:
        text += f"; in {_percent(row.top5)}, the true label is among its best five"
    return f"{text}."


def _on_main(results: Results) -> Sequence[Table3Row]:
    return [row for row in results.table3 if row.split == results.split]


def super_classes(results: Results) -> str:
    """The hardest and the easiest super-class of the best model."""
    best = _best(results)
    rows = [
        row
        for row in results.table4
        if best and row.model == best.model and row.super_class != OVERALL
        if not math.isnan(row.top1)
    ]
    if len(rows) < 2:
        return ""
    hardest, *_, easiest = sorted(rows, key=lambda row: float(row.top1))
    return (
        f"{rows[0].model} finds species of {hardest.super_class} hardest to tell apart "
        f"({_percent(hardest.top1)} on average), those of {easiest.super_class} easiest "
        f"({_percent(easiest.top1)})."
    )


def ladder(results: Results) -> str:
    """How often the best model is right at each level below any animal."""
    best = _best(results)
    levels: dict[Granularity, float] = {}
    for row in results.ladder:
        if best and row.model == best.model and row.evaluated_on is not Granularity.GENERIC:
            # By the better rule, where probabilities are summed as well.
            known = levels.get(row.evaluated_on, 0.0)
            levels[row.evaluated_on] = max(known, float(row.top1))
    if best is None or len(levels) < 2:
        return ""
    said = [f"the {_in_words(level)} in {_percent(value)}" for level, value in levels.items()]
    return f"{best.model} names {', '.join(said[:-1])} and {said[-1]} of the images rightly."


def _in_words(level: Granularity) -> str:
    return "super-class" if level is Granularity.SUPER else str(level)


def calibration(results: Results) -> str:
    """Whether each model is over- or under-confident at its own level."""
    return " ".join(
        f"{row.model} is {_confidence(found.mean_score - found.precision)}: right about "
        f"{_percent(found.precision)} of the images at a mean confidence of "
        f"{_percent(found.mean_score)}."
        for row in results.calibration
        if row.evaluated_on is row.trained_on and (found := row.calibration).detections
    )


def _confidence(gap: float) -> str:
    if abs(gap) < _CLOSE:
        return "well calibrated on the whole"
    return "over-confident" if gap > 0 else "under-confident"


def comparisons(results: Results) -> str:
    """Which models are better in top-1 accuracy on the main split, of not too many."""
    tests = [
        row for row in results.comparisons if row.split == results.split and row.measure == "top1"
    ]
    if len(tests) > _MOST_TESTS:
        return ""
    said = []
    for row in tests:
        change = float(row.change)
        if math.isnan(change):
            continue
        if not change:
            said.append(f"{row.first} and {row.second} are equally accurate.")
            continue
        better, worse = (row.second, row.first) if change > 0 else (row.first, row.second)
        said.append(
            f"{better} is more accurate than {worse} by {abs(change):.1f} percent points of top1 "
            f"(p = {row.p_value:.2g})."
        )
    return " ".join(said)


def _percent(value: float) -> str:
    return f"{float(value):.1f}%"
