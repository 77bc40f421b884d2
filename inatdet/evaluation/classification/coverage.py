"""How much of a split a model's predictions cover, and what could not be counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from inatdet.data.granularity import Granularity
from inatdet.evaluation.rows import Row


@dataclass(frozen=True)
class CoverageRow(Row):
    """What a model's predictions say about the images of a split.

    Attributes:
        model: the model.
        trained_on: the level of its labels.
        split: the split.
        images: the images that count: those whose category has a label at the model's level.
        without_label: the other images of the split, which count only at coarser levels where
            their categories have labels.
        without_prediction: of `images`, those that the predictions leave out, which count as wrong.
        predicted: how many images of the split the predictions have.
        not_in_truth: how many images they have that are in none of the splits; ignored.
        fewer_than_5: of `images`, those with a prediction that has fewer than five labels, although
            others have as many; where a label is missing, the image is wrong.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "model", "trained_on", "split", "images", "without_label", "without_prediction",
        "predicted", "not_in_truth", "fewer_than_5",
    )  # fmt: skip

    model: str
    trained_on: Granularity
    split: str
    images: int
    without_label: int
    without_prediction: int
    predicted: int
    not_in_truth: int
    fewer_than_5: int

    @property
    def key(self) -> tuple[str, ...]:
        """The model and the split."""
        return self.model, self.split


@dataclass(frozen=True)
class LeftOut(Row):
    """Numbers that a model does not have, and why.

    Attributes:
        model: the model.
        split: the split, or empty for all of them.
        what: what is left out, such as `top5`, `table4` or `summed genus`.
        reason: why, as a clause without a full stop.
    """

    columns: ClassVar[tuple[str, ...]] = ("model", "split", "what", "reason")

    model: str
    split: str
    what: str
    reason: str

    @property
    def key(self) -> tuple[str, ...]:
        """The model, the split, and what is left out."""
        return self.model, self.split, self.what
