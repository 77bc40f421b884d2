"""COCO's matching: which detections are right about which true boxes, found once for all images.

What is right in one image does not depend on the others. So measures on any part of the images, and
measures with some mistakes mended, follow from one matching; see `reweighting`.

The rules are pycocotools'. Within an image and class the best 100 detections count, unless all are
asked for. One after the other, the best first, takes the true box that it overlaps most among those
that no better one has taken, if the IoU reaches the threshold. Crowds come last, are never used up,
and what is matched with one is neither right nor wrong. Over all images, detections of a class are
ranked by score, of equal scores the image with the smaller id first and, within an image, the
earlier row.
"""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from inatdet.data.boxes import iou
from inatdet.evaluation.average_precision import MAX_DETECTIONS, GroundTruth
from inatdet.evaluation.overlaps import best_of_each_image

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)

_ROWS_AT_ONCE = 1 << 16  # per thread; they stay in its cache
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


def ranking(
    truth: GroundTruth, columns: np.ndarray, most: int | None = MAX_DETECTIONS[-1]
) -> Ranking:
    """Ranks detections.

    Args:
        truth: the images and labels.
        columns: the detections, all in images of `truth`; see `average_precision.result_columns`.
        most: how many of each image and class count; None for all.
    """
    images = positions_of(columns[:, 0], truth)
    labels, scores = columns[:, 6].astype(np.int32), columns[:, 5]
    kept = None
    if most is not None and np.bincount(images, minlength=1).max() > most:
        groups = images.astype(np.int64) * (truth.num_labels + 1) + labels
        kept = np.flatnonzero(best_of_each_image(groups, scores, most)).astype(np.int32)
        images, labels, scores = images[kept], labels[kept], scores[kept]
    # Each sort is stable, so what was sorted last counts most.
    order = _stable_order(images, len(truth.image_ids))
    order = order[np.argsort(-scores[order], kind="stable")]
    order = order[_stable_order(labels[order], truth.num_labels + 1)]
    starts = np.searchsorted(labels[order], np.arange(1, truth.num_labels + 2))
    return Ranking(order if kept is None else kept[order], images[order], starts)


def positions_of(image_ids: np.ndarray, truth: GroundTruth) -> np.ndarray:
    """The positions of images among the sorted ids of all images, int32 `[n]`."""
    return np.searchsorted(np.sort(truth.image_ids), image_ids).astype(np.int32)


def _stable_order(values: np.ndarray, bound: int) -> np.ndarray:
    """The order that sorts whole numbers in 0..bound - 1, int32."""
    if (values[1:] >= values[:-1]).all():
        return np.arange(len(values), dtype=np.int32)
    if bound <= 1 << 16:
        values = values.astype(np.uint16)  # which NumPy sorts in linear time
    return np.argsort(values, kind="stable").astype(np.int32)


@dataclass(frozen=True, eq=False)
class Matches:
    """What became of the detections that reach an IoU of .5 with a true box of their class.

    Attributes:
        positions: int64 `[matched]`, their positions in the ranking, sorted; at the lowest
            threshold, all other detections are wrong.
        ranks: int32 `[matched]`, how many of their image and class are better.
        is_right: bool `[matched, thresholds]`.
        is_ignored: bool `[matched, thresholds]`, matched with a crowd.
        is_found: bool `[boxes, thresholds]`, the true boxes with a match, as the truth lists them.
    """

    positions: np.ndarray
    ranks: np.ndarray
    is_right: np.ndarray
    is_ignored: np.ndarray
    is_found: np.ndarray


class TrueBoxes:
    """The true boxes image by image, class by class, crowds last: the order of pycocotools.

    Attributes:
        order: int64 `[boxes]`, the rows of the truth in that order; all else is in that order.
        first: int64 `[images + 1]`, where the boxes of each image start.
        labels: int32 `[boxes]`.
        is_crowd: bool `[boxes]`.
        groups: int64 `[boxes]`, one number for each pair of image and class.
    """

    def __init__(self, truth: GroundTruth):
        images = positions_of(truth.box_images, truth)
        self.order = np.lexsort((truth.is_crowd, truth.labels, images))
        self.first = np.searchsorted(images[self.order], np.arange(len(truth.image_ids) + 1))
        self.labels = truth.labels[self.order].astype(np.int32)
        self.is_crowd = truth.is_crowd[self.order]
        self._boxes = truth.boxes[self.order]
        changes = (np.diff(images[self.order]) != 0) | (np.diff(self.labels) != 0)
        self.groups = np.concatenate([[0], np.cumsum(changes)])[: len(self.order)]

    def compare(
        self,
        columns: np.ndarray,
        images: np.ndarray,
        visit: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None],
        own_label: bool,
    ) -> None:
        """Compares detections with the true boxes of their images, one box at a time.

        Args:
            columns: the detections, `[detections, 7]`.
            images: int32 `[detections]`, the positions of their images.
            visit: is called with rows, int64 `[n]`, each at most once; the true box of each, as
                `order` has them; their IoUs, float64 `[n]`, for crowds the share of the detection
                that lies on it; and whether both are of one class. It is called from several
                threads, but for each row in the order of its image's true boxes.
            own_label: whether only boxes of the detection's own class are compared.
        """

        def part(start: int) -> None:
            found = columns[start : start + _ROWS_AT_ONCE]
            image = images[start : start + _ROWS_AT_ONCE]
            labels = found[:, 6].astype(np.int32)
            first, left = self.first[image], np.diff(self.first)[image]
            nth = 0
            while len(rows := np.flatnonzero(left > nth)):
                box = first[rows] + nth
                same = self.labels[box] == labels[rows]
                if own_label:
                    rows, box = rows[same], box[same]
                    same = same[same]
                ious = iou(found[rows, 1:5], self._boxes[box], self.is_crowd[box])
                visit(start + rows, box, ious, same)
                nth += 1

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
            for _ in threads.map(part, range(0, len(columns), _ROWS_AT_ONCE)):
                pass


