"""Which detections lie on true boxes, and which are the best of their image."""

from __future__ import annotations

import numpy as np

from inatdet.evaluation.average_precision import GroundTruth
from inatdet.evaluation.matching import Labelled


def on_own_label(truth: GroundTruth, columns: np.ndarray) -> np.ndarray:
    """Which detections reach an IoU of .5 with a true box of their own label.

    For a crowd, the share of the detection that lies on it takes the place of IoU.

    Args:
        truth: the true boxes.
        columns: the detections; see `average_precision.result_columns`.

    Returns:
        bool `[detections]`.
    """
    found = np.zeros(len(columns), bool)
    rows, boxes = Labelled.of(truth, columns).met.reaching_half()
    found[rows[columns[rows, 6] == truth.labels[boxes]]] = True
    return found


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
