"""Which detections lie on true boxes, and therefore which ones no measure depends on.

A species has tens of thousands of false detections and few true boxes. Most of the false ones score
below everything that could be right, and average precision and recall do not depend on them: the
curve has ended there. Left out before counting, they cost nothing.
"""

from __future__ import annotations

import concurrent.futures
import os
from dataclasses import dataclass

import numpy as np

from inatdet.data.boxes import reach_half_iou
from inatdet.evaluation.average_precision import GroundTruth

_ROWS_AT_ONCE = 1 << 16  # per thread; they stay in its cache


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
    by_image = np.argsort(truth.box_images, kind="stable")
    image_ids, first, count = np.unique(
        truth.box_images[by_image], return_index=True, return_counts=True
    )
    boxes, labels = truth.boxes[by_image], truth.labels[by_image]
    is_crowd = truth.is_crowd[by_image]
    any_label, own_label = np.zeros((2, len(columns)), bool)

    def compare(start: int) -> None:
        found = columns[start : start + _ROWS_AT_ONCE]
        image = np.minimum(np.searchsorted(image_ids, found[:, 0]), len(image_ids) - 1)
        left = np.where(image_ids[image] == found[:, 0], count[image], 0)
        nth = 0
        while len(rows := np.flatnonzero(left > nth)):
            box = first[image[rows]] + nth
            close = rows[reach_half_iou(found[rows, 1:5], boxes[box], is_crowd[box])]
            any_label[start + close] = True
            same = found[close, 6] == labels[first[image[close]] + nth]
            own_label[start + close[same]] = True
            nth += 1

    if len(image_ids):
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
            for _ in threads.map(compare, range(0, len(columns), _ROWS_AT_ONCE)):
                pass
    return Overlaps(any_label, own_label)


def can_change_metrics(columns: np.ndarray, found: Overlaps) -> np.ndarray:
    """The detections that can change a measure or a class's curve.

    The others score below every detection of their class that lies on a true box of it: neither
    they nor any detection after them is right at an IoU of .5 or more. Recall has reached its final
    value before them, and precision beyond that point is never used.

    Args:
        columns: the detections, `[detections, 7]`.
        found: their `overlaps` with the true boxes.

    Returns:
        bool `[detections]`. It holds for any subset of the images and any range of areas.
    """
    scores, labels = columns[:, 5], columns[:, 6].astype(np.int64)
    lowest = np.full(labels.max(initial=0) + 1, np.inf)
    np.minimum.at(lowest, labels[found.own_label], scores[found.own_label])
    return scores >= lowest[labels]


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
