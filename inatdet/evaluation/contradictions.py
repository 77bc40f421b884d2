"""Which detections contradict which true boxes, as arrays; `label_errors` makes lists of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.boxes import RIGHT_IOU, suppress
from inatdet.data.labels import NO_LABEL
from inatdet.evaluation.encounters import Encounters
from inatdet.evaluation.matching import Labelled

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

    @classmethod
    def of(cls, met: Encounters) -> Pairs:
        """All that overlap by the least IoU that `met` keeps."""
        return cls(met.rows.astype(np.int64), met.boxes.astype(np.int64), met.ious)

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
    labelled: Labelled,
) -> Contradictions:
    """Finds the detections that contradict annotations; `label_errors` has the rules.

    Args:
        annotations: the images that count, with all their boxes.
        labels: int64 `[boxes]`, the boxes' labels 1, 2, ... or `NO_LABEL`.
        labelled: the detections; the boxes that they met are all those of `annotations`. Negative
            scores, as logits are, support nothing.
    """
    met, named, num_labels = labelled.met, labelled.labels, labelled.truth.num_labels
    scores = met.scores
    is_crowd = annotations.is_crowd
    judged = (labels > NO_LABEL) & ~is_crowd

    on = Pairs.of(met)
    on = on.select((on.ious >= RIGHT_IOU) & (named[on.rows] > NO_LABEL))
    same = labels[on.boxes] == named[on.rows]
    own_scores = np.zeros(len(labels))
    np.maximum.at(own_scores, on.boxes[same], scores[on.rows[same]])
    usual = usual_scores(labels[judged], own_scores[judged], num_labels)
    confident = (named > NO_LABEL) & (scores >= np.where(usual > 0, usual, np.inf)[named])
    expected = usual[labels]
    unsure = judged & (own_scores < expected)
    doubts = np.zeros(len(labels))
    doubts[unsure] = 100.0 * (1.0 - own_scores[unsure] / expected[unsure])

    is_right = np.zeros(len(scores), bool)
    is_right[on.rows[same]] = True
    others = on.select(confident[on.rows] & ~is_right[on.rows] & ~is_crowd[on.boxes]).nearest()
    others = others.select(
        unsure[others.boxes] & (scores[others.rows] > own_scores[others.boxes])
    ).best(scores)

    rows = np.flatnonzero(confident)
    near = _touching(annotations, met, rows)
    highest = np.zeros(len(scores))
    np.maximum.at(highest, near.rows, near.ious)
    places = near.select(
        (highest[near.rows] < RIGHT_IOU)
        & (near.ious >= NEAR_IOU)
        & (labels[near.boxes] == named[near.rows])
        & unsure[near.boxes]
    )
    places = places.nearest().best(scores)
    alone = rows[highest[rows] < NEAR_IOU]
    alone = alone[suppress(met.images[alone], scores[alone], met.found_boxes[alone], RIGHT_IOU)]
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


def _touching(annotations: Annotations, met: Encounters, rows: np.ndarray) -> Pairs:
    """Some detections, int64 `[n]`, with every true box of their images that they touch."""
    image_ids = np.sort([image.id for image in annotations.images])[met.images[rows]]
    found = (image_ids, met.found_boxes[rows], met.scores[rows])
    pairs = Pairs.of(Encounters.among(annotations, found, least=np.finfo(np.float64).tiny))
    return Pairs(rows[pairs.rows], pairs.boxes, pairs.ious)
