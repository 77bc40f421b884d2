"""Fine detections seen at coarser levels.

A species model's detections can be evaluated among the super-classes, or as animals. The paper does
so in Table 6 without saying what happens to boxes of one animal under several species: mapped to
one super-class they are duplicates, and all but one are false positives. So each way of merging
them is a rule with a name, and the report shows every one.
"""

from __future__ import annotations

import concurrent.futures
import enum
import os

import numpy as np

from inatdet.data.taxonomy import Granularity
from inatdet.evaluation.detections import Detections

MERGE_IOU = 0.6
"""The detector's own threshold (the Object Detection API's second-stage default)."""

_BLOCK_CELLS = 1 << 16  # boxes that a thread works on at a time


class Merge(str, enum.Enum):
    """What happens to detections when their labels become coarser.

    `NONE`: labels are mapped, nothing else. `NMS`: then, within each image and coarse label, a box
    that overlaps a better one by more than `MERGE_IOU` is dropped. `MARGINAL`: the detector itself
    summed its probabilities before any suppression, P(super-class) = sum of P(species) over its
    species, and suppressed once, at the coarse level; such detections are a file of their own.
    """

    NONE = "none"
    NMS = "nms"
    MARGINAL = "marginal"

    def __str__(self) -> str:
        return self.value


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


def suppress(
    groups: np.ndarray, scores: np.ndarray, boxes: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Greedy non-maximum suppression within groups, many groups at a time.

    Of equal scores the earlier row is the better one.

    Args:
        groups: int `[n]`; only boxes of one group suppress each other.
        scores: `[n]`.
        boxes: `[n, 4]`, `x, y, width, height`.
        iou_threshold: a box is dropped when it overlaps a better kept one by more than this.

    Returns:
        bool `[n]`, which rows stay.
    """
    keep = np.zeros(len(groups), bool)
    if not len(groups):
        return keep
    order = _by_group(groups, scores)
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order[0]] - 1))
    sizes = np.diff(starts, append=len(order))
    keep[order[starts]] = True  # the best of each
    # Groups of like size are padded to one another and worked on together.
    by_size = np.argsort(sizes, kind="stable")
    sizes = sizes[by_size]
    first = int(np.searchsorted(sizes, 2))
    blocks = []
    while first < len(sizes):
        last = int(np.searchsorted(sizes, 1.25 * sizes[first], "right"))
        last = min(last, first + max(1, _BLOCK_CELLS // int(sizes[last - 1])))
        blocks.append(slice(first, last))
        first = last

    def kept_of(block: slice) -> np.ndarray:
        ranks = np.arange(sizes[block][-1])[:, None]
        rows = order[np.minimum(starts[by_size[block]] + ranks, len(order) - 1)]
        real = ranks < sizes[block]
        x, y, width, height = np.moveaxis(boxes[rows], -1, 0)
        corners = np.stack([x, y, x + width, y + height, width * height])
        return rows[_suppress_block(corners, real, iou_threshold)]

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        for kept in threads.map(kept_of, blocks):
            keep[kept] = True
    return keep


def _by_group(groups: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Rows group by group, in each the best first and of equal scores the earlier one."""
    order = np.argsort(groups, kind="stable")
    in_order, ordered = groups[order], scores[order]
    # Detectors write the best first; then there is nothing more to do.
    if ((ordered[1:] <= ordered[:-1]) | (in_order[1:] != in_order[:-1])).all():
        return order
    return np.lexsort((-scores, groups))  # the last key counts most; it is stable


def _suppress_block(boxes: np.ndarray, real: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Suppresses within columns.

    Args:
        boxes: `[5, ranks, groups]`: x, y, right, bottom, area; best first.
        real: bool `[ranks, groups]`, False where a group is padded.
        iou_threshold: as in `suppress`.

    Returns:
        bool `[ranks, groups]`, which stay.
    """
    stays = real.copy()
    x, y, right, bottom, area = boxes
    for better in range(len(real) - 1):
        worse = slice(better + 1, None)
        shared = np.minimum(right[worse], right[better])
        shared -= np.maximum(x[worse], x[better])
        height = np.minimum(bottom[worse], bottom[better])
        height -= np.maximum(y[worse], y[better])
        np.maximum(shared, 0, out=shared)
        np.maximum(height, 0, out=height)
        shared *= height
        union = area[worse] + area[better]
        union -= shared
        union *= iou_threshold
        stays[worse] &= ~((shared > union) & stays[better])
    return stays
