"""Recall of a detector's proposals: whether its first stage looks where the animals are.

The first stage proposes boxes without names, at every granularity, so its proposals are detections
of animals, generic ones, with their objectness as scores (`inatdet detect --proposals`). Recall at
k is the share of the true boxes that are among an image's best k proposals, matched as COCO matches
detections: the best proposal first takes the true box that it overlaps most. AR50 is recall at
IoU .5, AR the mean over .5 to .95 (Hosang et al., "What Makes for Effective Detection Proposals?",
2016). Boxes count once each, whatever their class; boxes around crowds do not count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from inatdet.evaluation.average_precision import EVERY_AREA, IOU_50
from inatdet.evaluation.breakdowns import SIZES
from inatdet.evaluation.counting import in_range
from inatdet.evaluation.encounters import positions
from inatdet.evaluation.matching import Labelled
from inatdet.evaluation.resampling import Estimate, Halves
from inatdet.evaluation.rows import Cell, Row

MOST = (1, 10, 100, 300)
"""How many proposals of each image count; the paper's detector classifies 300."""

ALL_SIZES = "all"


@dataclass(frozen=True)
class ProposalRow(Row):
    """Recall at a number of proposals per image, of animals of one size.

    Attributes:
        most: how many proposals of each image count.
        size: `all`, or one of COCO's.
        boxes: how many true boxes are of that size.
        recall_50: recall at IoU .5, in percent; NaN where there is no such box.
        recall: the mean over IoU .5 to .95, in percent.
    """

    columns: ClassVar[tuple[str, ...]] = ("most", "size", "boxes", "AR50", "AR")

    most: int
    size: str
    boxes: int
    recall_50: float
    recall: float

    @property
    def key(self) -> tuple[str, ...]:
        """The number of proposals, as text, and the size."""
        return str(self.most), self.size

    @property
    def AR50(self) -> float:  # noqa: N802
        """Recall at IoU .5, in percent."""
        return self.recall_50

    @property
    def AR(self) -> float:  # noqa: N802
        """Recall, the mean over IoU .5 to .95, in percent."""
        return self.recall

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        return self.most, self.size, self.boxes, self.recall_50, self.recall


@dataclass(frozen=True, eq=False)
class Recall:
    """Recall on all images and on each half of them, in percent.

    Attributes:
        most: how many proposals of each image count.
        size: `all`, or one of COCO's.
        boxes: how many true boxes are of that size.
        values: AR50 and AR, float64 `[2, 1 + halves]`; NaN where there is no such box.
    """

    most: int
    size: str
    boxes: int
    values: np.ndarray


def recalls(labelled: Labelled, halves: Halves) -> Iterator[Recall]:
    """Recall at each of `MOST`, and for each size.

    Args:
        labelled: proposals and true boxes, both of one label.
        halves: the halves of the images.
    """
    labelled = replace(labelled, most=None)  # COCO's limit is 100
    truth = labelled.truth
    sizes = {ALL_SIZES: EVERY_AREA, **SIZES}
    images = len(truth.image_ids)
    parts = np.hstack([np.ones((images, 1)), halves.parts.reshape(images, -1)])
    image_of_box = positions(truth.box_images, truth.image_ids)
    for size, areas in sizes.items():
        counts = in_range(truth.areas, areas) & ~truth.is_crowd
        boxes = np.bincount(image_of_box[counts], minlength=images) @ parts
        found = labelled.matches(left_out=~counts)
        image_of = labelled.ranked.images[found.positions]
        for most in MOST:
            right = found.is_right & (found.ranks < most)[:, None]
            by_image = np.zeros((images, right.shape[1]))
            np.add.at(by_image, image_of, right)
            shares = np.full((right.shape[1], parts.shape[1]), np.nan)
            np.divide(100.0 * (by_image.T @ parts), boxes, out=shares, where=boxes > 0)
            values = np.stack([shares[IOU_50], shares.mean(axis=0)])
            yield Recall(most, size, int(counts.sum()), values)


def proposal_rows(labelled: Labelled, halves: Halves) -> tuple[ProposalRow, ...]:
    """The rows of the table; for the arguments see `recalls`."""

    def number(values: np.ndarray) -> float:
        value = float(values[0])
        if not halves or math.isnan(value):
            return value
        return Estimate(value, halves.std_err(values[1:]))

    return tuple(
        ProposalRow(one.most, one.size, one.boxes, *map(number, one.values))
        for one in recalls(labelled, halves)
    )
