"""One model's guesses for the images of one split, the best first.

Their order is that of the file: of labels with equal probabilities, the one that the file names
first is the better one.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from inatdet.choices import Choice
from inatdet.data.annotations import positions
from inatdet.data.granularity import Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.data.predictions import Predictions
from inatdet.evaluation.classification.measuring import Split, TrueLabels

MOST = 20
"""How many of an image's best labels are looked at: the most that any number needs."""


class Rule(Choice):
    """Where a model's best label at a level comes from.

    `OWN`: the level is the model's own. `MAPPED`: it is what its own best label lies in. `SUMMED`:
    the model summed the probabilities of all labels that lie in each coarser one, and this is the
    best of the sums.
    """

    OWN = "own"
    MAPPED = "mapped"
    SUMMED = "summed"


@dataclass(frozen=True, eq=False)
class Guesses:
    """The guesses.

    Attributes:
        model: the name of the model.
        predictions: what it says about images, those of the split among them, with the summed
            probabilities of every level for which there are any.
        why_not_summed: why there are none, by each other coarser level.
        split: the split.
    """

    model: str
    predictions: Predictions
    why_not_summed: Mapping[Granularity, str]
    split: Split

    @property
    def level(self) -> Granularity:
        """The level of the model's own labels."""
        return self.predictions.trained_on

    @property
    def truth(self) -> TrueLabels:
        """The true labels at the model's own level."""
        return self.split.at(self.level)

    @functools.cached_property
    def rows(self) -> np.ndarray:
        """Where the predictions have each image of the split, int64 `[images]`; -1: nowhere."""
        return positions(self.predictions.image_ids, self.split.image_ids)

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """The best labels at the model's own level, int32 `[images, up to MOST]`."""
        own = self.predictions.own.labels[:, :MOST]
        return self._taken(own, NO_LABEL)

    def why_unknown(self, most: int) -> str:
        """Why the best labels up to a number say nothing; empty where they do."""
        number, known = self.truth.num_labels, self.predictions.own.k
        # That the best of one label is right says nothing either, but every model has a top 1.
        if 1 < most >= number:
            plural = "s" if number > 1 else ""
            return f"the {self.level} level has only {number} label{plural}"
        if known < most:
            return f"the predictions have at most {known} label{'s' if known > 1 else ''} an image"
        return ""

    def right_among(self, most: int) -> np.ndarray:
        """Whether the true label is among the best ones, up to a number; bool `[images]`."""
        truth = self.truth
        right: np.ndarray = (self.labels[:, :most] == truth.labels[:, np.newaxis]).any(axis=1)
        right &= truth.counted
        return right

    def rules(self, level: Granularity) -> tuple[Rule, ...]:
        """By which rules the model has a best label at a level."""
        if level is self.level:
            return (Rule.OWN,)
        return (Rule.MAPPED, Rule.SUMMED) if level in self.predictions.ranked else (Rule.MAPPED,)

    def best(self, level: Granularity, rule: Rule) -> np.ndarray:
        """The best label at a level, int32 `[images]`; `NO_LABEL` where there is none."""
        if rule is Rule.SUMMED:
            return self._taken(self.predictions.ranked[level].labels[:, 0], NO_LABEL)
        labels = self.labels[:, 0]
        known = labels != NO_LABEL
        coarse = self.split.taxonomy.coarsen(np.where(known, labels, 1), self.level, level)
        best: np.ndarray = np.where(known, coarse, NO_LABEL)
        return best

    def right(self, level: Granularity, rule: Rule) -> np.ndarray:
        """Whether the best label at a level is right, bool `[images]`."""
        truth = self.split.at(level)
        right: np.ndarray = (self.best(level, rule) == truth.labels) & truth.counted
        return right

    def confidences(self, level: Granularity) -> np.ndarray:
        """The probability of the best label at the own level, or of the best sum at a coarser one.

        Returns:
            float64 `[images]`; NaN where an image has no guess, and where only the order is known.
        """
        ranked = self.predictions.ranked[level]
        if ranked.probabilities is None:
            return np.full(len(self.rows), np.nan)
        found = self._taken(ranked.probabilities[:, 0].astype(np.float64), np.nan)
        # No guess at all is written as no label with no probability.
        found[(found == 0) & (self._taken(ranked.labels[:, 0], NO_LABEL) == NO_LABEL)] = np.nan
        return found

    def why_uncalibrated(self, level: Granularity) -> str:
        """Why the confidences at a level are no probabilities; empty where they are."""
        if self.predictions.ranked[level].probabilities is None:
            return "the predictions say in which order labels are, but not how probable"
        found = self.confidences(level)
        if np.any((found < 0) | (found > 1)):
            return "probabilities are below 0 or above 1"
        return ""

    def fewer_than(self, most: int) -> int:
        """How many images that count have a prediction with fewer labels, if others have more."""
        if self.predictions.own.k < most:
            return 0
        with_row = np.flatnonzero((self.rows >= 0) & self.truth.counted)
        with_row = with_row[self.labels[with_row, most - 1] == NO_LABEL]
        # A guess that the label spaces do not have may stand there, with others behind it.
        later = self.predictions.own.labels[self.rows[with_row], most:]
        return int((later == NO_LABEL).all(axis=1).sum())

    def _taken(self, values: np.ndarray, otherwise: float) -> np.ndarray:
        """The rows of the split's images, of values by prediction."""
        if not len(values):
            return np.full((len(self.rows), *values.shape[1:]), otherwise, values.dtype)
        taken: np.ndarray = values[self.rows]
        taken[self.rows < 0] = otherwise
        return taken
