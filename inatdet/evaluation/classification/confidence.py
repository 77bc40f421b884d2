"""Calibration: whether the probability of an image's best label is how often that label is right.

The rules are those of `evaluation.calibration`, with images in place of detections and accuracy in
place of precision: ten bins of equal width. Images without a prediction have no probability and do
not count; at coarser levels only summed probabilities do, as that of a species is not meant to be
that of its genus.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.evaluation.calibration import SCORE_BINS, Calibration, ScoreCounts
from inatdet.evaluation.classification.guesses import Guesses, Rule
from inatdet.evaluation.classification.measuring import sums_on_halves
from inatdet.evaluation.rows import Cell, Row


@dataclass(frozen=True)
class ConfidenceRow(Row):
    """The calibration of one model at one level.

    Attributes:
        model: the model.
        trained_on: the level of its labels.
        evaluated_on: the level whose labels are right or wrong.
        rule: where the best label comes from: `own` or `summed`.
        calibration: the numbers; its `detections` are images, its `precision` is top-1 accuracy.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "model", "trained_on", "evaluated_on", "rule", "images", "mean_confidence", "top1", "ECE",
        "MCE",
    )  # fmt: skip

    model: str
    trained_on: Granularity
    evaluated_on: Granularity
    rule: Rule
    calibration: Calibration

    @property
    def key(self) -> tuple[str, ...]:
        """The model and the level."""
        return self.model, self.evaluated_on

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        levels = (str(self.trained_on), str(self.evaluated_on))
        return (self.model, *levels, str(self.rule), *self.calibration.cells())


def confidence_row(guesses: Guesses, level: Granularity, rule: Rule) -> ConfidenceRow:
    """The calibration of a model's best labels at a level.

    Args:
        guesses: the model's on the split, with probabilities at the level.
        level: the level.
        rule: `own` or `summed`.
    """
    from scipy import sparse  # it takes a while to load

    truth, confidences = guesses.split.at(level), guesses.confidences(level)
    images = np.flatnonzero(truth.counted & ~np.isnan(confidences))
    given, right = confidences[images], guesses.right(level, rule)[images]
    bins = np.minimum((given * SCORE_BINS).astype(np.int64), SCORE_BINS - 1)
    values = np.concatenate([np.ones(len(given)), given, right])
    rows = np.concatenate([bins, bins + SCORE_BINS, bins + 2 * SCORE_BINS])
    places = (rows, np.tile(images, 3))
    sums = sums_on_halves(
        sparse.coo_matrix((values, places), (3 * SCORE_BINS, len(truth.labels))), truth.halves
    )
    counts = ScoreCounts(sums.reshape(3, 1, SCORE_BINS, -1), truth.halves)
    return ConfidenceRow(guesses.model, guesses.level, level, rule, counts.calibration())


def confidence_rows(guesses: Guesses) -> Iterator[ConfidenceRow]:
    """One row for the model's own level and for every coarser one with summed probabilities.

    Args:
        guesses: the model's on the split.
    """
    for level in guesses.split.taxonomy.coarser_or_equal(guesses.level):
        rule = guesses.rules(level)[-1]
        if rule is not Rule.MAPPED and not guesses.why_uncalibrated(level):
            yield confidence_row(guesses, level, rule)
