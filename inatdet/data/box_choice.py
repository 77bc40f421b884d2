"""Which boxes of a detector are worth a second look by a classifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inatdet.data.boxes import suppress
from inatdet.data.detections import Detections

MOST_CONTEXT = 9
"""The largest `BoxChoice.context`: a part of an image that is 19 times as wide as the box."""


@dataclass(frozen=True)
class BoxChoice:
    """Which boxes are classified, what is seen of them, and what is kept.

    Attributes:
        min_score: boxes with a lower score are left out.
        most: how many of an image, at most, the best.
        iou: those that overlap a better one of their image by a higher IoU are left out, whatever
            their labels: a classifier would say the same of both.
        context: the share of a box's width and height that is seen on each of its sides, too; None
            for what the classifier's settings say.
        labels: how many of a box's labels are kept, at each level.
    """

    min_score: float = 0.0
    most: int = 20
    iou: float = 0.6
    context: float | None = None
    labels: int = 3

    def rows(self, found: Detections) -> np.ndarray:
        """The rows of the detections that are classified, int64 `[chosen]`, ascending."""
        rows = np.flatnonzero(found.scores >= self.min_score)
        kept = suppress(
            found.image_ids[rows], found.scores[rows], found.boxes[rows], self.iou, self.most
        )
        chosen: np.ndarray = rows[kept]
        return chosen
