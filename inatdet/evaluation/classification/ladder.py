"""The ladder of ranks: how often a model is right at its own level and at every coarser one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from inatdet.choices import Choice
from inatdet.data.granularity import Granularity
from inatdet.evaluation.rows import Row


class Rule(Choice):
    """Where a model's best label at a level comes from.

    `OWN`: the level is the model's own. `MAPPED`: it is what its own best label lies in. `SUMMED`:
    the model summed the probabilities of all labels that lie in each coarser one, and this is the
    best of the sums.
    """

    OWN = "own"
    MAPPED = "mapped"
    SUMMED = "summed"


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
