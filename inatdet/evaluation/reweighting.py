"""Average precision on many parts of the images at once, from one ranking.

Where detections are ranked once for all images, the precision at a right detection in a part of the
images is the number of right ones that stand no later and lie in the part, by the number of all
such detections. So the ranking is cut at the right detections, and one product of two matrices,
segments by images and images by parts, counts for all parts what lies in each segment.
"""

from __future__ import annotations

import concurrent.futures
import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from inatdet.evaluation.average_precision import RECALLS, GroundTruth
from inatdet.evaluation.matching import Ranking, positions_of

_CELLS_AT_ONCE = 1 << 17  # right detections times parts, so that arrays stay in a core's cache


@dataclass(frozen=True, eq=False)
class Marks:
    """What a ranking's detections are taken for.

    Attributes:
        right: int64 `[n]`, sorted positions of the right ones.
        ignored: int64 `[m]`, sorted positions of those that do not count; all others are wrong.
    """

    right: np.ndarray
    ignored: np.ndarray


def average_precisions(
    ranked: Ranking, marks: Sequence[Marks], parts: np.ndarray, boxes: np.ndarray
) -> np.ndarray:
    """COCO's interpolated average precision of every class in every part of the images.

    Args:
        ranked: the detections.
        marks: ways to take them; each gives an average precision.
        parts: bool `[images, parts]`, which images belong to each part, by sorted id.
        boxes: int `[classes, parts]`, how many true boxes count; right detections are never more.

    Returns:
        float64 `[marks, classes, parts]`, in 0..1; 0 for classes without true boxes.
    """
    found = np.zeros((len(marks), *boxes.shape))
    if not parts.shape[1]:
        return found
    segments = _Segments.of(ranked, [mark.right for mark in marks])

    def part(columns: np.ndarray) -> None:
        members = parts[:, columns].astype(np.int32)
        before = segments.counts(members)
        steps = _RecallSteps(boxes[:, columns])
        for index, mark in enumerate(marks):
            sums = _sums(ranked, mark, segments, before, members, steps)
            found[index][:, columns] = sums / len(RECALLS)

    # Columns do not depend on each other, and NumPy and SciPy let other threads run.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        blocks = np.array_split(np.arange(boxes.shape[1]), min(os.cpu_count() or 1, boxes.shape[1]))
        for _ in threads.map(part, blocks):
            pass
    return found


def boxes_of_parts(truth: GroundTruth, parts: np.ndarray) -> np.ndarray:
    """How many true boxes that count each part of the images has.

    Args:
        truth: the true boxes.
        parts: bool `[images, parts]`, by sorted id.

    Returns:
        int64 `[classes, parts]`.
    """
    counted = ~truth.is_crowd
    images = positions_of(truth.box_images[counted], truth)
    return sums_of_classes(truth.labels[counted] - 1, images, truth.num_labels, parts)


def sums_of_classes(
    classes: np.ndarray, images: np.ndarray, num_classes: int, parts: np.ndarray
) -> np.ndarray:
    """How many of some things each class has in each part of the images.

    Args:
        classes: int `[n]`, the class of each, 0, 1, ...
        images: int `[n]`, the position of its image.
        num_classes: how many classes there are.
        parts: bool `[images, parts]`.

    Returns:
        int64 `[classes, parts]`.
    """
    from scipy import sparse  # it takes a while to load

    # Where one place is named several times, the ones add up.
    of_images = sparse.coo_matrix(
        (np.ones(len(images), np.int64), (classes, images)), (num_classes, len(parts))
    )
    sums: np.ndarray = of_images.tocsr() @ parts.astype(np.int64)
    return sums


@dataclass(frozen=True, eq=False)
class _Segments:
    """The ranking up to the last right detection of each class, cut behind each right one.

    Attributes:
        images: int32 `[n]`, the images of the detections before the cuts, class after class.
        cuts: int64 `[cuts]`, where they are cut, sorted; the starts of the classes are cuts too.
        shifts: int64 `[classes]`, by how much the positions of the ranking are greater.
        starts: int64 `[classes]`, where the classes start among `images`.
    """

    images: np.ndarray
    cuts: np.ndarray
    shifts: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, ranked: Ranking, right: Sequence[np.ndarray]) -> _Segments:
        marked = np.zeros(len(ranked.images), bool)
        for positions in right:
            marked[positions] = True
        positions = np.flatnonzero(marked)
        del marked
        classes = ranked.classes_of(positions)
        ends = ranked.starts[:-1].copy()
        last = np.flatnonzero(np.diff(classes, append=-1))
        ends[classes[last]] = positions[last] + 1
        lengths = ends - ranked.starts[:-1]
        starts = np.cumsum(lengths) - lengths
        shifts = ranked.starts[:-1] - starts
        images = np.concatenate(
            [ranked.images[start:end] for start, end in zip(ranked.starts, ends) if start < end]
            or [ranked.images[:0]]
        )
        cuts = np.union1d(positions - shifts[classes] + 1, starts)
        return cls(images, cuts, shifts, starts)

    def counts(self, members: np.ndarray) -> np.ndarray:
        """How many detections of each part stand before each cut, int32 `[cuts, parts]`."""
        return _running(self.images, self.cuts, members)


