"""Rare, common and frequent species: measures by how often a species was seen in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.counts import TrainingCounts
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation.average_precision import METRICS, ClassResults, percent
from inatdet.evaluation.calibration import Calibration, ScoreCounts
from inatdet.evaluation.resampling import Halves, OnHalves
from inatdet.evaluation.rows import Cell, MeasuredRow

FREQUENCIES = ("none", "rare", "common", "frequent")

LVIS = (10, 100)
"""LVIS's bins: species with 1 to 10 training images are rare, those with 11 to 100 common, all with
more frequent (Gupta et al., "LVIS: A Dataset for Large Vocabulary Instance Segmentation", 2019)."""


@dataclass(frozen=True)
class ImageBins:
    """Ranges of a number of images.

    Attributes:
        starts: the smallest number in each, from 0 on; the last one has no end.
    """

    starts: tuple[int, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Such as `10-19`, `20` and `50+`."""
        ends = [after - 1 for after in self.starts[1:]]
        ranges = [
            str(first) if first == last else f"{first}-{last}"
            for first, last in zip(self.starts, ends)
        ]
        return (*ranges, f"{self.starts[-1]}+")

    def of_species(self, taxonomy: Taxonomy, training: TrainingCounts) -> np.ndarray:
        """The bin of each species, int64 `[species]`, by how many training images show it."""
        images = [training.images.get(category.id, 0) for category in taxonomy.species]
        return np.digitize(np.array(images, np.int64), self.starts) - 1


def bins_of(borders: Sequence[int]) -> ImageBins:
    """The bins of `FREQUENCIES`.

    Args:
        borders: the most training images of a rare species, and of a common one.

    Raises:
        InputError: these are not two rising numbers from 1 on.
    """
    if len(borders) != 2 or not 1 <= borders[0] < borders[1]:
        raise InputError(
            f"frequency_bins={','.join(map(str, borders))}: must be two rising whole numbers from "
            "1 on, the most training images of a rare and of a common species, such as 10,100"
        )
    rare, common = borders
    return ImageBins((0, 1, rare + 1, common + 1))


@dataclass(frozen=True)
class FrequencyRow(MeasuredRow):
    """The species model on the species of one frequency.

    Attributes:
        frequency: one of `FREQUENCIES`.
        train_images: the numbers of training images that this means.
        classes: how many such species have ground truth.
        values: the measures' means over them, in percent, as `METRICS`; NaN without any.
        calibration: that of the detections named as one of these species; None where scores are no
            probabilities.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "frequency", "train_images", "classes", *METRICS, *Calibration.columns
    )  # fmt: skip

    frequency: str
    train_images: str
    classes: int
    values: tuple[float, ...]
    calibration: Calibration | None

    @property
    def key(self) -> tuple[str, ...]:
        """The frequency."""
        return (self.frequency,)

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        nothing: tuple[Cell, ...] = (np.nan,) * len(Calibration.columns)
        calibration = nothing if self.calibration is None else self.calibration.cells()
        names = (self.frequency, self.train_images, self.classes)
        return (*names, *self.values, *calibration)


def frequency_rows(
    results: ClassResults,
    bins: ImageBins,
    bin_of: np.ndarray,
    counts: ScoreCounts | None,
    halves: Halves,
    on_halves: OnHalves | None,
) -> tuple[FrequencyRow, ...]:
    """One row per frequency that a species has.

    Args:
        results: the measures of the species model at the species granularity.
        bins: from `bins_of`.
        bin_of: int64 `[species]`, the bin of each.
        counts: the detections by bin of their species and by score; None where scores are no
            probabilities.
        halves: the halves of the images.
        on_halves: the measures of every species on each half; None without halves.
    """
    rows = []
    for index, (frequency, train_images) in enumerate(zip(FREQUENCIES, bins.names)):
        members = bin_of == index
        if not members.any():
            continue
        values = percent(results.mean(members))
        if on_halves is not None:
            values = halves.estimates(values, on_halves.mean(members))
        rows.append(
            FrequencyRow(
                frequency,
                train_images,
                int((results.has_truth & members).sum()),
                values,
                None if counts is None else counts.calibration(index),
            )
        )
    return tuple(rows)
