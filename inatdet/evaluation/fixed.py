"""AP-Fixed and AP-Pool: average precision without a limit on the detections of an image.

Dave et al., "Evaluating Large-Vocabulary Object Detectors: The Devil is in the Details", 2021.
Where images hold at most so many detections, the classes of an image compete for places: AP of one
class depends on how high the others score, and with thousands of classes the rare ones lose.
AP-Fixed counts the best 10,000 detections of each class over all images instead, however many there
are in an image, and is the mean over classes as usual. AP-Pool puts these detections of all classes
into one ranking by score and is the average precision of that one curve: it asks whether scores of
different classes can be compared, and weighs classes by their true boxes. What is right is found
class by class for both, as COCO does. In the ranking of all classes, detections of classes without
a true box are wrong like others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.evaluation.average_precision import IOU_50
from inatdet.evaluation.counting import marks_of
from inatdet.evaluation.granularities import Key, Merge
from inatdet.evaluation.matching import Labelled, Matches, Ranking
from inatdet.evaluation.resampling import Halves, OnHalves
from inatdet.evaluation.reweighting import average_precisions, boxes_of_parts
from inatdet.evaluation.rows import Cell, Row
from inatdet.evaluation.segments import Marks

FIXED_MEASURES = ("AP_fixed", "AP50_fixed", "AP_pool", "AP50_pool")


@dataclass(frozen=True)
class FixedRow(Row):
    """One model at one granularity without a limit on the detections of an image.

    Attributes:
        trained_on: the model's granularity.
        evaluated_on: the granularity whose labels count.
        merge: what happened to duplicates.
        AP: COCO's, in percent, for comparison.
        AP_fixed: AP-Fixed over IoU .50:.05:.95, in percent.
        AP50_fixed: the same at IoU .5.
        AP_pool: AP-Pool over IoU .50:.05:.95, in percent.
        AP50_pool: the same at IoU .5.
        detections: how many count.
        per_class: the median over all classes of how many count.
        full_classes: how many classes have as many as may count.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "trained_on", "evaluated_on", "merge", "AP", *FIXED_MEASURES, "detections", "per_class",
        "full_classes",
    )  # fmt: skip

    trained_on: Granularity
    evaluated_on: Granularity
    merge: Merge
    AP: float
    AP_fixed: float
    AP50_fixed: float
    AP_pool: float
    AP50_pool: float
    detections: int
    per_class: int
    full_classes: int

    @property
    def key(self) -> Key:
        """Trained on, evaluated on, merged how."""
        return self.trained_on, self.evaluated_on, self.merge

    @property
    def values(self) -> tuple[float, ...]:
        """The measures, as `FIXED_MEASURES`."""
        return self.AP_fixed, self.AP50_fixed, self.AP_pool, self.AP50_pool

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        counts = (self.detections, self.per_class, self.full_classes)
        return (*map(str, self.key), self.AP, *self.values, *counts)


def fixed_row(
    key: Key,
    labelled: Labelled,
    limits: np.ndarray,
    halves: Halves,
    average_precision: float,
) -> FixedRow:
    """Measures one model at one granularity.

    Args:
        key: trained on, evaluated on, merged how.
        labelled: the detections and true boxes, whatever number of each image it counts.
        limits: int64 `[classes]`, how many detections of each class count.
        halves: the halves of the images that standard errors come from.
        average_precision: COCO's AP, in percent.
    """
    truth = labelled.truth
    ranked = best_of_each_class(replace(labelled, most=None).ranked, limits)
    found = replace(labelled, given=ranked).matches()
    # The first part is the whole.
    parts = np.column_stack([np.ones(len(truth.image_ids), bool), halves.parts])
    boxes = boxes_of_parts(truth, parts)
    fixed = _measures(ranked, marks_of(found), parts, boxes)
    one_ranking, positions = pooled(ranked, labelled.met.scores)
    marks = _moved(found, positions)
    pool = _measures(one_ranking, marks, parts, boxes.sum(axis=0, keepdims=True))
    values = np.column_stack([fixed, pool])
    measured = tuple(values[0].tolist())
    if halves:
        measured = halves.estimates(measured, values[1:])
    counts = np.diff(ranked.starts)
    return FixedRow(
        *key,
        AP=average_precision,
        **dict(zip(FIXED_MEASURES, measured)),
        detections=len(ranked.rows),
        per_class=int(np.median(counts)),
        full_classes=int((counts >= limits).sum()),
    )


def best_of_each_class(ranked: Ranking, limits: np.ndarray) -> Ranking:
    """The ranking with only the best detections of each class.

    Args:
        ranked: all detections.
        limits: int64 `[classes]`, how many of each class stay.
    """
    sizes = np.diff(ranked.starts)
    if (sizes <= limits).all():
        return ranked
    nth = np.arange(len(ranked.rows)) - np.repeat(ranked.starts[:-1], sizes)
    return ranked.select(nth < np.repeat(limits, sizes))[0]


def pooled(ranked: Ranking, scores: np.ndarray) -> tuple[Ranking, np.ndarray]:
    """The detections of all classes in one ranking, as if they were of one class.

    Of equal scores the image with the smaller id comes first, then the class with the smaller
    label, then the earlier row.

    Args:
        ranked: the detections class by class.
        scores: `[detections]`, the score of each row.

    Returns:
        The ranking, and the new position of each detection, int64 `[ranked]`.
    """
    order = np.lexsort((ranked.images, -scores[ranked.rows]))
    positions = np.empty(len(order), np.int64)
    positions[order] = np.arange(len(order))
    ends = np.array([0, len(order)])
    return Ranking(ranked.rows[order], ranked.images[order], ends), positions


def _moved(found: Matches, positions: np.ndarray) -> list[Marks]:
    """What detections are at each IoU threshold, in a ranking that has them at new positions."""
    where = positions[found.positions]
    return [
        Marks(np.sort(where[right]), np.sort(where[ignored]))
        for right, ignored in zip(found.is_right.T, found.is_ignored.T)
    ]


def _measures(
    ranked: Ranking, marks: list[Marks], parts: np.ndarray, boxes: np.ndarray
) -> np.ndarray:
    """AP and AP50, means over classes with a true box, in percent: float64 `[parts, 2]`."""
    precision = average_precisions(ranked, marks, parts, boxes)
    return OnHalves(np.stack([precision.mean(axis=0), precision[IOU_50]]), boxes > 0).mean()
