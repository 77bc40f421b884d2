"""From a score for every label to the best labels, and to sums at coarser levels.

The probability of a coarser label is the sum over all labels that lie in it, before any is left
out. Of equal scores, the one in the earlier column is the better one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inatdet.choices import Choice
from inatdet.data.granularity import Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.data.prediction_checks import ROUNDING, SUM_ROUNDING, Names, shown
from inatdet.data.score_columns import ScoreColumns
from inatdet.errors import InputError

KEPT = 100
"""How many of the best labels of an image are kept at each level, unless asked otherwise."""

ONLY_RANKS = (
    "{}: its scores are below 0, or sum to more than 1 for an image, so they are no probabilities "
    "and only their order counts"
)
"""The note about a file whose scores are no probabilities."""

# Of which temporary copies are made, 2 MB each: these stay in the processor's cache, and their
# memory is used again, while larger arrays get new pages from the system, which can take longer
# than all computing.
_CELLS_AT_ONCE = 1 << 18


@dataclass(frozen=True, eq=False)
class Ranked:
    """The best labels of each image at one level.

    Attributes:
        labels: int32 `[images, k]`, the best first. `NO_LABEL` stands for a guess that the label
            spaces do not have, which is wrong, and for no guess behind an image's last one.
        probabilities: float32 `[images, k]`, 0 where there is no guess; None where only the order
            is known.
    """

    labels: np.ndarray
    probabilities: np.ndarray | None = None

    @property
    def k(self) -> int:
        """How many labels an image has at most."""
        return int(self.labels.shape[1])


class Scores(Choice):
    """What scores are.

    `LOGITS`: softmax makes probabilities of them.
    `PROBABILITIES`: those of all labels.
    `ANY`: probabilities if all of them look like it, otherwise numbers that only rank.
    """

    LOGITS = "logits"
    PROBABILITIES = "probabilities"
    ANY = "scores"


def softmax(logits: np.ndarray) -> np.ndarray:
    """The probabilities of logits, float64 `[images, classes]`, all finite."""
    exact = logits.astype(np.float64)
    exact -= exact.max(axis=1, keepdims=True)
    np.exp(exact, out=exact)
    exact /= exact.sum(axis=1, keepdims=True)
    return exact


def best(scores: np.ndarray, most: int) -> np.ndarray:
    """The columns with the highest scores, int64 `[images, up to most]`, the best first.

    Args:
        scores: `[images, columns]`, all finite.
        most: how many columns are kept.
    """
    columns = scores.shape[1]
    if most >= columns:
        return np.argsort(-scores, axis=1, kind="stable")
    # Finding the least of the best is several times faster than finding where they are.
    least = np.partition(scores, columns - most, axis=1)[:, columns - most, np.newaxis]
    chosen = scores >= least
    counts = np.count_nonzero(chosen, axis=1)
    tied = np.flatnonzero(counts > most)
    if len(tied):  # of the equal ones at the end, the first are chosen
        equal = scores[tied] == least[tied]
        room = most - (counts[tied] - np.count_nonzero(equal, axis=1))
        chosen[tied] &= ~equal | (np.cumsum(equal, axis=1) <= room[:, np.newaxis])
    # Row by row, in the order of the columns, in which equal ones stay.
    places = np.flatnonzero(chosen).reshape(len(scores), most)
    places -= np.arange(len(scores))[:, np.newaxis] * columns
    order = np.argsort(-np.take_along_axis(scores, places, axis=1), axis=1, kind="stable")
    return np.take_along_axis(places, order, axis=1)


class Sums:
    """Sums over the columns of each label.

    Args:
        labels: int `[columns]`; columns of `NO_LABEL` belong to no sum.

    Attributes:
        labels: int `[sums]`, ascending.
    """

    def __init__(self, labels: np.ndarray):
        columns = np.flatnonzero(labels)
        columns = columns[np.argsort(labels[columns], kind="stable")]
        self.labels, self._first = np.unique(labels[columns], return_index=True)
        is_in_order = np.array_equal(columns, np.arange(len(labels)))
        self._columns = slice(None) if is_in_order else columns

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """From float64 `[images, columns]` to float64 `[images, sums]`, at most 1."""
        if not len(self.labels):
            return np.zeros((len(probabilities), 0))
        summed = np.add.reduceat(probabilities[:, self._columns], self._first, axis=1)
        return np.minimum(summed, 1.0)  # rounding must not lift it above 1


def sums_of_best(labels: np.ndarray, probabilities: np.ndarray, table: np.ndarray) -> Ranked:
    """Sums over the best labels of each image that lie in the same coarser one, the best first.

    Args:
        labels: int32 `[images, k]`.
        probabilities: float32 `[images, k]`.
        table: int32 `[labels + 1]`, the coarser label of each; `NO_LABEL` belongs to no sum.

    Returns:
        As many labels of each image as lie in the table, but at most k. Those of which it has none
        are `NO_LABEL`.
    """
    count = int(table.max()) + 1
    most = min(count - 1, labels.shape[1])
    found = np.zeros((len(labels), most), np.int32)
    values = np.zeros((len(labels), most), np.float32)
    at_once = max(1, _CELLS_AT_ONCE // count)
    for start in range(0, len(labels), at_once):
        block = slice(start, start + at_once)
        coarse = table[labels[block]]
        cells = np.arange(len(coarse))[:, np.newaxis] * count + coarse
        summed = np.bincount(cells.ravel(), probabilities[block].ravel(), len(coarse) * count)
        summed = np.minimum(summed.reshape(-1, count)[:, 1:], 1.0)
        columns = best(summed, most)
        chosen = np.take_along_axis(summed, columns, axis=1)
        found[block] = np.where(chosen > 0, columns + 1, NO_LABEL)
        values[block] = chosen
    return Ranked(found, values)


class Ranker:
    """Ranks the scores of all labels, block by block of images.

    Args:
        path: the file, or what the scores are called, for messages.
        kind: what the scores are.
        columns: what their columns are.
        most: how many labels are kept at each level.
    """

    def __init__(self, path: str, kind: Scores, columns: ScoreColumns, most: int = KEPT):
        self._path, self._kind, self._columns, self._most = path, kind, columns, most
        self._own = columns.own
        self._sums = {
            level: Sums(labels) for level, labels in columns.labels.items() if level != columns.own
        }
        self._found: dict[Granularity, list[Ranked]] = {level: [] for level in columns.labels}
        self._are_probabilities = True  # until some are none
        self._are_whole = True  # until the labels that there are have less than all probability

    def add(self, images: Names, scores: np.ndarray) -> None:
        """Ranks the scores of some images.

        Args:
            images: what they are called.
            scores: numbers `[images, columns]`.

        Raises:
            InputError: a score is not finite, or they are no probabilities but should be.
        """
        at_once = max(1, _CELLS_AT_ONCE // max(1, scores.shape[1]))
        for start in range(0, len(scores), at_once):
            block = slice(start, start + at_once)
            with np.errstate(over="ignore"):  # of scores that only rank
                self._rank(images[block], scores[block])

    def finish(self) -> tuple[dict[Granularity, Ranked], tuple[str, ...]]:
        """What was found.

        Returns:
            The best labels by level: of the columns' level alone where scores only rank, or are
            probabilities that do not sum to one, so that labels must be missing; and what to tell
            about them.
        """
        if not self._found[self._own]:
            raise InputError(f"{self._path}: has no predictions; give the file that has them")
        own = _joined(self._found[self._own])
        notes = self._columns.matched.apply(own.labels)
        if not self._are_probabilities:
            return {self._own: Ranked(own.labels)}, (*notes, ONLY_RANKS.format(self._path))
        coarser = [level for level in self._found if level != self._own and self._are_whole]
        return {self._own: own, **{g: _joined(self._found[g]) for g in coarser}}, notes

    def _rank(self, images: Names, scores: np.ndarray) -> None:
        if not np.issubdtype(scores.dtype, np.floating):
            scores = scores.astype(np.float64)
        self._refuse(
            images,
            ~np.isfinite(scores).all(axis=1),
            "has a score that is not finite; write the model's own",
        )
        if self._kind is Scores.LOGITS:
            probabilities = softmax(scores)
        else:
            probabilities = scores.astype(np.float64)
            self._check(images, probabilities)
        columns = best(scores, self._most)
        self._keep(self._own, np.arange(1, scores.shape[1] + 1), columns, probabilities)
        if self._are_probabilities and self._are_whole:
            for level, sums in self._sums.items():
                summed = sums(probabilities)
                self._keep(level, sums.labels, best(summed, self._most), summed)

    def _check(self, images: Names, scores: np.ndarray) -> None:
        """Refuses what is no probability, or remembers that scores only rank."""
        outside = (scores.min(axis=1) < 0) | (scores.max(axis=1) > 1 + ROUNDING)
        totals = scores.sum(axis=1)
        too_much = totals > 1 + SUM_ROUNDING
        self._are_whole &= not (totals < 1 - SUM_ROUNDING).any()
        if self._kind is Scores.ANY:
            self._are_probabilities &= not (outside | too_much).any()
            return
        advice = "; say that they are logits if they are"
        self._refuse(images, outside, f"has probabilities outside of 0 to 1{advice}")
        self._refuse(images, too_much, f"has probabilities that sum to more than 1{advice}")

    def _refuse(self, images: Names, bad: np.ndarray, what: str) -> None:
        if bad.any():
            row = int(np.argmax(bad))
            raise InputError(f"{self._path}: image {shown(images[row])} {what}")

    def _keep(
        self, level: Granularity, labels: np.ndarray, columns: np.ndarray, values: np.ndarray
    ) -> None:
        chosen = np.take_along_axis(values, columns, axis=1).astype(np.float32)
        self._found[level].append(Ranked(labels[columns].astype(np.int32), chosen))


def _joined(blocks: Sequence[Ranked]) -> Ranked:
    """Blocks of images, with probabilities and equally many labels, one after another."""
    probabilities = [block.probabilities for block in blocks if block.probabilities is not None]
    return Ranked(np.concatenate([b.labels for b in blocks]), np.concatenate(probabilities))
