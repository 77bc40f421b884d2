"""Precision against recall in many parts of the images at once, from one ranking.

The ranking is cut at the right detections, and one product of two matrices, segments by images and
images by parts, counts for all parts what lies in each segment; see `reweighting`.
"""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from inatdet.evaluation.average_precision import RECALLS
from inatdet.evaluation.matching import Ranking

_LONGEST_SEGMENT = (1 << 15) - 1  # so that what lies in one can be counted in 16 bits
_FEW_IMAGES = 1 << 12  # in all parts together: to start threads takes longer than to count them
_PARTS_AT_ONCE = 64  # per thread; counts at all cuts are kept for as many parts


@dataclass(frozen=True, eq=False)
class Marks:
    """What a ranking's detections are taken for.

    Attributes:
        right: int64 `[n]`, sorted positions of the right ones.
        ignored: int64 `[m]`, sorted positions of those that do not count; all others are wrong.
    """

    right: np.ndarray
    ignored: np.ndarray


@dataclass(frozen=True, eq=False)
class Curves:
    """Precision against recall of all classes that have a right detection in one part.

    Attributes:
        precision: float64 `[right]`, at each right detection that one or a later one, class after
            class: the best.
        recalls: uint8 `[right]`, how many of `RECALLS` each is the first to reach.
        firsts: int64 `[present]`, where each class starts.
        classes: int64 `[present]`.
    """

    precision: np.ndarray
    recalls: np.ndarray
    firsts: np.ndarray
    classes: np.ndarray


