"""Table 6: fine detections evaluated at coarser levels, and what merging them recovers.

A species model's detections can be evaluated among the super-classes, or as animals. The paper does
so in Table 6 without saying what happens to boxes of one animal under several species: mapped to
one super-class they are duplicates, and all but one are false positives. So each way of merging
them is a named rule, and the report shows all of them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.choices import Choice
from inatdet.data.boxes import suppress
from inatdet.data.detections import Detections
from inatdet.data.granularity import Granularity
from inatdet.evaluation.average_precision import MAX_DETECTIONS, METRICS
from inatdet.evaluation.encounters import positions
from inatdet.evaluation.resampling import Estimate, Halves
from inatdet.evaluation.rows import Cell, MeasuredRow, Row

_AP = METRICS.index("AP")
_LEAST_GAP = 1e-6  # percent points; anything smaller comes from rounding

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


Key = tuple[Granularity, Granularity, Merge]
"""What a row of Table 6 is about: trained on, evaluated on, merged how."""


def rules(trained_on: Granularity, evaluated_on: Granularity) -> tuple[Merge, ...]:
    """The rules that need only the detections; at the model's own granularity, nothing to merge."""
    return (Merge.NONE,) if trained_on is evaluated_on else (Merge.NONE, Merge.NMS)


def table6_keys(
    levels: Sequence[Granularity],
    models: Collection[Granularity],
    marginals: Collection[tuple[Granularity, Granularity]],
) -> Iterator[Key]:
    """The rows of Table 6, in order.

    Args:
        levels: those at which models are evaluated, from fine to coarse.
        models: the granularities of the models.
        marginals: the detections by summed probabilities: the model's granularity and theirs.
    """
    for place, trained_on in enumerate(levels):
        if trained_on not in models:
            continue
        for target in levels[place:]:
            for rule in rules(trained_on, target):
                yield trained_on, target, rule
            if (trained_on, target) in marginals:
                yield trained_on, target, Merge.MARGINAL


def merged(
    detections: Detections,
    granularity: Granularity,
    rule: Merge,
    most: int | None = MAX_DETECTIONS[-1],
) -> Detections:
    """What a rule leaves of detections at a granularity; for the arguments see `left_by`.

    Returns:
        The detections that have a label there and are not dropped, in their order.
    """
    return detections.select(left_by(detections, granularity, rule, most))


def left_by(
    detections: Detections,
    granularity: Granularity,
    rule: Merge,
    most: int | None = MAX_DETECTIONS[-1],
) -> np.ndarray:
    """Which detections a rule leaves at a granularity.

    Args:
        detections: of a model trained at `granularity` or finer.
        granularity: whose labels count.
        rule: `NONE` or `NMS`; `MARGINAL` cannot be computed from fine detections.
        most: how many of each image and coarse label `NMS` keeps: by default as many as COCO's
            measures count; None for all.

    Returns:
        Bool `[detections]`, those that have a label there and are not dropped.

    Raises:
        ValueError: for `MARGINAL`.
    """
    if rule is Merge.MARGINAL:
        raise ValueError("fine detections do not hold the probabilities that are summed")
    labels = detections.labels[granularity]
    keep: np.ndarray = labels > 0
    if rule is Merge.NMS:
        rows = np.flatnonzero(keep)
        # One number per image and label: the image's position times the number of labels.
        ids = detections.image_ids[rows]
        image = positions(ids, np.unique(ids))
        groups = image.astype(np.int64) * (int(labels.max(initial=0)) + 1) + labels[rows]
        kept = suppress(
            groups,
            detections.scores[rows],
            detections.boxes[rows],
            MERGE_IOU,
            most=most,
        )
        keep = np.zeros(len(labels), bool)
        keep[rows[kept]] = True
    return keep


@dataclass(frozen=True)
class Table6Row(MeasuredRow):
    """One model evaluated at one granularity.

    Attributes:
        trained_on: the model's granularity.
        evaluated_on: the granularity whose labels count.
        merge: what happened to duplicates.
        values: the measures, in percent, as `METRICS`.
    """

    columns: ClassVar[tuple[str, ...]] = ("trained_on", "evaluated_on", "merge", *METRICS)

    trained_on: Granularity
    evaluated_on: Granularity
    merge: Merge
    values: tuple[float, ...]

    @property
    def key(self) -> Key:
        """Trained on, evaluated on, merged how."""
        return self.trained_on, self.evaluated_on, self.merge

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        return (str(self.trained_on), str(self.evaluated_on), str(self.merge), *self.values)


@dataclass(frozen=True)
class GapRow(Row):
    """What one way of merging a fine model's detections recovers at one coarser level.

    Attributes:
        trained_on: the fine model's granularity.
        evaluated_on: the coarser one.
        merge: the way of merging.
        average_precision: the fine model's AP there, in percent.
        coarse: the AP of the model trained there, in percent.
        closed: the share of the gap that is closed, in percent of the gap; the gap is `coarse`
            minus the fine model's AP with nothing merged. NaN without a gap.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "trained_on", "evaluated_on", "merge", "AP", "coarse_model_AP", "gap_closed"
    )  # fmt: skip

    trained_on: Granularity
    evaluated_on: Granularity
    merge: Merge
    average_precision: float
    coarse: float
    closed: float

    @property
    def key(self) -> Key:
        """Trained on, evaluated on, merged how."""
        return self.trained_on, self.evaluated_on, self.merge

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        return (*map(str, self.key), self.average_precision, self.coarse, self.closed)


def gap_rows(
    rows: Sequence[Table6Row],
    halves: Halves | None = None,
    on_halves: Mapping[Key, np.ndarray] | None = None,
) -> tuple[GapRow, ...]:
    """One row per rule other than `none` and coarser level at which both models were evaluated.

    Args:
        rows: the rows of Table 6.
        halves: the halves of the images that the standard errors come from.
        on_halves: the measures of each row on each half, float64 `[halves, 5]`.
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
        if halves and on_halves and not math.isnan(closed):
            keys = ((trained_on, target, merge), coarse_key, start_key)
            merged, whole, plain = (on_halves[key][:, _AP] for key in keys)
            # A ratio changes, to first order, by (its numerator - ratio * its denominator) over its
            # denominator; halves with a denominator near zero would ruin the ratio itself.
            moved = (merged - plain) - closed / 100.0 * (whole - plain)
            closed = Estimate(closed, 100.0 * halves.std_err(moved) / (coarse - start))
        found.append(GapRow(trained_on, target, merge, value, coarse, closed))
    return tuple(found)
