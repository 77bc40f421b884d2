"""Fine detections seen at coarser levels.

A species model's detections can be evaluated among the super-classes, or as animals. The paper does
so in Table 6 without saying what happens to boxes of one animal under several species: mapped to
one super-class they are duplicates, and all but one are false positives. So each way of merging
them is a rule with a name, and the report shows every one.
"""

from __future__ import annotations

import enum

import numpy as np

from inatdet.data.taxonomy import Granularity
from inatdet.evaluation.detections import Detections

MERGE_IOU = 0.6
"""The detector's own threshold (the Object Detection API's second-stage default)."""

_GROUP_CELLS = 1 << 22  # cells of the largest table of overlaps held at a time


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
    # Rows group by group, best first; lexsort's last key counts most, and it is stable.
    order = np.lexsort((-scores, groups))
    _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    # Groups of like size are padded to one another and worked on together.
    by_size = np.argsort(sizes, kind="stable")
    first = 0
    while first < len(by_size):
        size = int(sizes[by_size[first]])
        last = first + 1
        # Sizes ascend, so the last group of a block is its largest.
        while last < len(by_size):
            size_with = int(sizes[by_size[last]])
            if size_with > 1.25 * size or (last - first + 1) * size_with**2 > _GROUP_CELLS:
                break
            last += 1
        block = by_size[first:last]
        width = int(sizes[block[-1]])
        columns = np.arange(width)
        real = columns < sizes[block, None]
        rows = order[np.minimum(starts[block, None] + columns, len(order) - 1)]
        stays = _suppress_block(boxes[rows], real, iou_threshold)
        keep[rows[stays]] = True
        first = last
    return keep


def _suppress_block(boxes: np.ndarray, real: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Boxes `[groups, n, 4]`, best first; which are real; returns which stay, `[groups, n]`."""
    stays = real.copy()
    if boxes.shape[1] == 1:
        return stays
    worse_overlaps = _overlaps(boxes) > iou_threshold
    for better in range(boxes.shape[1] - 1):
        worse = slice(better + 1, None)
        stays[:, worse] &= ~(worse_overlaps[:, better, worse] & stays[:, better, None])
    return stays


def _overlaps(boxes: np.ndarray) -> np.ndarray:
    """IoU of every pair within each group: `[groups, n, 4]` to `[groups, n, n]`."""
    x, y, width, height = np.moveaxis(boxes, -1, 0)
    right, bottom = x + width, y + height
    shared_width = np.minimum(right[:, :, None], right[:, None]) - np.maximum(
        x[:, :, None], x[:, None]
    )
    shared_height = np.minimum(bottom[:, :, None], bottom[:, None]) - np.maximum(
        y[:, :, None], y[:, None]
    )
    shared = np.maximum(shared_width, 0) * np.maximum(shared_height, 0)
    area = width * height
    union = area[:, :, None] + area[:, None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
