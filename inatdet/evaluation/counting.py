"""The measures of every class, counted from one matching or by one of the libraries.

The matching is there anyway, for standard errors and kinds of error, and a library's own costs more
than everything else. The libraries remain as references: tests compare all of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from inatdet.data.detections import Detections
from inatdet.data.granularity import Granularity
from inatdet.evaluation import average_precision
from inatdet.evaluation.average_precision import (
    IOU_50,
    IOU_75,
    MAX_DETECTIONS,
    METRICS,
    ClassResults,
    Engine,
    GroundTruth,
)
from inatdet.evaluation.matching import Labelled, Matches, Ranking
from inatdet.evaluation.reweighting import (
    average_precisions,
    interpolated_precisions,
    sums_of_classes,
)
from inatdet.evaluation.segments import Marks


def evaluate(
    truth: GroundTruth,
    detections: Detections,
    granularity: Granularity,
    engine: Engine = Engine.INATDET,
) -> ClassResults:
    """Measures every class.

    Args:
        truth: the true boxes at `granularity`.
        detections: all in images of `truth`; those without a label at `granularity` are ignored.
        granularity: which labels to compare.
        engine: what counts.

    Returns:
        The measures of the classes 1..num_labels, in that order.
    """
    columns = average_precision.result_columns(detections, granularity)
    if engine is Engine.INATDET:
        labelled = Labelled.of(truth, columns)
        return class_results(labelled, labelled.matches())
    return average_precision.class_results(average_precision.counted(truth, columns, engine))


def class_results(labelled: Labelled, found: Matches) -> ClassResults:
    """The measures of every class on all images.

    Args:
        labelled: the detections.
        found: their matches at `matching.IOU_THRESHOLDS`.
    """
    return _results(labelled.truth, labelled.ranked, found, ~labelled.truth.is_crowd)


def class_results_of_areas(labelled: Labelled, area_range: tuple[float, float]) -> ClassResults:
    """The measures of every class where only true boxes of some areas count.

    Args:
        labelled: the detections.
        area_range: in square pixels. True boxes of other areas do not count, and neither do
            detections of other areas that match no box.
    """
    truth, ranked = labelled.truth, labelled.ranked
    counts = in_range(truth.areas, area_range)
    found = labelled.matches(left_out=~counts)
    outside = ~in_range(labelled.met.areas[ranked.rows], area_range)
    kept = ~outside
    kept[found.positions] = True
    ranked, place = ranked.select(kept)
    no_match = outside[found.positions][:, None] & ~found.is_right
    found = replace(found, positions=place[found.positions], is_ignored=found.is_ignored | no_match)
    return _results(truth, ranked, found, counts & ~truth.is_crowd)


def _results(
    truth: GroundTruth, ranked: Ranking, found: Matches, counts: np.ndarray
) -> ClassResults:
    boxes = np.bincount(truth.labels[counts] - 1, minlength=truth.num_labels)
    everywhere = np.ones((len(truth.image_ids), 1), bool)
    values = measures(ranked, found, everywhere, boxes[:, None])[..., 0].T
    precision = interpolated_precisions(ranked, marks_of(found)[IOU_50], boxes)
    values[boxes == 0] = precision[boxes == 0] = np.nan
    return ClassResults(values, precision)


def in_range(areas: np.ndarray, area_range: tuple[float, float]) -> np.ndarray:
    """Which areas lie in a range, bool; in COCO, both ends belong to it."""
    inside: np.ndarray = (areas >= area_range[0]) & (areas <= area_range[1])
    return inside


def marks_of(found: Matches) -> list[Marks]:
    """What detections are taken for at each threshold."""
    return [
        Marks(found.positions[right], found.positions[ignored])
        for right, ignored in zip(found.is_right.T, found.is_ignored.T)
    ]


def measures(ranked: Ranking, found: Matches, parts: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The measures of every class in every part of the images.

    Args:
        ranked: the detections.
        found: their matches at `matching.IOU_THRESHOLDS`.
        parts: bool `[images, parts]`, which images belong to each part, by sorted id.
        boxes: int `[classes, parts]`, how many true boxes count.

    Returns:
        float64 `[5, classes, parts]`, in 0..1, as `METRICS`; 0 for classes without true boxes.
    """
    marks = marks_of(found)
    precision = average_precisions(ranked, marks, parts, boxes)
    values = np.empty((len(METRICS), *boxes.shape))
    values[METRICS.index("AP")] = precision.mean(axis=0)
    values[METRICS.index("AP50")] = precision[IOU_50]
    values[METRICS.index("AP75")] = precision[IOU_75]
    del precision
    rights = found.is_right.sum(axis=1)
    for name, most in zip(("AR1", "AR10"), MAX_DETECTIONS):
        best = np.repeat(np.arange(len(rights)), np.where(found.ranks < most, rights, 0))
        places = found.positions[best]
        counts = sums_of_classes(
            ranked.classes_of(places), ranked.images[places], len(boxes), parts
        )
        values[METRICS.index(name)] = counts / np.maximum(boxes, 1) / len(marks)
    return values
