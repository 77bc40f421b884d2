"""COCO's matching: which detections are right about which true boxes, found once for all images.

What is right in one image does not depend on the others. So measures on any part of the images, and
measures with some mistakes mended, follow from one matching; see `reweighting`.

The rules are pycocotools'. Within an image and class the best 100 detections count, unless all are
asked for. One after the other, the best first, takes the true box that it overlaps most among those
that no better one has taken, if the IoU reaches the threshold. Boxes that do not count come last,
crowds are never used up, and what is matched with either is neither right nor wrong. Over all
images, detections of a class are ranked by score, of equal scores the image with the smaller id
first and, within an image, the earlier row.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from inatdet.evaluation.average_precision import MAX_DETECTIONS, GroundTruth
from inatdet.evaluation.encounters import Encounters, positions, stable_order

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)

_NONE = -1


@dataclass(frozen=True, eq=False)
class Ranking:
    """The detections that count, class by class, the best first.

    Attributes:
        rows: int32 `[ranked]`, the row of each detection.
        images: int32 `[ranked]`, the position of its image among the sorted ids of all images.
        starts: int64 `[classes + 1]`: label `l` has the positions `starts[l - 1]` to `starts[l]`.
    """

    rows: np.ndarray
    images: np.ndarray
    starts: np.ndarray

    def classes_of(self, positions: np.ndarray) -> np.ndarray:
        """The classes, 0, 1, ..., of detections at sorted positions, int64 `[n]`."""
        counts = np.diff(np.searchsorted(positions, self.starts))
        return np.repeat(np.arange(len(counts)), counts)

    def select(self, kept: np.ndarray) -> tuple[Ranking, np.ndarray]:
        """Only some of the detections.

        Args:
            kept: bool `[ranked]`.

        Returns:
            The others' ranking, and the new position of each detection that is kept, `[ranked]`.
        """
        before = np.concatenate([[0], np.cumsum(kept)])
        ranked = Ranking(self.rows[kept], self.images[kept], before[self.starts])
        return ranked, before[:-1]

    def insert(
        self, where: np.ndarray, rows: np.ndarray, images: np.ndarray, classes: np.ndarray
    ) -> Ranking:
        """With further detections.

        Args:
            where: int64 `[n]`, sorted, the position before which each is inserted.
            rows: int32 `[n]`, as in `rows`.
            images: int32 `[n]`, as in `images`.
            classes: int64 `[n]`, sorted, their classes, 0, 1, ...
        """
        added = np.searchsorted(classes, np.arange(len(self.starts)))
        return Ranking(
            np.insert(self.rows, where, rows),
            np.insert(self.images, where, images),
            self.starts + added,
        )


@dataclass(frozen=True, eq=False)
class Labelled:
    """Detections and true boxes with the labels of one level.

    Attributes:
        truth: the true boxes that have a label there.
        met: the detections, and which of all true boxes they overlap.
        labels: int `[detections]`, 1..num_labels; 0 for detections that do not count.
        truth_rows: int32 `[boxes]`, the row in `truth` of each box that `met` names; -1 for none.
        most: how many detections of each image and class count; None for all.
        given: their ranking where it is not to be found from all of this.
    """

    truth: GroundTruth
    met: Encounters
    labels: np.ndarray
    truth_rows: np.ndarray
    most: int | None = MAX_DETECTIONS[-1]
    given: Ranking | None = None

    @classmethod
    def of(
        cls, truth: GroundTruth, columns: np.ndarray, most: int | None = MAX_DETECTIONS[-1]
    ) -> Labelled:
        """Detections by themselves.

        Args:
            truth: the true boxes.
            columns: the detections, all in images of `truth`; see
                `average_precision.result_columns`.
            most: how many of each image and class count; None for all.
        """
        met = Encounters.of(
            truth.image_ids,
            (truth.box_images, truth.boxes, truth.is_crowd),
            (columns[:, 0], columns[:, 1:5], columns[:, 5]),
        )
        rows = np.arange(len(truth.labels), dtype=np.int32)
        return cls(truth, met, columns[:, 6].astype(np.int32), rows, most)

    @functools.cached_property
    def ranked(self) -> Ranking:
        """The detections that count."""
        if self.given is not None:
            return self.given
        rows, bound = self.met.best_first, self.truth.num_labels + 1
        labels = self.labels[rows]
        if not labels.all():
            counted = labels > 0
            rows, labels = rows[counted], labels[counted]
        order = stable_order(labels, bound)
        rows, labels = rows[order], labels[order]
        images = self.met.images[rows]
        if self.most is not None and np.bincount(images, minlength=1).max() > self.most:
            kept = _ranks(images, labels, len(self.truth.image_ids)) < self.most
            rows, labels, images = rows[kept], labels[kept], images[kept]
        return Ranking(rows, images, np.searchsorted(labels, np.arange(1, bound + 1)))

    def matches(
        self, thresholds: np.ndarray = IOU_THRESHOLDS, left_out: np.ndarray | None = None
    ) -> Matches:
        """Matches detections with true boxes of their class.

        Args:
            thresholds: float64 `[thresholds]`, from low to high, none below
                `encounters.LEAST_IOU`.
            left_out: bool `[boxes]`, boxes of `truth` that do not count although they are no
                crowds.
        """
        truth, ranked = self.truth, self.ranked
        place = np.full(len(self.labels), _NONE, np.int32)
        place[ranked.rows] = np.arange(len(ranked.rows), dtype=np.int32)
        near = np.flatnonzero(self.met.ious >= thresholds[0])
        where = place[self.met.rows[near]]
        labels, box = self.labels[self.met.rows[near]], self.truth_rows[self.met.boxes[near]]
        del place
        met = (where >= 0) & (box >= 0)
        met &= labels == truth.labels[box] if len(truth.labels) else False
        where, box, ious = where[met], box[met], self.met.ious[near[met]]
        groups = self._groups_of_boxes
        counts = ~truth.is_crowd if left_out is None else ~(truth.is_crowd | left_out)
        # Image by image and class by class, the best detection first; the boxes stay in their
        # order, but those that do not count come last.
        key = groups[box] * len(ranked.rows) + where
        order = np.argsort(key if left_out is None else 2 * key + ~counts[box], kind="stable")
        where, box, ious = where[order], box[order], ious[order]
        first = np.flatnonzero(np.diff(where, prepend=_NONE))
        taken, is_found = _greedy(
            box, ious, first, groups[box[first]], counts, truth.is_crowd, thresholds
        )
        by_rank = np.argsort(where[first])
        taken, places = taken[by_rank], where[first][by_rank].astype(np.int64)
        counted = np.append(counts, False)[taken]
        return Matches(
            positions=places,
            ranks=self._ranks[places],
            boxes=taken,
            is_right=counted,
            is_ignored=(taken >= 0) & ~counted,
            is_found=is_found,
        )

    @functools.cached_property
    def _ranks(self) -> np.ndarray:
        """How many of their image and class are better, int32 `[ranked]`."""
        labels = self.labels[self.ranked.rows]
        return _ranks(self.ranked.images, labels, len(self.truth.image_ids))

    @functools.cached_property
    def _groups_of_boxes(self) -> np.ndarray:
        """One number for each pair of image and class, int64 `[boxes]`."""
        images = positions(self.truth.box_images, self.truth.image_ids)
        groups: np.ndarray = images * np.int64(self.truth.num_labels + 1) + self.truth.labels
        return groups


@dataclass(frozen=True, eq=False)
class Matches:
    """What became of the detections that reach the lowest threshold with a true box of their class.

    Attributes:
        positions: int64 `[matched]`, their positions in the ranking, sorted; at the lowest
            threshold, all other detections are wrong.
        ranks: int32 `[matched]`, how many of their image and class are better.
        boxes: int32 `[matched, thresholds]`, the row of the true box that each took; -1 for none.
        is_right: bool `[matched, thresholds]`.
        is_ignored: bool `[matched, thresholds]`, took a crowd, or a box that does not count.
        is_found: bool `[boxes, thresholds]`, the true boxes that were taken.
    """

    positions: np.ndarray
    ranks: np.ndarray
    boxes: np.ndarray
    is_right: np.ndarray
    is_ignored: np.ndarray
    is_found: np.ndarray


def _ranks(images: np.ndarray, labels: np.ndarray, num_images: int) -> np.ndarray:
    """How many of the same image and class stand before each detection, int32.

    Args:
        images: int32 `[n]`, the positions of their images.
        labels: int `[n]`, sorted.
        num_images: how many images there are.
    """
    order = stable_order(images, num_images)
    changes = np.diff(images[order], prepend=_NONE) != 0
    changes |= np.diff(labels[order], prepend=_NONE) != 0
    first = np.flatnonzero(changes)
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
    return ranks


def _greedy(
    box: np.ndarray,
    ious: np.ndarray,
    first: np.ndarray,
    groups: np.ndarray,
    counts: np.ndarray,
    is_crowd: np.ndarray,
    thresholds: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Gives each detection its true box, the n-th detections of all groups at a time.

    Args:
        box: int64 `[pairs]`, the true box of each pair of a detection and a box.
        ious: float64 `[pairs]`.
        first: int64 `[detections]`, where the pairs of each detection start.
        groups: int64 `[detections]`, sorted; only those of the same group compete.
        counts: bool `[boxes]`; of each detection's boxes, those that do not count come last.
        is_crowd: bool `[boxes]`, which do not count and are never used up.
        thresholds: float64 `[thresholds]`.

    Returns:
        int32 `[detections, thresholds]`, the box or -1, and bool `[boxes, thresholds]`, which boxes
        are taken.
    """
    taken = np.zeros((len(is_crowd), len(thresholds)), bool)
    choice = np.full((len(first), len(thresholds)), _NONE, np.int32)
    pairs = np.diff(first, append=len(box))
    for turn in _turns(groups):
        best = np.tile(thresholds, (len(turn), 1))
        chosen = np.full(best.shape, _NONE, np.int32)
        for nth in range(pairs[turn].max()):
            left = np.flatnonzero(pairs[turn] > nth)
            pair = first[turn[left]] + nth
            one, value = box[pair], ious[pair][:, None]
            # A box that counts is not given up for one that does not. Of equal boxes the later one
            # is taken.
            before = chosen[left]
            free = (before < 0) | counts[one][:, None] | ~counts[before]
            better = free & (is_crowd[one][:, None] | ~taken[one]) & (value >= best[left])
            best[left] = np.where(better, value, best[left])
            chosen[left] = np.where(better, one[:, None], before)
        choice[turn] = chosen
        row, threshold = np.nonzero(chosen >= 0)
        taken[chosen[row, threshold], threshold] = True
    return choice, taken


def _turns(groups: np.ndarray) -> list[np.ndarray]:
    """The first members of all groups, the second ones, and so on; `groups` is sorted."""
    start = np.flatnonzero(np.diff(groups, prepend=_NONE))
    nth = np.arange(len(groups)) - np.repeat(start, np.diff(start, append=len(groups)))
    order = np.argsort(nth, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(nth[order])) + 1) if len(order) else []
