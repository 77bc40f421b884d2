"""Fine detections seen at coarser levels.

A species model's detections can be evaluated among the super-classes, or as animals. The paper does
so in Table 6 without saying what happens to boxes of one animal under several species: mapped to
one super-class they are duplicates, and all but one are false positives. So each way of merging
them is a rule with a name, and the report shows every one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inatdet.choices import Choice
from inatdet.data.boxes import suppress
from inatdet.data.detections import Detections
from inatdet.data.taxonomy import Granularity
from inatdet.evaluation.average_precision import (
    METRICS,
)
from inatdet.evaluation.resampling import Estimate, Halves

COLUMNS = ("trained_on", "evaluated_on", "merge", "AP", "coarse_model_AP", "gap_closed")

_AP = METRICS.index("AP")

_LEAST_GAP = 1e-6  # percent points; what is smaller comes from rounding


TABLE6_COLUMNS = ("trained_on", "evaluated_on", "merge", *METRICS)


MERGE_IOU = 0.6
"""The detector's own threshold (the Object Detection API's second-stage default)."""


class Merge(Choice):
    """What happens to detections when their labels become coarser.

    `NONE`: labels are mapped, nothing else. `NMS`: then, within each image and coarse label, a box
    that overlaps a better one by more than `MERGE_IOU` is dropped. `MARGINAL`: the detector itself
    summed its probabilities before any suppression, P(super-class) = sum of P(species) over its
    species, and suppressed once, at the coarse level; such detections are a file of their own.
    """

    NONE = "none"
    NMS = "nms"
    MARGINAL = "marginal"


def rules(trained_on: Granularity, evaluated_on: Granularity) -> tuple[Merge, ...]:
    """Those that work on fine detections; at the model's own granularity there is nothing to do."""
    return (Merge.NONE,) if trained_on is evaluated_on else (Merge.NONE, Merge.NMS)


def merged(detections: Detections, granularity: Granularity, rule: Merge) -> Detections:
    """The detections as a rule leaves them at a granularity.

    Args:
        detections: of a model trained at `granularity` or finer.
        granularity: whose labels count.
        rule: `NONE` or `NMS`; `MARGINAL` cannot be had from fine detections.

    Returns:
        The detections that have a label there and stay, in their order.

    Raises:
        ValueError: for `MARGINAL`.
    """
    if rule is Merge.MARGINAL:
        raise ValueError("fine detections do not hold the probabilities that are summed")
    labels = detections.labels[granularity]
    keep = labels > 0
    if rule is Merge.NMS:
        rows = np.flatnonzero(keep)
        # One number for each (image, label): the images' positions times the labels.
        _, image = np.unique(detections.image_ids[rows], return_inverse=True)
        groups = image.astype(np.int64) * (int(labels.max(initial=0)) + 1) + labels[rows]
        kept = suppress(groups, detections.scores[rows], detections.boxes[rows], MERGE_IOU)
        keep = np.zeros(len(labels), bool)
        keep[rows[kept]] = True
    return detections.select(keep)


@dataclass(frozen=True)
class Table6Row:
    """One model at one granularity.

    Attributes:
        trained_on: the model's granularity.
        evaluated_on: that of the comparison.
        merge: what became of duplicates.
        values: the measures, in percent, as `METRICS`.
    """

    trained_on: Granularity
    evaluated_on: Granularity
    merge: Merge
    values: tuple[float, ...]

    @property
    def key(self) -> tuple[Granularity, Granularity, Merge]:
        """What the row is about."""
        return self.trained_on, self.evaluated_on, self.merge

    def cells(self) -> tuple[str | int | float, ...]:
        """One cell for each of `TABLE6_COLUMNS`."""
        return (str(self.trained_on), str(self.evaluated_on), str(self.merge), *self.values)


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
