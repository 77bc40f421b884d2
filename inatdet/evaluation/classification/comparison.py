"""Two models tested against each other on the same images."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.evaluation.classification.accuracy import Accuracy
from inatdet.evaluation.classification.guesses import Guesses, Rule
from inatdet.evaluation.classification.measuring import Number
from inatdet.evaluation.resampling import Difference, Estimate
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


@dataclass(frozen=True, eq=False)
class Measured:
    """What one model measures on one split.

    Attributes:
        guesses: the model's.
        numbers: by the name of the measure.
        right: of measures over images, whether each is right, bool `[images]`.
    """

    guesses: Guesses
    numbers: Mapping[str, Number]
    right: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, accuracy: Accuracy) -> Measured:
        """At the level of the model's own labels."""
        numbers = {f"top{most}": number for most, number in accuracy.of_images.items()}
        numbers |= {f"class_top{most}": of.mean() for most, of in accuracy.of_classes.items()}
        right = {f"top{most}": right for most, right in accuracy.right.items()}
        return cls(accuracy.guesses, numbers, right)

    def at(self, level: Granularity) -> Measured:
        """At a level from the model's own on, where its labels are mapped."""
        if level is self.guesses.level:
            return self
        right, truth = self.guesses.right(level, Rule.MAPPED), self.guesses.split.at(level)
        numbers = {
            "top1": truth.percent(right),
            "class_top1": truth.percent_of_classes(right).mean(),
        }
        return Measured(self.guesses, numbers, {"top1": right})


def comparison_rows(models: Sequence[Measured]) -> tuple[ComparisonRow, ...]:
    """Every two models with each measure that both have.

    Models of two levels are compared at the coarser one, where the finer model's labels are mapped.

    Args:
        models: the models on one split.
    """
    if not models:
        return ()
    levels = models[0].guesses.split.taxonomy.levels
    rows: list[ComparisonRow] = []
    for pair in itertools.combinations(models, 2):
        level = max((model.guesses.level for model in pair), key=levels.index)
        rows += _differences(level, *(model.at(level) for model in pair))
    return tuple(rows)


def _differences(level: Granularity, first: Measured, second: Measured) -> Iterator[ComparisonRow]:
    """One row per measure that both have."""
    for name, one in first.numbers.items():
        if name not in second.numbers:
            continue
        other = second.numbers[name]
        difference = Difference(name, one.value, other.value, (other - one).estimate())
        alone: tuple[int | None, int | None] = (None, None)
        p_value = difference.p_value
        if name in first.right:
            mine, theirs = first.right[name], second.right[name]
            counts = int((mine & ~theirs).sum()), int((theirs & ~mine).sum())
            alone, p_value = counts, mcnemar(*counts)
        yield ComparisonRow(
            first.guesses.split.name,
            level,
            name,
            first.guesses.model,
            second.guesses.model,
            one.shown(),
            other.shown(),
            difference.change,
            *alone,
            p_value,
        )


def mcnemar(first_alone: int, second_alone: int) -> float:
    """The exact two-sided p-value of McNemar's test.

    If two models are equally good, each image of which only one is right is one or the other's with
    probability one half (McNemar, "Note on the sampling error of the difference between correlated
    proportions or percentages", 1947).

    Args:
        first_alone: how many images only the first model is right about.
        second_alone: how many images only the second is right about.
    """
    from scipy import special  # it takes a while to load

    fewer, total = min(first_alone, second_alone), first_alone + second_alone
    return min(1.0, 2.0 * float(special.bdtr(fewer, total, 0.5)))
