"""TODO."""

from __future__ import annotations

import concurrent.futures
import os

import numpy as np

_IOU = 0.5 - 1e-6  # the least that counts; the libraries may round otherwise than we do


RIGHT_IOU = 0.5


_BLOCK_CELLS = 1 << 16  # boxes that a thread works on at a time


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


def are_right(
    boxes: np.ndarray, labels: np.ndarray, true_boxes: np.ndarray, true_labels: np.ndarray
) -> np.ndarray:
    """Which detections in an image have a true box of their label at `RIGHT_IOU` or more.

    Args:
        boxes: `[n, 4]`, `x, y, width, height`.
        labels: `[n]`.
        true_boxes: `[m, 4]`.
        true_labels: `[m]`, or the one that all have.

    Returns:
        Bool `[n]`.
    """
    right = np.zeros(len(boxes), bool)
    for box, label in zip(true_boxes, np.broadcast_to(true_labels, len(true_boxes))):
        right |= (labels == label) & (_overlap(boxes, box) >= RIGHT_IOU)
    return right


def _overlap(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """IoU of `[n, 4]` with `[4]`, both x, y, width, height."""
    low = np.maximum(boxes[:, :2], box[:2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], box[:2] + box[2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    union = boxes[:, 2:].prod(axis=1) + box[2:].prod() - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _reaches(found: np.ndarray, boxes: np.ndarray, is_crowd: np.ndarray) -> np.ndarray:
    """Row by row, `[n, 4]` twice; bool `[n]`."""
    (x, y, width, height), (a, b, wide, high) = found.T, boxes.T
    shared = np.maximum(np.minimum(x + width, a + wide) - np.maximum(x, a), 0)
    shared *= np.maximum(np.minimum(y + height, b + high) - np.maximum(y, b), 0)
    area = width * height
    return shared >= _IOU * np.where(is_crowd, area, area + wide * high - shared)
