"""What the ladder says, in plain words: where AP changes most, and how much is bookkeeping."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from inatdet.data.granularity import Granularity
from inatdet.evaluation.granularities import GapRow, Merge, Table6Row
from inatdet.evaluation.resampling import Estimate
from inatdet.evaluation.results import Results
from inatdet.report.ladder import AP, levels_of
from inatdet.report.table import printed

_SHOWN = 0.05  # percent points; a smaller change is printed as none


def in_words(results: Results) -> str:
    """What to say about the finest model; empty where there is no step to speak of.

    A step between levels with the same labels is degenerate. It says nothing about the model: AP
    changes there only where species without a box, which have no label at the finer level, are
    named and have one at the coarser.
    """
    rows = results.ladder
    if not rows:
        return ""
    model = rows[0].trained_on
    plain = [row for row in rows if (row.trained_on, row.merge) == (model, Merge.NONE)]
    labels = results.counts.classes
    steps = list(pairwise(levels_of(plain)))
    same = [(fine, coarse) for fine, coarse in steps if labels[fine] == labels[coarse]]
    sentences: list[str] = []
    if len(same) < len(steps):
        sentences += _change([step for step in steps if step not in same], plain)
        sentences += _bookkeeping([row for row in results.gaps if row.trained_on is model], plain)
    sentences += _degenerate(same)
    return " ".join(sentences)


def _change(
    steps: Sequence[tuple[Granularity, Granularity]], rows: Sequence[Table6Row]
) -> Iterator[str]:
    """At which step AP changes most."""
    value = {row.evaluated_on: row.values[AP] for row in rows}
    known = [(a, b) for a, b in steps if not math.isnan(value[b] - value[a])]
    if not known:
        return
    fine, coarse = max(known, key=lambda step: abs(value[step[1]] - value[step[0]]))
    change = value[coarse] - value[fine]
    whose = f"With nothing merged, the {rows[0].trained_on} model"
    if abs(change) < _SHOWN:
        yield f"{whose} neither gains nor loses AP at any step of the ladder."
        return
    yield (
        f"{whose} {'gains' if change > 0 else 'loses'} most AP from {fine} to {coarse}: "
        f"{abs(change):.1f} points, from {printed(value[fine])} to {printed(value[coarse])}."
    )


def _bookkeeping(gaps: Sequence[GapRow], rows: Sequence[Table6Row]) -> Iterator[str]:
    """How much of the distance to each coarser model merging makes up for."""
    start = {row.evaluated_on: row.values[AP] for row in rows}
    behind, not_behind = [], []
    for level in dict.fromkeys(gap.evaluated_on for gap in gaps):
        here = [gap for gap in gaps if gap.evaluated_on is level]
        shares = [
            f"{_percent(row.closed)} by {row.merge}" for row in here if not math.isnan(row.closed)
        ]
        distance = here[0].coarse - start[level]
        if shares and distance >= _SHOWN:
            behind.append(f"{level} {' or '.join(shares)} of {distance:.1f} points")
        elif not math.isnan(distance):
            not_behind.append(str(level))
    if behind:
        yield (
            "Of its distance to the model trained at a coarser level, this much is bookkeeping, "
            f"which merging recovers: on {'; on '.join(behind)}."
        )
    if not_behind:
        yield f"It is not behind the model trained on {_listed(not_behind)}."


def _percent(share: float) -> str:
    if isinstance(share, Estimate) and not math.isnan(share.margin):
        return f"{share:.0f}% ± {share.margin:.0f}"
    return f"{share:.0f}%"


def _degenerate(steps: Sequence[tuple[Granularity, Granularity]]) -> Iterator[str]:
    """Which steps nothing can change at."""
    if steps:
        one = len(steps) == 1
        yield (
            f"The step{'' if one else 's'} from "
            f"{_listed([f'{fine} to {coarse}' for fine, coarse in steps])} "
            f"{'is degenerate: its' if one else 'are degenerate: their'} two levels have the same "
            "labels."
        )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