def matches(
    truth: GroundTruth,
    columns: np.ndarray,
    ranked: Ranking,
    thresholds: np.ndarray = IOU_THRESHOLDS,
) -> Matches:
    """Matches detections with true boxes of their class.

    Args:
        truth: the true boxes.
        columns: the detections; see `average_precision.result_columns`.
        ranked: their ranking.
        thresholds: float64 `[thresholds]`, from low to high.
    """
    true = TrueBoxes(truth)
    images = np.zeros(len(columns), np.int32)
    images[ranked.rows] = ranked.images
    position = np.full(len(columns), _NONE, np.int32)
    position[ranked.rows] = np.arange(len(ranked.rows), dtype=np.int32)
    group_of = np.full(len(columns), _NONE, np.int32)
    found: list[tuple[np.ndarray, ...]] = []

    def visit(rows: np.ndarray, box: np.ndarray, ious: np.ndarray, same: np.ndarray) -> None:
        del same
        group_of[rows] = true.groups[box]
        close = (ious >= thresholds[0]) & (position[rows] >= 0)
        found.append((position[rows[close]], box[close], ious[close]))

    true.compare(columns, images, visit, own_label=True)
    empty = (np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0))
    where, box, ious = (np.concatenate(part) for part in zip(empty, *found))
    # Image by image and class by class, the best detection first; the boxes stay in their order.
    key = true.groups[box] * len(ranked.rows) + where
    order = np.argsort(key, kind="stable")
    where, box, ious = where[order], box[order], ious[order]
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    taken_by, is_found = _greedy(
        box, ious, first, true.groups[box[first]], true.is_crowd, thresholds
    )
    positions = where[first]
    by_rank = np.argsort(positions)
    taken_by, positions = taken_by[by_rank], positions[by_rank].astype(np.int64)
    of_crowd = np.append(true.is_crowd, False)[taken_by]
    in_truth = np.empty_like(is_found)
    in_truth[true.order] = is_found
    return Matches(
        positions=positions,
        ranks=_ranks(group_of[ranked.rows], len(true.groups))[positions],
        is_right=(taken_by >= 0) & ~of_crowd,
        is_ignored=of_crowd,
        is_found=in_truth,
    )


def _ranks(groups: np.ndarray, bound: int) -> np.ndarray:
    """How many of the same group stand before each detection, int32; 0 where the group is -1."""
    ranks = np.zeros(len(groups), np.int32)
    grouped = np.flatnonzero(groups >= 0)
    grouped = grouped[_stable_order(groups[grouped], bound)]
    first = np.flatnonzero(np.diff(groups[grouped], prepend=_NONE))
    sizes = np.diff(first, append=len(grouped))
    ranks[grouped] = np.arange(len(grouped)) - np.repeat(first, sizes)
    return ranks


def _greedy(
    box: np.ndarray,
    ious: np.ndarray,
    first: np.ndarray,
    groups: np.ndarray,
    is_crowd: np.ndarray,
    thresholds: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Gives each detection its true box, the n-th detections of all groups at a time.

    Args:
        box: int64 `[pairs]`, the true box of each pair of a detection and a box.
        ious: float64 `[pairs]`.
        first: int64 `[detections]`, where the pairs of each detection start.
        groups: int64 `[detections]`, sorted; only those of the same group compete.
        is_crowd: bool `[boxes]`; in each group, crowds come last.
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
            crowd = is_crowd[one][:, None]
            # A box that counts is not given up for a crowd. Of equal boxes the later one is taken.
            before = chosen[left]
            free = (before < 0) | ~crowd | is_crowd[before]
            better = free & (crowd | ~taken[one]) & (value >= best[left])
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
