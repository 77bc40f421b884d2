"""The best detections of each class over a whole dataset, kept while more of them arrive.

Dave et al., "Evaluating Large-Vocabulary Object Detectors: The Devil is in the Details", 2021,
evaluate the 10,000 best of each class instead of the best few of each image. Once a class is full,
what scores less than the least of its detections is dropped at once, so that memory is bounded
however many images there are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy

PAPER_MOST_PER_CLASS = 10_000
"""The paper's limit."""

_ROW = np.dtype([("image_id", "<i8"), ("score", "<f4"), ("box", "<f4", 4)])  # 28 bytes
_SPARE = 8  # a class has room for this part more than its limit
_LEAST_SPARE = 16  # rows

Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Image ids `[n]`, labels `[n]`, scores `[n]` and boxes `[n, 4]`."""


def limits_at(taxonomy: Taxonomy, level: Granularity, most: int) -> np.ndarray:
    """How many detections of each class count, int64 `[classes]`.

    The paper's limit is for thousands of classes; the few classes of a coarse level would lose
    right detections by it. So a class has that limit for each of its species.

    Args:
        taxonomy: the label spaces.
        level: that of the classes.
        most: the limit of a species.
    """
    species = np.arange(1, taxonomy.num_labels(Granularity.SPECIES) + 1)
    labels = taxonomy.coarsen(species, Granularity.SPECIES, level)
    counts = np.bincount(labels, minlength=taxonomy.num_labels(level) + 1)[1:]
    return most * np.maximum(counts, 1)


class BestOfClasses:
    """Keeps the best detections of each class, of equal scores those in images with smaller ids.

    Within an image, of equal scores the earlier detection is kept. It takes 32 bytes of memory per
    detection that may be kept.

    Args:
        limits: int `[classes]`, how many to keep of each class, at least 1.
    """

    def __init__(self, limits: np.ndarray):
        self._limits = np.asarray(limits, np.int64)
        room = self._limits + np.maximum(self._limits // _SPARE, _LEAST_SPARE)
        self._starts = np.cumsum(room) - room
        self._room = room
        self._rows = np.empty(room.sum(), _ROW)
        self._counts = np.zeros(len(room), np.int64)
        self._least = np.full(len(room), -np.inf, np.float32)

    @property
    def counts(self) -> np.ndarray:
        """How many detections of each class are kept, int64 `[classes]`."""
        return np.minimum(self._counts, self._limits)

    def append(
        self, image_ids: np.ndarray, labels: np.ndarray, scores: np.ndarray, boxes: np.ndarray
    ) -> None:
        """Adds some detections; those of an image all at once.

        Args:
            image_ids: `[n]`.
            labels: `[n]`, 1..classes.
            scores: `[n]`.
            boxes: `[n, 4]`.
        """
        classes, scores = np.asarray(labels, np.int64) - 1, np.asarray(scores, np.float32)
        rows = np.flatnonzero(scores >= self._least[classes])
        rows = rows[np.argsort(classes[rows], kind="stable")]
        added = np.empty(len(rows), _ROW)
        added["image_id"], added["score"] = image_ids[rows], scores[rows]
        added["box"] = boxes[rows]
        classes = classes[rows]
        first = np.flatnonzero(np.diff(classes, prepend=-1))
        sizes = np.diff(first, append=len(rows))
        present = classes[first]
        fits = self._counts[present] + sizes <= self._room[present]
        nth = np.arange(len(rows)) - np.repeat(first, sizes)
        where = self._starts[classes] + self._counts[classes] + nth
        simple = np.repeat(fits, sizes)
        self._rows[where[simple]] = added[simple]
        self._counts[present[fits]] += sizes[fits]
        for one, start, size in zip(present[~fits], first[~fits], sizes[~fits]):
            self._cut(int(one), added[start : start + size])

    def may_be_kept(self, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Whether detections, added or not, are good enough so far; bool `[n]`.

        Args:
            labels: `[n]`, 1..classes.
            scores: `[n]`.
        """
        kept: np.ndarray = np.asarray(scores, np.float32) >= self._least[np.asarray(labels) - 1]
        return kept

    def _cut(self, one: int, more: np.ndarray) -> None:
        """Keeps the best of a class and of more rows."""
        limit, start = int(self._limits[one]), int(self._starts[one])
        rows = self._rows[start : start + self._counts[one]]
        if len(more):
            rows = np.concatenate([rows, more])
        if len(rows) > limit:
            scores = rows["score"]
            least = np.partition(scores, len(rows) - limit)[len(rows) - limit]
            kept = scores > least
            ties = np.flatnonzero(scores == least)
            ties = ties[np.argsort(rows["image_id"][ties], kind="stable")]
            kept[ties[: limit - np.count_nonzero(kept)]] = True
            rows, self._least[one] = rows[kept], least
        self._rows[start : start + len(rows)] = rows
        self._counts[one] = len(rows)

    def columns(self) -> Iterator[Columns]:
        """What is kept, class by class, in the order in which it arrived."""
        for one in np.flatnonzero(self._counts).tolist():
            self._cut(one, self._rows[:0])
            rows = self._rows[self._starts[one] :][: self._counts[one]]
            labels = np.full(len(rows), one + 1, np.int32)
            yield rows["image_id"], labels, rows["score"], rows["box"]
