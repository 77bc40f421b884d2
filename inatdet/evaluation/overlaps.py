"""Which detections lie on true boxes, and which are the best of their image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inatdet.evaluation.average_precision import GroundTruth
from inatdet.evaluation.matching import Labelled


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Where detections reach an IoU of .5 with a true box.

    For a crowd, the share of the detection that lies on it takes the place of IoU.

    Attributes:
        any_label: bool `[detections]`: with any of the image's true boxes.
        own_label: bool `[detections]`: with one of the detection's own label.
    """

    any_label: np.ndarray
    own_label: np.ndarray


def overlaps(truth: GroundTruth, columns: np.ndarray) -> Overlaps:
    """Compares each detection with all true boxes of its image.

    Args:
        truth: the true boxes.
        columns: the detections; see `average_precision.result_columns`.
    """
    met = Labelled.of(truth, columns).met
    any_label, own_label = np.zeros((2, len(columns)), bool)
    rows, boxes = met.reaching_half()
    any_label[rows] = True
    own_label[rows[columns[rows, 6] == truth.labels[boxes]]] = True
    return Overlaps(any_label, own_label)


def best_of_each_image(image_ids: np.ndarray, scores: np.ndarray, count: int) -> np.ndarray:
    """The best-scored detections of each image, of equal scores the earlier ones.

    Args:
        image_ids: `[detections]`.
        scores: `[detections]`.
        count: how many to keep of each image.

    Returns:
        bool `[detections]`.
    """
    order = np.argsort(image_ids, kind="stable")
    first = np.flatnonzero(np.diff(image_ids[order], prepend=-np.inf))
    sizes = np.diff(first, append=len(order))
    if not len(sizes) or sizes.max() <= count:
        return np.ones(len(image_ids), bool)
    order = np.lexsort((-scores, image_ids))  # stable; the last key counts most
    best = np.zeros(len(image_ids), bool)
    best[order[np.arange(len(order)) - np.repeat(first, sizes) < count]] = True
    return best
