"""Table 3: how often the true label is the best, or among the best three or five."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from inatdet.data.granularity import Granularity
from inatdet.evaluation.rows import Row


@dataclass(frozen=True)
class Table3Row(Row):
    """One model on one split, at the level of its own labels. All numbers but counts are percent.

    Attributes:
        model: the model.
        trained_on: the level of its labels.
        split: the split.
        images: how many images count.
        top1: the images whose best label is the true one.
        top3: the images whose best three labels have the true one among them; None where they are
            not known.
        top5: the same for five.
        classes: how many labels have an image.
        class_top1: the mean of the labels' own `top1`, over those with an image: every label counts
            the same, however many images it has.
        class_top5: the same for `top5`.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "model", "trained_on", "split", "images", "top1", "top3", "top5", "classes", "class_top1",
        "class_top5",
    )  # fmt: skip

    model: str
    trained_on: Granularity
    split: str
    images: int
    top1: float
    top3: float | None
    top5: float | None
    classes: int
    class_top1: float
    class_top5: float | None

    @property
    def key(self) -> tuple[str, ...]:
        """The model and the split."""
        return self.model, self.split


@dataclass(frozen=True)
class ClassRow(Row):
    """One model on the images of one label.

    Attributes:
        model: the model.
        level: the level of its labels.
        category_id: the category's id; empty at levels that are not species.
        name: the label's name.
        super_class: the super-class that it lies in; empty at coarser levels.
        train_images: how many training images it has; None where that is not known.
        images: how many images of the split.
        top1: the images whose best label it is, in percent of `images`; NaN without any.
        top5: the same for the best five labels; None where these are not known.
        predicted: how many images of the split, of whatever label, have it as their best label.
        precision: how many of those are right, in percent; NaN without any.
        mean_confidence: the mean probability of the best label, whatever it is, in percent, over
            the images of this label that have a prediction; NaN without probabilities.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "model", "level", "category_id", "name", "super_class", "train_images", "images", "top1",
        "top5", "predicted", "precision", "mean_confidence",
    )  # fmt: skip

    model: str
    level: Granularity
    category_id: int | str
    name: str
    super_class: str
    train_images: int | None
    images: int
    top1: float
    top5: float | None
    predicted: int
    precision: float
    mean_confidence: float

    @property
    def key(self) -> tuple[str, ...]:
        """The model, and the category's id or, at coarser levels, the label's name."""
        return self.model, self.name if self.category_id == "" else str(self.category_id)
