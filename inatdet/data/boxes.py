"""Overlaps of boxes in NumPy, and what follows from them: suppression and matches.

All boxes here are `x, y, width, height`, with (x, y) the top left corner.
"""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Sequence

import numpy as np

RIGHT_IOU = 0.5
"""The IoU with a true box from which a detection in a picture counts as right."""

_BLOCK_CELLS = 1 << 16  # boxes that a thread processes at a time
_LARGE_GROUP = 512  # boxes; comparing each with each other is slower from here on


def suppress(
    groups: np.ndarray,
    scores: np.ndarray,
    boxes: np.ndarray,
    iou_threshold: float,
    most: int | None = None,
) -> np.ndarray:
    """Greedy non-maximum suppression within groups, many groups at a time.

    Of equal scores the earlier row is the better one. At worst the time grows with the number of
    boxes times `most`.

    Args:
        groups: int `[n]`; only boxes of the same group suppress each other.
        scores: `[n]`.
        boxes: `[n, 4]`.
        iou_threshold: a box is dropped if its IoU with a better box that is kept exceeds this.
        most: how many boxes of a group are kept; those after them are dropped as well. Without it
            the time may grow with the square of the number of boxes of a group.

    Returns:
        bool `[n]`, which rows are kept.
    """
    keep = np.zeros(len(groups), bool)
    if not len(groups) or most == 0:
        return keep
    most = len(groups) if most is None else most
    order = _by_group(groups, scores)
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order[0]] - 1))
    counts = np.diff(starts, append=len(order))
    keep[order[starts]] = True  # the best of each group
    # Groups of similar size are padded to the same size and processed together.
    by_size = np.argsort(counts, kind="stable")
    sizes = counts[by_size]
    first, large = np.searchsorted(sizes, [2, _LARGE_GROUP]).tolist()
    blocks = []
    while first < large:
        last = min(large, int(np.searchsorted(sizes, 1.25 * sizes[first], "right")))
        last = min(last, first + max(1, _BLOCK_CELLS // int(sizes[last - 1])))
        blocks.append(slice(first, last))
        first = last

    def kept_of(block: slice) -> np.ndarray:
        ranks = np.arange(sizes[block][-1])[:, None]
        rows: np.ndarray = order[np.minimum(starts[by_size[block]] + ranks, len(order) - 1)]
        real = ranks < sizes[block]
        edges = np.stack(_edges(boxes[rows]))
        is_kept = _suppress_block(edges, real, iou_threshold)
        is_kept &= np.cumsum(is_kept, axis=0) <= most
        kept: np.ndarray = rows[is_kept]
        return kept

    for group in by_size[large:].tolist():
        rows = order[starts[group] : starts[group] + int(counts[group])]
        keep[rows[_suppress_one(boxes[rows], iou_threshold, most)]] = True
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        for kept in threads.map(kept_of, blocks):
            keep[kept] = True
    return keep


def are_right(
    boxes: np.ndarray, labels: np.ndarray, true_boxes: np.ndarray, true_labels: np.ndarray
) -> np.ndarray:
    """Which detections in an image overlap a true box of their label by `RIGHT_IOU` or more.

    Args:
        boxes: float `[n, 4]`.
        labels: `[n]`.
        true_boxes: float `[m, 4]`.
        true_labels: `[m]`, or one label that all true boxes have.

    Returns:
        bool `[n]`.
    """
    right = np.zeros(len(boxes), bool)
    for box, label in zip(true_boxes, np.broadcast_to(true_labels, len(true_boxes))):
        right |= (labels == label) & (iou(boxes, box) >= RIGHT_IOU)
    return right


def iou(boxes: np.ndarray, others: np.ndarray, is_crowd: np.ndarray | bool = False) -> np.ndarray:
    """The IoU of each box with the box of the same row.

    Args:
        boxes: float `[n, 4]`.
        others: float `[n, 4]`, or one box `[4]` for all.
        is_crowd: bool `[n]`; for a crowd, the share of the box that lies inside the other one takes
            the place of the IoU.

    Returns:
        float `[n]`; 0 where both have no area.
    """
    *edges, area = _edges(boxes)
    *other_edges, other_area = _edges(others)
    shared = _intersection(edges, other_edges)
    union = np.where(is_crowd, area, area + other_area - shared)
    ratio: np.ndarray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratio


def _by_group(groups: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Rows group by group, within a group the best first, of equal scores the earlier one."""
    order = np.argsort(groups, kind="stable")
    in_order, ordered = groups[order], scores[order]
    # Detectors write the best first; then there is nothing more to do.
    if ((ordered[1:] <= ordered[:-1]) | (in_order[1:] != in_order[:-1])).all():
        return order
    return np.lexsort((-scores, groups))  # the last key counts most; it is stable


def _suppress_block(boxes: np.ndarray, real: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Suppresses within columns.

    Args:
        boxes: `[5, ranks, groups]`: see `_edges`; best first.
        real: bool `[ranks, groups]`, False where a group is padded.
        iou_threshold: as in `suppress`.

    Returns:
        bool `[ranks, groups]`, which are kept.
    """
    kept: np.ndarray = real.copy()
    for better in range(len(real) - 1):
        worse = slice(better + 1, None)
        overlap = _overlap_more(boxes[:, worse], boxes[:, better], iou_threshold)
        kept[worse] &= ~(overlap & kept[better])
    return kept


def _suppress_one(boxes: np.ndarray, iou_threshold: float, most: int) -> np.ndarray:
    """Suppresses within one group: the positions of at most `most` kept of boxes, best first."""
    edges = np.stack(_edges(boxes))
    left = np.arange(len(boxes))
    kept: list[int] = []
    while len(left) and len(kept) < most:
        kept.append(int(left[0]))
        stay = ~_overlap_more(edges[:, left[1:]], edges[:, left[0]], iou_threshold)
        left = left[1:][stay]
    return np.array(kept, np.int64)


def _overlap_more(boxes: np.ndarray, others: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Which boxes `[5, ...]`, see `_edges`, overlap others by more; the shapes broadcast."""
    shared = _intersection(boxes[:4], others[:4])
    union = boxes[4] + others[4]
    union -= shared
    union *= iou_threshold
    more: np.ndarray = shared > union
    return more


def _edges(boxes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Left, top, right, bottom and area of boxes `[..., 4]`, each `[...]`."""
    x, y, width, height = np.moveaxis(boxes, -1, 0)
    return x, y, x + width, y + height, width * height


def _intersection(
    edges: Sequence[np.ndarray] | np.ndarray, others: Sequence[np.ndarray] | np.ndarray
) -> np.ndarray:
    """The area that boxes share: the one place that computes it.

    Args:
        edges: left, top, right, bottom, each of the same shape.
        others: the same of other boxes; the shapes broadcast.
    """
    left, top, right, bottom = edges
    other_left, other_top, other_right, other_bottom = others
    # In place, because `_suppress_block` calls this for millions of boxes.
    shared: np.ndarray = np.minimum(right, other_right)
    shared -= np.maximum(left, other_left)
    height = np.minimum(bottom, other_bottom)
    height -= np.maximum(top, other_top)
    np.maximum(shared, 0, out=shared)
    np.maximum(height, 0, out=height)
    shared *= height
    return shared
