"""What the four numbers of true boxes seem to mean, where that is not x, y, width and height."""

from __future__ import annotations

import numpy as np

BOX_TOLERANCE = 1.0
"""Pixels by which a box may extend beyond the image, as boxes rounded to whole pixels do."""

_ENOUGH = 20  # boxes; a few large ones may fit any reading


def are_fractions(boxes: np.ndarray, sizes: np.ndarray) -> bool:
    """Whether all boxes look like fractions of their images instead of pixels.

    Args:
        boxes: float64 `[n, 4]`, x, y, width, height.
        sizes: float64 `[n, 2]`, width and height of the image of each box.
    """
    if not len(boxes):
        return False
    with np.errstate(over="ignore"):
        inside = (boxes >= 0).all() and (boxes[:, :2] + boxes[:, 2:] <= 1.001).all()
    # Boxes of one whole pixel are possible, boxes of less than one are not.
    return bool(inside and (sizes > 2).all() and (boxes != np.floor(boxes)).any())


def fit_as_corners(boxes: np.ndarray, sizes: np.ndarray) -> bool:
    """Whether all boxes would lie inside their images if they were x1, y1, x2, y2.

    Args:
        boxes: float64 `[n, 4]`, the four numbers as they are.
        sizes: float64 `[n, 2]`, width and height of the image of each box.
    """
    low, high = boxes[:, :2], boxes[:, 2:]
    inside = (low >= -BOX_TOLERANCE).all() and (high <= sizes + BOX_TOLERANCE).all()
    return bool(len(boxes) and inside and (high > low).all())


def look_like_corners(boxes: np.ndarray) -> bool:
    """Whether boxes that lie inside their images still look like corners x1, y1, x2, y2.

    Then all of them are wider than their distance from the left edge and higher than that from the
    upper one; of true sizes, some are not, unless the boxes are few.

    Args:
        boxes: float64 `[n, 4]`, x, y, width, height.
    """
    return bool(len(boxes) >= _ENOUGH and (boxes[:, 2:] > boxes[:, :2]).all())


def clipped(boxes: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cuts boxes to their images.

    Args:
        boxes: float64 `[n, 4]`, x, y, width, height.
        sizes: float64 `[n, 2]`, width and height of the image of each box.

    Returns:
        boxes: float64 `[n, 4]`; those inside their image are not changed in any digit.
        outside: bool `[n]`, which boxes extend beyond their image by more than `BOX_TOLERANCE`, or
            would have no area left.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
        over = np.maximum(-low, high - sizes).max(axis=1, initial=0)
        inner_low, inner_high = np.maximum(low, 0), np.minimum(high, sizes)
        empty = (inner_high <= inner_low).any(axis=1)
        cut = np.concatenate([inner_low, inner_high - inner_low], axis=1)
    return np.where((over > 0)[:, None], cut, boxes), (over > BOX_TOLERANCE) | empty
