"""What detections do wrong, and what it costs: TIDE's kinds of error.

Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", 2020, as hotcoco
counts them at IoU .5, with .1 as the border to the background. The cost of a kind is how much AP50
would gain if all errors of that kind, and no others, were mended; costs do not add up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from inatdet.data.taxonomy import Granularity
from inatdet.evaluation.average_precision import (
    EVERY_AREA,
    MAX_DETECTIONS,
    OVERALL,
    GroundTruth,
    loaded,
)

_IOU, _BACKGROUND_IOU = 0.5, 0.1

KINDS = {
    "classification": "Cls",
    "localisation": "Loc",
    "both": "Both",
    "duplicate": "Dupe",
    "background": "Bkg",
    "missed": "Miss",
}
"""Our words for TIDE's kinds: overlaps well, of another class; right class, overlaps by .1 to .5;
both at once; a second detection of what has a better one; overlaps nothing; a true box that no
detection of another kind touches."""

COLUMNS = (
    "trained_on", "evaluated_on", "super_class", "images", "AP50",
    *(f"cost_{kind}" for kind in KINDS), "cost_false_positives", "cost_false_negatives",
    *(f"count_{kind}" for kind in KINDS),
)  # fmt: skip


@dataclass(frozen=True)
class ErrorRow:
    """The errors of one model at one granularity in the images of one super-class.

    Attributes:
        trained_on: the model's granularity.
        evaluated_on: whose labels are right or wrong; nothing was merged.
        super_class: only images with a true box of it; `OVERALL`: all images.
        images: how many.
        ap50: in percent, over the classes with a true box in those images.
        costs: AP50 that mending each of `KINDS`, then all false positives, then all false
            negatives would bring, in percent points.
        counts: how many errors of each of `KINDS` there are.
    """

    trained_on: Granularity
    evaluated_on: Granularity
    super_class: str
    images: int
    ap50: float
    costs: tuple[float, ...]
    counts: tuple[int, ...]

    def cells(self) -> tuple[str | int | float, ...]:
        """One cell for each of `COLUMNS`."""
        levels = (str(self.trained_on), str(self.evaluated_on))
        names = (*levels, self.super_class, self.images)
        return (*names, self.ap50, *self.costs, *self.counts)


def error_rows(
    truth: GroundTruth,
    columns: np.ndarray,
    images_of: Mapping[str, np.ndarray],
    trained_on: Granularity,
    evaluated_on: Granularity,
) -> tuple[ErrorRow, ...]:
    """A row a super-class, then one for all images.

    Args:
        truth: the true boxes at `evaluated_on`.
        columns: the model's detections there; see `coco.result_columns`.
        images_of: the ids of the images with a true box of each super-class.
        trained_on: the model's granularity.
        evaluated_on: that of the labels.
    """
    rows = []
    for name, image_ids in {**images_of, OVERALL: truth.image_ids}.items():
        part, found = truth, columns
        if name != OVERALL:
            part = truth.in_images(image_ids)
            found = columns[np.isin(columns[:, 0], image_ids)]
        if len(part.labels):
            rows.append(_row(part, found, name, (trained_on, evaluated_on)))
    return tuple(rows)


def _row(
    truth: GroundTruth,
    columns: np.ndarray,
    name: str,
    levels: tuple[Granularity, Granularity],
) -> ErrorRow:
    evaluation = loaded(truth, columns)
    params = evaluation.params
    params.iouThrs, params.maxDets = [_IOU], [MAX_DETECTIONS[-1]]
    params.areaRng, params.areaRngLbl = [list(EVERY_AREA)], ["all"]
    evaluation.evaluate()
    found = evaluation.tide_errors(pos_thr=_IOU, bg_thr=_BACKGROUND_IOU)
    costs = [*KINDS.values(), "FP", "FN"]
    return ErrorRow(
        *levels,
        name,
        len(truth.image_ids),
        100.0 * found["ap_base"],
        tuple(100.0 * found["delta_ap"][kind] for kind in costs),
        tuple(int(found["counts"][kind]) for kind in KINDS.values()),
    )
