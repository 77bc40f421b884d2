"""The ladder of ranks: how often a model is right at its own level and at every coarser one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from inatdet.data.granularity import Granularity
from inatdet.evaluation.classification.guesses import Guesses, Rule
from inatdet.evaluation.rows import Row


@dataclass(frozen=True)
class LadderRow(Row):
    """One model at one level, by one rule.

    Attributes:
        model: the model.
        trained_on: the level of its labels.
        evaluated_on: the level at which they are right or wrong.
        rule: where the best label comes from.
        labels: how many labels the level has.
        images: how many images count: those whose category has a label at the level.
        top1: the images whose best label is right, in percent.
        gain: on rows of summed probabilities, by how many percent points `top1` is above that of
            mapped labels, paired by image; None on others.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "model", "trained_on", "evaluated_on", "rule", "labels", "images", "top1", "gain"
    )  # fmt: skip

    model: str
    trained_on: Granularity
    evaluated_on: Granularity
    rule: Rule
    labels: int
    images: int
    top1: float
    gain: float | None

    @property
    def key(self) -> tuple[str, ...]:
        """The model, the level and the rule."""
        return self.model, self.evaluated_on, self.rule


def ladder_rows(guesses: Guesses) -> tuple[LadderRow, ...]:
    """One row per level from the model's own on, from fine to coarse, and per rule.

    Args:
        guesses: the model's on the split.
    """
    taxonomy = guesses.split.taxonomy
    rows = []
    for level in taxonomy.coarser_or_equal(guesses.level):
        truth = guesses.split.at(level)
        numbers = {rule: truth.percent(guesses.right(level, rule)) for rule in guesses.rules(level)}
        for rule, number in numbers.items():
            gain = number - numbers[Rule.MAPPED] if rule is Rule.SUMMED else None
            rows.append(
                LadderRow(
                    guesses.model,
                    guesses.level,
                    level,
                    rule,
                    truth.num_labels,
                    truth.images,
                    number.shown(),
                    None if gain is None else gain.shown(),
                )
            )
    return tuple(rows)
