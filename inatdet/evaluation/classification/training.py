"""Figure 5, and rare, common and frequent species: accuracy by the number of training images."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.errors import InputError
from inatdet.evaluation.classification.accuracy import Accuracy
from inatdet.evaluation.frequency import FREQUENCIES, ImageBins
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


def training_bins_of(starts: Sequence[int]) -> ImageBins:
    """The bins of Figure 5.

    Args:
        starts: the smallest number of training images in each.

    Raises:
        InputError: these are not rising numbers from 0 on.
    """
    if not starts or starts[0] != 0 or any(a >= b for a, b in itertools.pairwise(starts)):
        raise InputError(
            f"training_bins={','.join(map(str, starts))}: must be rising whole numbers from 0 on, "
            "the smallest number of training images in each bin, such as 0,10,100"
        )
    return ImageBins(tuple(starts))


def box_rows(accuracy: Accuracy, train_images: np.ndarray, bins: ImageBins) -> tuple[BoxRow, ...]:
    """The boxes of Figure 5: one per bin that has a species with images in the split.

    Args:
        accuracy: that of a species model on the split.
        train_images: int64 `[species]`, how many training images each has.
        bins: of `training_bins_of`.
    """
    of_species = accuracy.of_classes[1].values
    bin_of = _bin_of(train_images, bins)
    rows = []
    for place, name in enumerate(bins.names):
        values = of_species[(bin_of == place) & ~np.isnan(of_species)]
        if len(values):
            quartiles = np.percentile(values, (0, 25, 50, 75, 100)).tolist()
            rows.append(
                BoxRow(accuracy.guesses.model, name, len(values), float(values.mean()), *quartiles)
            )
    return tuple(rows)


def frequency_rows(
    accuracy: Accuracy, train_images: np.ndarray, bins: ImageBins
) -> tuple[FrequencyAccuracyRow, ...]:
    """One row per frequency that a species has.

    Args:
        accuracy: that of a species model on the split.
        train_images: int64 `[species]`, how many training images each has.
        bins: of `frequency.bins_of`.
    """
    images = accuracy.guesses.truth.of_classes
    bin_of = _bin_of(train_images, bins)
    rows = []
    for place, (frequency, name) in enumerate(zip(FREQUENCIES, bins.names)):
        members = bin_of == place
        if members.any():
            rows.append(
                FrequencyAccuracyRow(
                    accuracy.guesses.model,
                    frequency,
                    name,
                    int((images[members] > 0).sum()),
                    int(images[members].sum()),
                    accuracy.of_classes[1].mean(members).shown(),
                    accuracy.top5_of_classes(members),
                )
            )
    return tuple(rows)


def _bin_of(train_images: np.ndarray, bins: ImageBins) -> np.ndarray:
    """The bin of each species, int64 `[species]`."""
    found: np.ndarray = np.digitize(train_images, bins.starts) - 1
    return found
