"""How much of what a fine model loses at a coarse level each way of merging wins back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inatdet.data.taxonomy import Granularity
from inatdet.evaluation.coco import METRICS
from inatdet.evaluation.granularity import Merge
from inatdet.evaluation.resampling import Estimate, Halves
from inatdet.evaluation.table import Table
from inatdet.evaluation.tables import Table6Row

COLUMNS = ("trained_on", "evaluated_on", "merge", "AP", "coarse_model_AP", "gap_closed")
_AP = METRICS.index("AP")
_LEAST_GAP = 1e-6  # percent points; what is smaller comes from rounding


@dataclass(frozen=True)
class GapRow:
    """One way of merging one fine model's detections at one coarser level.

    Attributes:
        trained_on: the fine model's granularity.
        evaluated_on: the coarser one.
        merge: the way.
        average_precision: the fine model's AP there, in percent.
        coarse: that of the model trained there.
        closed: in percent of the gap, which is `coarse` minus the fine model's AP with nothing
            merged; NaN without a gap.
    """

    trained_on: Granularity
    evaluated_on: Granularity
    merge: Merge
    average_precision: float
    coarse: float
    closed: float

    @property
    def key(self) -> tuple[Granularity, Granularity, Merge]:
        """What the row is about."""
        return self.trained_on, self.evaluated_on, self.merge

    def cells(self) -> tuple[str | int | float, ...]:
        """One cell for each of `COLUMNS`."""
        return (*map(str, self.key), self.average_precision, self.coarse, self.closed)


def gap_rows(
    rows: Sequence[Table6Row],
    halves: Halves | None = None,
    on_halves: Mapping[tuple[Granularity, Granularity, Merge], np.ndarray] | None = None,
) -> tuple[GapRow, ...]:
    """A row for each rule but `none` at each granularity at which both models were evaluated.

    Args:
        rows: of Table 6.
        halves: the halves of the images that the standard errors come from.
        on_halves: the measures of each row on each half.
    """
    by_key = {row.key: row.values[_AP] for row in rows}
    found = []
    for (trained_on, target, merge), value in by_key.items():
        coarse_key, start_key = (target, target, Merge.NONE), (trained_on, target, Merge.NONE)
        if merge is Merge.NONE or coarse_key not in by_key:
            continue
        coarse, start = by_key[coarse_key], by_key[start_key]
        is_gap = coarse - start > _LEAST_GAP
        closed = 100.0 * (value - start) / (coarse - start) if is_gap else math.nan
        if halves and not math.isnan(closed):
            keys = ((trained_on, target, merge), coarse_key, start_key)
            merged, whole, plain = (on_halves[key][:, _AP] for key in keys)
            # A ratio moves, to first order, by (its numerator - ratio * its denominator) over its
            # denominator; halves with a denominator near zero would spoil the ratio itself.
            moved = (merged - plain) - closed / 100.0 * (whole - plain)
            closed = Estimate(closed, 100.0 * halves.std_err(moved) / (coarse - start))
        found.append(GapRow(trained_on, target, merge, value, coarse, closed))
    return tuple(found)


def gap_table(rows: Sequence[GapRow]) -> Table:
    """The gaps as a table."""
    return Table(COLUMNS, tuple(row.cells() for row in rows))