def each_curve(
    ranked: Ranking,
    marks: Sequence[Marks],
    parts: np.ndarray,
    boxes: Sequence[np.ndarray],
    measure: Callable[[int, int, Curves], None],
) -> None:
    """Calls `measure` with each part, each of the marks, and their curves; from several threads."""
    known = [index for index, mark in enumerate(marks) if len(mark.right)]
    if not known or not parts.shape[1]:
        return
    segments = _Segments.of(ranked, [marks[index].right for index in known])
    taken = [_Taken.of(ranked, marks[index], segments) for index in known]
    different = {id(one): one for one in boxes}  # mostly there is but one
    steps_of = {key: _RecallSteps(one) for key, one in different.items()}
    steps = [steps_of[id(boxes[index])] for index in known]

    def block(columns: np.ndarray) -> None:
        members = np.ascontiguousarray(parts[:, columns])
        before = segments.counts(members)
        ignored = [one.ignored_before(members) for one in taken]
        for place, part in enumerate(columns.tolist()):
            inside = np.ascontiguousarray(members[:, place])
            for index, one, step, left_out in zip(known, taken, steps, ignored):
                curves = one.curves(
                    inside, before[place], None if left_out is None else left_out[place],
                    step.of(part),
                )  # fmt: skip
                if len(curves.classes):
                    measure(part, index, curves)

    # Parts do not depend on each other, and NumPy and SciPy let other threads run.
    workers = (os.cpu_count() or 1) if parts.size > _FEW_IMAGES else 1
    rounds = -(-parts.shape[1] // (workers * _PARTS_AT_ONCE))
    blocks = np.array_split(np.arange(parts.shape[1]), min(rounds * workers, parts.shape[1]))
    if len(blocks) == 1:
        block(blocks[0])
        return
    with concurrent.futures.ThreadPoolExecutor(workers) as threads:
        for _ in threads.map(block, blocks):
            pass


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
        for places in right:
            marked[places] = True
        places = np.flatnonzero(marked)
        del marked
        classes = ranked.classes_of(places)
        ends = ranked.starts[:-1].copy()
        last = np.flatnonzero(np.diff(classes, append=-1))
        ends[classes[last]] = places[last] + 1
        lengths = ends - ranked.starts[:-1]
        starts = np.cumsum(lengths) - lengths
        shifts = ranked.starts[:-1] - starts
        images = np.concatenate(
            [ranked.images[start:end] for start, end in zip(ranked.starts, ends) if start < end]
            or [ranked.images[:0]]
        )
        cuts = np.union1d(places - shifts[classes] + 1, starts)
        return cls(images, cuts, shifts, starts)

    def counts(self, members: np.ndarray) -> np.ndarray:
        """How many detections of each part stand before each cut, int32 `[parts, cuts]`."""
        return _running(self.images, self.cuts, members)


def _running(images: np.ndarray, ends: np.ndarray, members: np.ndarray) -> np.ndarray:
    """How many of the first `ends` images belong to each part, int32 `[parts, ends]`."""
    from scipy import sparse  # it takes a while to load

    stops = ends
    if np.diff(ends, prepend=0).max() > _LONGEST_SEGMENT:
        stops = np.union1d(ends, np.arange(0, ends[-1], _LONGEST_SEGMENT))
    bounds = np.concatenate([[0], stops])
    ones = np.ones(bounds[-1], np.int16)
    shape = (len(stops), len(members))
    segments = sparse.csr_matrix((ones, images[: bounds[-1]], bounds), shape)
    in_each: np.ndarray = segments @ members.astype(np.int16)
    # First part by part, then summed: along the other axis it takes five times as long.
    counts = np.cumsum(np.ascontiguousarray(in_each.T), axis=1, dtype=np.int32)
    return counts if len(stops) == len(ends) else counts[:, np.searchsorted(stops, ends)]


@dataclass(frozen=True, eq=False)
class _Taken:
    """Where the detections that one kind of marks calls right stand.

    Attributes:
        images: int32 `[right]`.
        bounds: int64 `[classes + 1]`: class `c` has the right ones from `bounds[c]` to
            `bounds[c + 1]`.
        end: int32 `[right]`, which cut of the segments stands behind each.
        start: int64 `[classes]`, which one stands at the start of each class.
        ignored: the images of detections that do not count, int32 `[ignored]`, where to cut them,
            int64 `[cuts]`, and the cuts as `end` and `start`; None where all count.
    """

    images: np.ndarray
    bounds: np.ndarray
    end: np.ndarray
    start: np.ndarray
    ignored: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None

    @classmethod
    def of(cls, ranked: Ranking, mark: Marks, segments: _Segments) -> _Taken:
        right = mark.right
        classes = ranked.classes_of(right)
        end = np.searchsorted(segments.cuts, right - segments.shifts[classes] + 1)
        start = np.searchsorted(segments.cuts, segments.starts)
        ignored = None
        if len(mark.ignored):
            cuts = np.union1d(right + 1, ranked.starts[:-1])
            ignored = (
                ranked.images[mark.ignored],
                np.searchsorted(mark.ignored, cuts),
                np.searchsorted(cuts, right + 1).astype(np.int32),
                np.searchsorted(cuts, ranked.starts[:-1]),
            )
        return cls(
            ranked.images[right],
            np.searchsorted(classes, np.arange(len(ranked.starts))),
            end.astype(np.int32),
            start,
            ignored,
        )

    def ignored_before(self, members: np.ndarray) -> np.ndarray | None:
        """How many that do not count stand before each of their cuts, int32 `[parts, cuts]`."""
        if self.ignored is None:
            return None
        images, cuts, *_ = self.ignored
        stops, place = np.unique(cuts, return_inverse=True)
        return _running(images, stops, members)[:, place]

    def curves(
        self,
        inside: np.ndarray,
        before: np.ndarray,
        ignored: np.ndarray | None,
        steps: tuple[np.ndarray, np.ndarray],
    ) -> Curves:
        """The curves of one part.

        Args:
            inside: bool `[images]`, which belong to it.
            before: int32 `[cuts]`, how many of its detections stand before each cut.
            ignored: of `ignored_before`.
            steps: of `_RecallSteps.of`.
        """
        rows = np.flatnonzero(inside[self.images])
        firsts = np.searchsorted(rows, self.bounds)
        counts = np.diff(firsts)
        classes = np.flatnonzero(counts)
        firsts, counts = firsts[classes], counts[classes]

        def spread(values: np.ndarray) -> np.ndarray:
            """The value of each class for each of its right detections."""
            return np.repeat(values, counts) if len(counts) > 1 else values

        total = before[self.end[rows]]
        total -= spread(before[self.start[classes]])
        if ignored is not None and self.ignored is not None:
            *_, end, start = self.ignored
            total -= ignored[end[rows]]
            total += spread(ignored[start[classes]])
        right = np.arange(1, len(rows) + 1)
        right -= spread(firsts)
        precision = right / total
        # The best precision here or later in the class, of all classes in one go: whatever stands
        # in a later class is less, because each class is lifted above those behind it.
        lift = spread(np.arange(len(classes) - 1.0, -1.0, -1.0))
        precision += lift
        upwards = precision[::-1]
        np.maximum.accumulate(upwards, out=upwards)
        precision -= lift
        table, offsets = steps
        right += spread(offsets[classes])
        return Curves(precision, table[right], firsts, classes)


class _RecallSteps:
    """How many of the 101 recalls each right detection is the first to reach.

    Args:
        boxes: int `[classes, parts]`, how many true boxes there are.
    """

    def __init__(self, boxes: np.ndarray):
        sizes = np.flatnonzero(np.bincount(boxes.ravel()))
        index = np.searchsorted(sizes, boxes)
        lengths = sizes + 1  # none at all reaches no recall
        starts = np.cumsum(lengths) - lengths
        self._table = np.zeros(lengths.sum(), np.uint8)
        for size, start, length in zip(sizes.tolist(), starts.tolist(), lengths.tolist()):
            if size:
                first = np.searchsorted(np.arange(1, size + 1) / size, RECALLS)
                self._table[start : start + length] = np.bincount(first + 1, minlength=length)
        self._offsets = np.ascontiguousarray(starts[index].T)

    def of(self, part: int) -> tuple[np.ndarray, np.ndarray]:
        """The numbers for the right detections 1, 2, ... of a class, and where each class starts.

        They are uint8 `[n]` and int64 `[classes]`.
        """
        return self._table, self._offsets[part]
