"""Two models tested against each other on the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from inatdet.data.granularity import Granularity
from inatdet.evaluation.resampling import Estimate
from inatdet.evaluation.rows import Row


@dataclass(frozen=True)
class ComparisonRow(Row):
    """How two models differ in one measure on one split, paired by image.

    Attributes:
        split: the split.
        evaluated_on: the level at which labels are right or wrong: the coarser of the models' own.
        measure: `top1`, `top3`, `top5`, or `class_top1`, `class_top5`, the means over labels.
        first: the first model.
        second: the second model.
        first_value: the first model's value, in percent.
        second_value: the second model's.
        change: the second value minus the first, with its standard error, which is NaN without
            halves of the images.
        first_alone: how many images only the first model is right about; None for means over
            labels.
        second_alone: how many images only the second is right about; None for means over labels.
        p_value: two-sided, of no difference: McNemar's exact test of `first_alone` against
            `second_alone`; for means over labels by normal approximation from the halves, and NaN
            without them.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "split", "evaluated_on", "measure", "first", "second", "first_value", "second_value",
        "change", "first_alone", "second_alone", "p_value",
    )  # fmt: skip

    split: str
    evaluated_on: Granularity
    measure: str
    first: str
    second: str
    first_value: float
    second_value: float
    change: Estimate
    first_alone: int | None
    second_alone: int | None
    p_value: float

    @property
    def key(self) -> tuple[str, ...]:
        """The split, both models and the measure."""
        return self.split, self.first, self.second, self.measure