def _running(images: np.ndarray, ends: np.ndarray, members: np.ndarray) -> np.ndarray:
    """How many of the first `ends` images belong to each part, int32 `[ends, parts]`."""
    from scipy import sparse  # it takes a while to load

    ones = np.ones(len(images), np.int32)
    shape = (len(ends), len(members))
    bounds = np.concatenate([[0], ends])
    segments = sparse.csr_matrix((ones[: bounds[-1]], images[: bounds[-1]], bounds), shape)
    counts: np.ndarray = segments @ members
    return np.cumsum(counts, axis=0, dtype=np.int32, out=counts)


class _RecallSteps:
    """How many of the 101 recalls each right detection is the first to reach.

    Args:
        boxes: int `[classes, parts]`, how many true boxes there are.
    """

    def __init__(self, boxes: np.ndarray):
        sizes, index = np.unique(boxes, return_inverse=True)
        lengths = sizes + 1  # none at all reaches no recall
        starts = np.cumsum(lengths) - lengths
        self.table = np.zeros(lengths.sum(), np.uint8)
        for size, start, length in zip(sizes.tolist(), starts.tolist(), lengths.tolist()):
            if size:
                first = np.searchsorted(np.arange(1, size + 1) / size, RECALLS)
                self.table[start : start + length] = np.bincount(first + 1, minlength=length)
        self.offsets = starts[index].reshape(boxes.shape).astype(np.int32)


def _sums(
    ranked: Ranking,
    mark: Marks,
    segments: _Segments,
    before: np.ndarray,
    members: np.ndarray,
    steps: _RecallSteps,
) -> np.ndarray:
    """The sums of precision over the recalls, float64 `[classes, parts]`."""
    sums = np.zeros(steps.offsets.shape)
    if not len(mark.right):
        return sums
    classes = ranked.classes_of(mark.right)
    images = ranked.images[mark.right]
    shifted = mark.right - segments.shifts[classes]
    end = np.searchsorted(segments.cuts, shifted + 1)
    start = np.searchsorted(segments.cuts, segments.starts)
    ignored = None
    if len(mark.ignored):
        cuts = np.union1d(mark.right + 1, ranked.starts)
        ends = np.searchsorted(mark.ignored, cuts)
        ignored = _running(ranked.images[mark.ignored], ends, members)
        ignored_end = np.searchsorted(cuts, mark.right + 1)
        ignored_start = np.searchsorted(cuts, ranked.starts[:-1])
    for rows, columns in _blocks(classes, members.shape[1]):
        own = classes[rows]
        firsts = np.flatnonzero(np.diff(own, prepend=-1))
        counts = np.diff(firsts, append=len(own))
        present = own[firsts]
        spread = functools.partial(np.repeat, repeats=counts, axis=0)

        inside = members[images[rows], columns]
        right = np.cumsum(inside, axis=0, dtype=np.int32)
        right -= spread(right[firsts] - inside[firsts])
        total = before[end[rows], columns] - spread(before[start[present], columns])
        if ignored is not None:
            total -= ignored[ignored_end[rows], columns]
            total += spread(ignored[ignored_start[present], columns])
        right *= inside
        precision = right / np.maximum(total, 1, out=total)
        for first, count in zip(firsts.tolist(), counts.tolist()):
            upwards = precision[first : first + count][::-1]
            np.maximum.accumulate(upwards, axis=0, out=upwards)
        right += spread(steps.offsets[present, columns])
        precision *= steps.table[right]
        sums[present, columns] = np.add.reduceat(precision, firsts, axis=0)
    return sums


def _blocks(classes: np.ndarray, width: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of blocks: whole classes, and not many more than `_CELLS_AT_ONCE`."""
    ends = np.flatnonzero(np.diff(classes, append=-1)) + 1
    start = 0
    while start < len(classes):
        wanted = np.searchsorted(ends, start + _CELLS_AT_ONCE // width, "right") - 1
        end = int(ends[max(wanted, np.searchsorted(ends, start, "right"))])
        at_once = max(1, _CELLS_AT_ONCE // (end - start))
        for first in range(0, width, at_once):
            yield slice(start, end), slice(first, min(first + at_once, width))
        start = end
