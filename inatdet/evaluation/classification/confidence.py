"""Calibration: whether the probability of an image's best label is how often that label is right.

The rules are those of `evaluation.calibration`, with images in place of detections and accuracy in
place of precision: ten bins of equal width. Images without a prediction have no probability and do
not count; at coarser levels only summed probabilities do, as that of a species is not meant to be
that of its genus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from inatdet.data.granularity import Granularity
from inatdet.evaluation.calibration import Calibration
from inatdet.evaluation.classification.ladder import Rule
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
