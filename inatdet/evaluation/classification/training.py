"""Figure 5, and rare, common and frequent species: accuracy by the number of training images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from inatdet.evaluation.rows import Row


@dataclass(frozen=True)
class BoxRow(Row):
    """A box of Figure 5: the species of one bin of training images.

    Quartiles are interpolated linearly, as NumPy's and Matplotlib's are.

    Attributes:
        model: the model.
        train_images: the bin, such as `10-19`.
        species: how many species with an image in the split are in it.
        mean: the mean of their top-1 accuracies, in percent, and so are all that follow.
        minimum: the lowest.
        lower_quartile: a quarter of the species is not above it.
        median: the middle.
        upper_quartile: a quarter of the species is not below it.
        maximum: the highest.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "model", "train_images", "species", "mean", "minimum", "lower_quartile", "median",
        "upper_quartile", "maximum",
    )  # fmt: skip

    model: str
    train_images: str
    species: int
    mean: float
    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float

    @property
    def key(self) -> tuple[str, ...]:
        """The model and the bin."""
        return self.model, self.train_images


@dataclass(frozen=True)
class FrequencyAccuracyRow(Row):
    """A species model on the species of one frequency.

    Attributes:
        model: the model.
        frequency: one of `frequency.FREQUENCIES`.
        train_images: the numbers of training images that this means.
        species: how many such species have an image in the split.
        images: how many images that is.
        top1: the mean of the species' top-1 accuracies, in percent; NaN without any.
        top5: the same for the best five labels; None where these are not known.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "model", "frequency", "train_images", "species", "images", "top1", "top5"
    )  # fmt: skip

    model: str
    frequency: str
    train_images: str
    species: int
    images: int
    top1: float
    top5: float | None

    @property
    def key(self) -> tuple[str, ...]:
        """The model and the frequency."""
        return self.model, self.frequency
