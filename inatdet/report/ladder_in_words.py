"""What the ladder says, in one sentence: where AP changes most, and how much is bookkeeping."""

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
    """The sentence about the finest model; empty where there is no step to speak of.

    A step between levels with the same labels is degenerate: no number can change there.
    """
    rows = results.ladder
    if not rows:
        return ""
    model = rows[0].trained_on
    plain = [row for row in rows if (row.trained_on, row.merge) == (model, Merge.NONE)]
    labels = results.counts.classes
    steps = list(pairwise(levels_of(plain)))
    same = [(a, b) for a, b in steps if labels[a] == labels[b]]
    clauses: list[str] = []
    if len(same) < len(steps):
        clauses += _change([step for step in steps if step not in same], plain, model)
        clauses += _bookkeeping([row for row in results.gaps if row.trained_on is model], plain)
    if same:
        clauses.append(_degenerate(same))
    sentence = "; ".join(clauses)
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""


def _change(
    steps: Sequence[tuple[Granularity, Granularity]],
    rows: Sequence[Table6Row],
    model: Granularity,
) -> Iterator[str]:
    """At which step AP changes most."""
    value = {row.evaluated_on: row.values[AP] for row in rows}
    known = [(a, b) for a, b in steps if not math.isnan(value[b] - value[a])]
    if not known:
        return
    fine, coarse = max(known, key=lambda step: abs(value[step[1]] - value[step[0]]))
    change = value[coarse] - value[fine]
    whose = f"with nothing merged, the {model} model"
    if abs(change) < _SHOWN:
        yield f"{whose} neither gains nor loses AP at any step of the ladder"
        return
    yield (
        f"{whose} {'gains' if change > 0 else 'loses'} most AP from {fine} to {coarse}, "
        f"{abs(change):.1f} points ({printed(value[fine])} to {printed(value[coarse])})"
    )


def _bookkeeping(gaps: Sequence[GapRow], rows: Sequence[Table6Row]) -> Iterator[str]:
    """How much of the distance to each coarser model merging makes up for."""
    start = {row.evaluated_on: row.values[AP] for row in rows}
    for level in dict.fromkeys(gap.evaluated_on for gap in gaps):
        here = [gap for gap in gaps if gap.evaluated_on is level]
        behind = here[0].coarse - start[level]
        if math.isnan(behind):
            continue
        shares = [
            f"{_percent(gap.closed)} by {gap.merge}" for gap in here if not math.isnan(gap.closed)
        ]
        if shares and behind >= _SHOWN:
            yield (
                f"of the {behind:.1f} points by which it is behind the {level} model on {level}, "
                f"merging recovers {' and '.join(shares)}, which is bookkeeping"
            )
        else:
            yield f"it is not behind the {level} model on {level}"


def _percent(share: float) -> str:
    if isinstance(share, Estimate) and not math.isnan(share.margin):
        return f"{share:.0f}% ± {share.margin:.0f}"
    return f"{share:.0f}%"


def _degenerate(steps: Sequence[tuple[Granularity, Granularity]]) -> str:
    pairs = [f"{fine} to {coarse}" for fine, coarse in steps]
    if len(pairs) == 1:
        return f"the step from {pairs[0]} is degenerate, as both levels have the same labels"
    return (
        f"the steps from {', '.join(pairs[:-1])} and {pairs[-1]} are degenerate, as their levels "
        "have the same labels"
    )
