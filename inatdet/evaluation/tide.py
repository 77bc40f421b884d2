"""TIDE: the kind of error that each wrong detection is, and what mending all of a kind gains.

Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", 2020, counted as
hotcoco 1.3 and tidecv do, at IoU .5, with .1 as the limit to the background. Kinds belong to single
detections in single images, so they are told once, and any parts of the images are measured by
re-weighting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inatdet.evaluation.average_precision import GroundTruth
from inatdet.evaluation.encounters import positions
from inatdet.evaluation.matching import Labelled, Matches, Ranking
from inatdet.evaluation.reweighting import (
    average_precisions,
    boxes_of_parts,
    sums_of_classes,
)
from inatdet.evaluation.segments import Marks

IOU, BACKGROUND_IOU = 0.5, 0.1

KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")
"""In order: overlaps a true box well but has another class; has the right class but overlaps by .1
to .5; both at once; is a second detection of a box that has a better one; overlaps nothing; a true
box that no detection of one of the first two kinds means."""

COSTS = (*KINDS, "false_positives", "false_negatives")

_CLASSIFICATION, _LOCALISATION, _BOTH, _DUPLICATE, _BACKGROUND, _MISSED = range(len(KINDS))
_NO_ERROR = 255


@dataclass(frozen=True, eq=False)
class Errors:
    """The errors of detections.

    Attributes:
        truth: the true boxes.
        ranked: the detections.
        scores: float64 `[ranked]`.
        kinds: uint8 `[ranked]`, the index of each one's kind in `KINDS`; 255 for no error.
        right: int64 `[n]`, sorted positions of the right ones.
        ignored: int64 `[m]`, sorted positions of those matched with a crowd.
        promoted: int64 `[p]`, of each true box that a wrong detection means, the position of the
            best such detection.
        promoted_boxes: int64 `[p]`, the rows of these boxes in the truth.
        not_found: bool `[boxes]`, the true boxes that count and that nothing is right about.
        missed: bool `[boxes]`, those of them that no wrong detection means.
    """

    truth: GroundTruth
    ranked: Ranking
    scores: np.ndarray
    kinds: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    promoted: np.ndarray
    promoted_boxes: np.ndarray
    not_found: np.ndarray
    missed: np.ndarray

    @classmethod
    def of(cls, labelled: Labelled, found: Matches) -> Errors:
        """Tells the kinds apart.

        Args:
            labelled: the detections.
            found: their matches, with .5 as the first threshold.
        """
        truth, ranked = labelled.truth, labelled.ranked
        kinds, meant = _kinds_if_wrong(labelled)
        right = found.positions[found.is_right[:, 0]]
        ignored = found.positions[found.is_ignored[:, 0]]
        kinds[right] = kinds[ignored] = _NO_ERROR
        scores = labelled.met.scores[ranked.rows]
        not_found = ~found.is_found[:, 0] & ~truth.is_crowd
        mending = np.flatnonzero((kinds == _LOCALISATION) | (kinds == _CLASSIFICATION))
        boxes = meant[mending]
        mending, boxes = mending[not_found[boxes]], boxes[not_found[boxes]]
        # One detection for each box: the best, of equal scores the earlier row.
        order = np.lexsort((ranked.rows[mending], -scores[mending], boxes))
        promoted_boxes, first = np.unique(boxes[order], return_index=True)
        missed = not_found.copy()
        missed[promoted_boxes] = False
        return cls(
            truth,
            ranked,
            scores,
            kinds,
            right,
            ignored,
            mending[order[first]],
            promoted_boxes,
            not_found,
            missed,
        )

    def counts(self, parts: np.ndarray) -> np.ndarray:
        """How many errors of each of `KINDS` there are, int64 `[kinds, parts]`.

        Args:
            parts: bool `[images, parts]`, which images belong to each part, by sorted id.
        """
        images = [self.ranked.images[self.kinds == kind] for kind in range(_MISSED)]
        images.append(positions(self.truth.box_images[self.missed], self.truth.image_ids))
        return np.stack([np.bincount(i, minlength=len(parts)) @ parts for i in images])

    def costs(self, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """AP50, and how much higher it would be with each of `COSTS` mended.

        Args:
            parts: bool `[images, parts]`.

        Returns:
            float64 `[parts]` and `[costs, parts]`, in 0..1: means over the classes with a true box
            in the part, 0 where there is none.
        """
        boxes = boxes_of_parts(self.truth, parts)
        known = boxes > 0

        def means(ranked: Ranking, marks: list[Marks], counted: list[np.ndarray]) -> np.ndarray:
            precisions = average_precisions(ranked, marks, parts, counted)
            sums: np.ndarray = (precisions * known).sum(axis=1)
            mean: np.ndarray = sums / np.maximum(known.sum(axis=0), 1)
            return mean

        as_they_are = Marks(self.right, self.ignored)
        misplaced = self.kinds == _LOCALISATION
        moved = self.promoted[misplaced[self.promoted]]
        misplaced[moved] = False
        # With the kinds after the first mended, then without any.
        mended = [self._without(misplaced, np.union1d(self.right, moved))]
        for kind in (_BOTH, _DUPLICATE, _BACKGROUND):
            mended.append(self._without(self.kinds == kind, self.right))
        mended += [as_they_are, self._without(self.kinds != _NO_ERROR, self.right), as_they_are]
        counted = [boxes] * len(mended)
        counted[_MISSED - 1] = boxes - self._boxes_of_parts(self.missed, parts)
        counted[-1] = boxes - self._boxes_of_parts(self.not_found, parts)
        base, *others = means(self.ranked, [as_they_are, *mended], [boxes, *counted])
        ranked, marks = self._renamed()
        renamed = means(ranked, [marks], [boxes])
        return base, np.stack([*renamed, *others]) - base

    def _boxes_of_parts(self, boxes: np.ndarray, parts: np.ndarray) -> np.ndarray:
        images = positions(self.truth.box_images[boxes], self.truth.image_ids)
        classes = self.truth.labels[boxes] - 1
        return sums_of_classes(classes, images, self.truth.num_labels, parts)

    def _without(self, left_out: np.ndarray, right: np.ndarray) -> Marks:
        do_not_count = left_out.copy()
        do_not_count[self.ignored] = True
        return Marks(right, np.flatnonzero(do_not_count))

    def _renamed(self) -> tuple[Ranking, Marks]:
        """Without misnamed detections, but those that are promoted under the right name."""
        misnamed = self.kinds == _CLASSIFICATION
        ranked, place = self.ranked.select(~misnamed)
        renamed = misnamed[self.promoted]
        moved = self.promoted[renamed]
        classes = self.truth.labels[self.promoted_boxes[renamed]] - 1
        # Of equal scores, the class's own detections come first.
        order = np.lexsort((-self.scores[moved], classes))
        moved, classes = moved[order], classes[order]
        scores = -self.scores[~misnamed]
        where = np.empty(len(moved), np.int64)
        first = np.flatnonzero(np.diff(classes, prepend=-1))
        for start, end in zip(first.tolist(), [*first[1:].tolist(), len(classes)]):
            begin, stop = ranked.starts[classes[start]], ranked.starts[classes[start] + 1]
            wanted = -self.scores[moved[start:end]]
            where[start:end] = begin + np.searchsorted(scores[begin:stop], wanted, "right")
        ranked = ranked.insert(where, self.ranked.rows[moved], self.ranked.images[moved], classes)
        inserted = where + np.arange(len(where))
        right, ignored = (
            p + np.searchsorted(where, p, "right") for p in (place[self.right], place[self.ignored])
        )
        return ranked, Marks(np.union1d(right, inserted), ignored)


def _kinds_if_wrong(labelled: Labelled) -> tuple[np.ndarray, np.ndarray]:
    """What kind of error each detection is if it is one, uint8 `[ranked]`, and which box it means.

    The boxes are int32 `[ranked]`, rows of the truth: the one of its class that a misplaced
    detection overlaps most, the one of another class that a misnamed detection does.
    """
    truth, met, labels = labelled.truth, labelled.met, labelled.labels
    box = labelled.truth_rows[met.boxes]
    same = labels[met.rows] == (truth.labels[box] if len(truth.labels) else 0)
    known = box >= 0
    others = known & ~same & ~np.append(truth.is_crowd, False)[box]
    # Of equal overlaps, the box of the lowest label counts, then the first.
    place = np.empty(len(truth.labels), np.int32)
    place[np.lexsort((truth.is_crowd, truth.labels))] = np.arange(len(truth.labels))
    shape = (len(labels),)
    own, own_box = _most_overlapped(met.rows, box, met.ious, known & same, place, shape)
    other, other_box = _most_overlapped(met.rows, box, met.ious, others, place, shape)
    # What is set last counts most: the order of tidecv, backwards.
    kinds = np.full(shape, _BOTH, np.uint8)
    kinds[other <= BACKGROUND_IOU] = _BACKGROUND
    kinds[own > IOU] = _DUPLICATE  # had no better one taken the box, it would be right
    kinds[other >= IOU] = _CLASSIFICATION
    kinds[(own >= BACKGROUND_IOU) & (own <= IOU)] = _LOCALISATION
    meant = np.where(kinds == _LOCALISATION, own_box, other_box)
    return kinds[labelled.ranked.rows], meant[labelled.ranked.rows]


def _most_overlapped(
    rows: np.ndarray,
    boxes: np.ndarray,
    ious: np.ndarray,
    which: np.ndarray,
    place: np.ndarray,
    shape: tuple[int],
) -> tuple[np.ndarray, np.ndarray]:
    """The greatest IoU of each detection and its box, float64 and int32 `[detections]`.

    Args:
        rows: of each pair the detection; and the others alike.
        boxes: the true box.
        ious: their IoU.
        which: whether the pair counts.
        place: int32 `[boxes]`, the order of the true boxes: of equal IoUs, the first one's.
        shape: how many detections there are.
    """
    pairs = np.flatnonzero(which)
    rows, boxes, ious = rows[pairs], boxes[pairs], ious[pairs]
    best, best_box = np.zeros(shape), np.zeros(shape, np.int32)
    np.maximum.at(best, rows, ious)
    hit = np.flatnonzero(ious == best[rows])
    hit = hit[np.argsort(-place[boxes[hit]], kind="stable")]  # what is written last stays
    best_box[rows[hit]] = boxes[hit]
    return best, best_box
