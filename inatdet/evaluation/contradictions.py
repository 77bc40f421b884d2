"""Which detections contradict which true boxes, as arrays; `label_errors` makes lists of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.boxes import RIGHT_IOU, suppress
from inatdet.data.labels import NO_LABEL
from inatdet.evaluation.average_precision import GroundTruth
from inatdet.evaluation.matching import TrueBoxes, positions_of
from inatdet.evaluation.overlaps import Overlaps

NEAR_IOU = 0.1
"""From this IoU on, a detection may mean a true box: where background ends in TIDE."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Detections with true boxes of their images. Row i of every column is the i-th pair.

    Attributes:
        rows: int64 `[pairs]`, rows of detections.
        boxes: int64 `[pairs]`, rows of the annotations.
        ious: float64 `[pairs]`; for a crowd, the share of the detection inside of it.
    """

    rows: np.ndarray
    boxes: np.ndarray
    ious: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, which: np.ndarray) -> Pairs:
        """Only some of them: a boolean mask or indices, `[pairs]`."""
        return Pairs(self.rows[which], self.boxes[which], self.ious[which])

    def nearest(self) -> Pairs:
        """Each detection only with the box that it overlaps most, of equal ones the first."""
        order = np.lexsort((self.boxes, -self.ious, self.rows))  # the last key counts most
        return self.select(order[np.diff(self.rows[order], prepend=-1) != 0])

    def best(self, scores: np.ndarray) -> Pairs:
        """Each box only with its best detection, of equal ones the first.

        Args:
            scores: `[detections]`.
        """
        order = np.lexsort((self.rows, -scores[self.rows], self.boxes))
        return self.select(order[np.diff(self.boxes[order], prepend=-1) != 0])


@dataclass(frozen=True, eq=False)
class Contradictions:
    """What detections say against the annotations.

    Attributes:
        judged: bool `[boxes]`, the true boxes that can be contradicted.
        own_scores: float64 `[boxes]`, the score of the best detection with the box's label on the
            box, 0 without one.
        doubts: float64 `[boxes]`, by how many percent that is less than usual for the label; 0
            where it is not less.
        labels: boxes with the detection that says that their label is another one.
        places: boxes with the detection that says that they are somewhere else.
        alone: int64 `[n]`, rows of detections that say that there is another animal.
        alone_ious: float64 `[n]`, their highest IoU with a true box.
    """

    judged: np.ndarray
    own_scores: np.ndarray
    doubts: np.ndarray
    labels: Pairs
    places: Pairs
    alone: np.ndarray
    alone_ious: np.ndarray


def contradictions(
    annotations: Annotations,
    labels: np.ndarray,
    num_labels: int,
    columns: np.ndarray,
    on_truth: Overlaps,
) -> Contradictions:
    """Finds the detections that contradict annotations; `label_errors` has the rules.

    Args:
        annotations: the images that count, with all their boxes.
        labels: int64 `[boxes]`, the boxes' labels 1, 2, ... or `NO_LABEL`.
        num_labels: how many labels there are.
        columns: the detections, in these images; see `average_precision.result_columns`. Negative
            scores, as logits are, support nothing.
        on_truth: their `overlaps` with the true boxes that have a label.
    """
    scores, named = columns[:, 5], columns[:, 6].astype(np.int32)
    is_crowd = annotations.is_crowd
    judged = (labels > NO_LABEL) & ~is_crowd
    true = _Truth(annotations, labels, num_labels)

    on = true.pairs(columns, np.flatnonzero(on_truth.any_label))
    on = on.select(on.ious >= RIGHT_IOU)
    same = labels[on.boxes] == named[on.rows]
    own_scores = np.zeros(len(labels))
    np.maximum.at(own_scores, on.boxes[same], scores[on.rows[same]])
    usual = usual_scores(labels[judged], own_scores[judged], num_labels)
    confident = scores >= np.where(usual > 0, usual, np.inf)[named]
    expected = usual[labels]
    unsure = judged & (own_scores < expected)
    doubts = np.zeros(len(labels))
    doubts[unsure] = 100.0 * (1.0 - own_scores[unsure] / expected[unsure])

    is_right = np.zeros(len(columns), bool)
    is_right[on.rows[same]] = True
    others = on.select(confident[on.rows] & ~is_right[on.rows] & ~is_crowd[on.boxes]).nearest()
    others = others.select(
        unsure[others.boxes] & (scores[others.rows] > own_scores[others.boxes])
    ).best(scores)

    rows = np.flatnonzero(confident)
    near = true.pairs(columns, rows)
    highest = np.zeros(len(columns))
    np.maximum.at(highest, near.rows, near.ious)
    places = near.select(
        (highest[near.rows] < RIGHT_IOU)
        & (near.ious >= NEAR_IOU)
        & (labels[near.boxes] == named[near.rows])
        & unsure[near.boxes]
    )
    places = places.nearest().best(scores)
    alone = rows[highest[rows] < NEAR_IOU]
    alone = alone[suppress(columns[alone, 0], scores[alone], columns[alone, 1:5], RIGHT_IOU)]
    return Contradictions(judged, own_scores, doubts, others, places, alone, highest[alone])


def usual_scores(labels: np.ndarray, own_scores: np.ndarray, num_labels: int) -> np.ndarray:
    """The mean score that each label has on the boxes annotated with it.

    Args:
        labels: int64 `[boxes]`, 1..num_labels.
        own_scores: float64 `[boxes]`; see `Contradictions`.
        num_labels: how many labels there are.

    Returns:
        float64 `[num_labels + 1]`, by label. One box says little about its label, and without any
        there is nothing to say: these labels have the mean over all boxes, infinity without any.
    """
    counts = np.bincount(labels, minlength=num_labels + 1)
    sums = np.bincount(labels, own_scores, minlength=num_labels + 1)
    overall = own_scores.mean() if len(own_scores) else np.inf
    return np.where(counts > 1, sums / np.maximum(counts, 1), overall)


class _Truth:
    """All boxes of the annotations, to be compared with detections."""

    def __init__(self, annotations: Annotations, labels: np.ndarray, num_labels: int):
        self._truth = GroundTruth(
            image_ids=np.array([image.id for image in annotations.images], np.int64),
            num_labels=num_labels,
            box_images=annotations.image_ids,
            labels=labels,
            boxes=annotations.boxes,
            areas=annotations.areas,
            is_crowd=annotations.is_crowd,
        )
        self._boxes = TrueBoxes(self._truth)

    def pairs(self, columns: np.ndarray, rows: np.ndarray) -> Pairs:
        """Some detections, int64 `[n]`, with every true box of their images that they touch."""
        found = [Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]

        def visit(nth: np.ndarray, box: np.ndarray, ious: np.ndarray, same: np.ndarray) -> None:
            del same
            touch = ious > 0
            found.append(Pairs(rows[nth[touch]], self._boxes.order[box[touch]], ious[touch]))

        part = columns[rows]
        images = positions_of(part[:, 0], self._truth)
        self._boxes.compare(part, images, visit, own_label=False)
        return Pairs(
            np.concatenate([pairs.rows for pairs in found]),
            np.concatenate([pairs.boxes for pairs in found]),
            np.concatenate([pairs.ious for pairs in found]),
        )
