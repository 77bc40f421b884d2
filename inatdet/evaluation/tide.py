"""TIDE: the kind of error that each wrong detection is, and what mending all of a kind gains.

Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", 2020, counted as
hotcoco 1.3 and tidecv do, at IoU .5, with .1 as the limit to the background. Kinds belong to single
detections in single images, so they are told once, and any parts of the images are measured by
re-weighting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from inatdet.evaluation.average_precision import GroundTruth
from inatdet.evaluation.matching import Matches, Ranking, TrueBoxes, positions_of
from inatdet.evaluation.reweighting import (
    Marks,
    average_precisions,
    boxes_of_parts,
    sums_of_classes,
)

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
    def of(cls, truth: GroundTruth, columns: np.ndarray, ranked: Ranking, found: Matches) -> Errors:
        """Tells the kinds apart.

        Args:
            truth: the true boxes.
            columns: the detections; see `average_precision.result_columns`.
            ranked: the same, ranked.
            found: their matches, with .5 as the first threshold.
        """
        true = TrueBoxes(truth)
        kinds, meant = _kinds_if_wrong(true, columns, ranked)
        right = found.positions[found.is_right[:, 0]]
        ignored = found.positions[found.is_ignored[:, 0]]
        kinds[right] = kinds[ignored] = _NO_ERROR
        scores = columns[ranked.rows, 5]
        not_found = ~found.is_found[:, 0] & ~truth.is_crowd
        mending = np.flatnonzero((kinds == _LOCALISATION) | (kinds == _CLASSIFICATION))
        boxes = true.order[meant[mending]]
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
        images.append(positions_of(self.truth.box_images[self.missed], self.truth))
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

        def mean(ranked: Ranking, marks: Marks, without: np.ndarray | None = None) -> np.ndarray:
            counted = boxes if without is None else boxes - self._boxes_of_parts(without, parts)
            (precision,) = average_precisions(ranked, [marks], parts, counted)
            sums: np.ndarray = (precision * known).sum(axis=0)
            means: np.ndarray = sums / np.maximum(known.sum(axis=0), 1)
            return means

        as_they_are = Marks(self.right, self.ignored)
        base = mean(self.ranked, as_they_are)
        mended = [mean(*mended) for mended in self._mended()]
        mended.insert(_MISSED, mean(self.ranked, as_they_are, self.missed))
        mended.append(mean(self.ranked, as_they_are, self.not_found))
        return base, np.stack(mended) - base

    def _boxes_of_parts(self, boxes: np.ndarray, parts: np.ndarray) -> np.ndarray:
        images = positions_of(self.truth.box_images[boxes], self.truth)
        classes = self.truth.labels[boxes] - 1
        return sums_of_classes(classes, images, self.truth.num_labels, parts)

    def _mended(self) -> Iterator[tuple[Ranking, Marks]]:
        """With each kind of wrong detection mended, then without any."""
        yield self._renamed()
        misplaced = self.kinds == _LOCALISATION
        moved = self.promoted[misplaced[self.promoted]]
        misplaced[moved] = False
        yield self._without(misplaced, np.union1d(self.right, moved))
        for kind in (_BOTH, _DUPLICATE, _BACKGROUND):
            yield self._without(self.kinds == kind, self.right)
        yield self._without(self.kinds != _NO_ERROR, self.right)

    def _without(self, left_out: np.ndarray, right: np.ndarray) -> tuple[Ranking, Marks]:
        ranked, position = self.ranked.select(~left_out)
        return ranked, Marks(position[right], position[self.ignored])

    def _renamed(self) -> tuple[Ranking, Marks]:
        """Without misnamed detections, but those that are promoted under the right name."""
        misnamed = self.kinds == _CLASSIFICATION
        ranked, marks = self._without(misnamed, self.right)
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
            p + np.searchsorted(where, p, "right") for p in (marks.right, marks.ignored)
        )
        return ranked, Marks(np.union1d(right, inserted), ignored)


def _kinds_if_wrong(
    true: TrueBoxes, columns: np.ndarray, ranked: Ranking
) -> tuple[np.ndarray, np.ndarray]:
    """What kind of error each detection is if it is one, uint8 `[ranked]`, and which box it means.

    The boxes are int32 `[ranked]`, in the order of `true`: the one of its class that a misplaced
    detection overlaps most, the one of another class that a misnamed detection does.
    """
    shape = (len(columns),)
    own, other = np.zeros(shape), np.zeros(shape)
    own_box, other_box = np.zeros(shape, np.int32), np.zeros(shape, np.int32)

    def visit(rows: np.ndarray, box: np.ndarray, ious: np.ndarray, same: np.ndarray) -> None:
        others = ~same & ~true.is_crowd[box]
        for which, best, best_box in ((same, own, own_box), (others, other, other_box)):
            more = np.flatnonzero(which & (ious > best[rows]))
            best[rows[more]] = ious[more]
            best_box[rows[more]] = box[more]

    images = np.zeros(shape, np.int32)
    images[ranked.rows] = ranked.images
    true.compare(columns, images, visit, own_label=False)
    # What is set last counts most: the order of tidecv, backwards.
    kinds = np.full(shape, _BOTH, np.uint8)
    kinds[other <= BACKGROUND_IOU] = _BACKGROUND
    kinds[own > IOU] = _DUPLICATE  # had no better one taken the box, it would be right
    kinds[other >= IOU] = _CLASSIFICATION
    kinds[(own >= BACKGROUND_IOU) & (own <= IOU)] = _LOCALISATION
    meant = np.where(kinds == _LOCALISATION, own_box, other_box)
    return kinds[ranked.rows], meant[ranked.rows]
