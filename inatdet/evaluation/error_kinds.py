"""What detections get wrong, and what it costs: TIDE's kinds of error.

Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", 2020, as hotcoco
counts them at IoU .5, with .1 as the limit to the background. The cost of a kind is how much AP50
would gain if all errors of that kind, and no others, were fixed; costs do not add up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.detections import Detections
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.evaluation.average_precision import (
    EVERY_AREA,
    MAX_DETECTIONS,
    OVERALL,
    GroundTruth,
    loaded,
    result_columns,
)
from inatdet.evaluation.rows import Cell, Row

_IOU, _BACKGROUND_IOU = 0.5, 0.1

KINDS = {
    "classification": "Cls",
    "localisation": "Loc",
    "both": "Both",
    "duplicate": "Dupe",
    "background": "Bkg",
    "missed": "Miss",
}
"""TIDE's kinds by our names. In order: overlaps a true box well but has another class; has the
right class but overlaps by .1 to .5; both at once; is a second detection of a box that has a better
one; overlaps nothing; a true box that no detection of another kind touches."""

_COSTS = (*KINDS, "false_positives", "false_negatives")


@dataclass(frozen=True)
class ErrorRow(Row):
    """The errors of one model at one granularity in the images of one super-class.

    Attributes:
        trained_on: the model's granularity.
        evaluated_on: the granularity whose labels are right or wrong; nothing was merged.
        super_class: only images with a true box of it count; `OVERALL`: all images.
        images: how many images those are.
        ap50: in percent, over the classes with a true box in those images.
        costs: the AP50, in percent points, that fixing each of `KINDS`, then all false positives,
            then all false negatives would gain.
        counts: how many errors of each of `KINDS` there are.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "trained_on", "evaluated_on", "super_class", "images", "AP50",
        *(f"cost_{kind}" for kind in _COSTS), *(f"count_{kind}" for kind in KINDS),
    )  # fmt: skip

    trained_on: Granularity
    evaluated_on: Granularity
    super_class: str
    images: int
    ap50: float
    costs: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """Trained on, evaluated on, and the super-class."""
        return self.trained_on, self.evaluated_on, self.super_class

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        levels = (str(self.trained_on), str(self.evaluated_on))
        names = (*levels, self.super_class, self.images)
        return (*names, self.ap50, *self.costs, *self.counts)


def all_error_rows(
    truths: Mapping[Granularity, GroundTruth],
    models: Mapping[Granularity, Detections],
    taxonomy: Taxonomy,
    notify: Callable[[str], None],
) -> tuple[ErrorRow, ...]:
    """The rows of each model, at its own granularity and the coarser ones.

    Args:
        truths: the true boxes at each granularity.
        models: each model's detections, by its granularity.
        taxonomy: the label spaces.
        notify: called with a message for each model and granularity.
    """
    truth = truths[Granularity.SUPER]
    images_of = {
        name: np.unique(truth.box_images[truth.labels == label])
        for label, name in enumerate(taxonomy.super_classes, 1)
    }
    rows: list[ErrorRow] = []
    for level, detections in models.items():
        for target in level.coarser_or_equal():
            notify(f"{level} model on {target}: kinds of error")
            columns = result_columns(detections, target)
            rows += error_rows(truths[target], columns, images_of, level, target)
    return tuple(rows)


def error_rows(
    truth: GroundTruth,
    columns: np.ndarray,
    images_of: Mapping[str, np.ndarray],
    trained_on: Granularity,
    evaluated_on: Granularity,
) -> tuple[ErrorRow, ...]:
    """One row per super-class, then one for all images.

    Args:
        truth: the true boxes at `evaluated_on`.
        columns: the model's detections there; see `average_precision.result_columns`.
        images_of: the ids of the images with a true box of each super-class.
        trained_on: the model's granularity.
        evaluated_on: the granularity of the labels.
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
