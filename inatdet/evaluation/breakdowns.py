"""Measures by the size of the animals, and by how often a species was seen in training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from inatdet.data.counts import TrainingCounts
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.average_precision import (
    METRICS,
    ClassResults,
    GroundTruth,
    class_results,
    count,
    percent,
)
from inatdet.evaluation.frequency import ImageBins
from inatdet.evaluation.rows import Cell, MeasuredRow

if TYPE_CHECKING:
    import hotcoco

SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""COCO's ranges of areas, in square pixels. True boxes have the dataset's areas; in iNat2017 those
are half the box."""

BINS = ImageBins((0, 1, 10, 20, 50, 100, 200, 500, 1000))
"""As fine as the paper's Figure 5 needs."""


@dataclass(frozen=True)
class SizeRow(MeasuredRow):
    """One model, at its own granularity, on animals of one size.

    Attributes:
        trained_on: the model's granularity.
        size: one of `SIZES`.
        boxes: how many true boxes are of that size.
        values: the measures, in percent, as `METRICS`; NaN where there is no such box.
    """

    columns: ClassVar[tuple[str, ...]] = ("trained_on", "size", "boxes", *METRICS)

    trained_on: Granularity
    size: str
    boxes: int
    values: tuple[float, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """The model's granularity and the size."""
        return self.trained_on, self.size

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        return (str(self.trained_on), self.size, self.boxes, *self.values)


def size_rows(
    truth: GroundTruth, evaluation: hotcoco.COCOeval, trained_on: Granularity
) -> tuple[SizeRow, ...]:
    """One row per size.

    Args:
        truth: the true boxes at `trained_on`.
        evaluation: the model's detections there, from `average_precision.counted`; it is counted
            again, which replaces what it held.
        trained_on: the model's granularity.
    """
    boxes = {  # in COCO, both ends belong to a range
        size: int(((truth.areas >= low) & (truth.areas <= high) & ~truth.is_crowd).sum())
        for size, (low, high) in SIZES.items()
    }
    present = [size for size in SIZES if boxes[size]]
    if present:
        count(evaluation, [SIZES[size] for size in present])
    values = {
        size: percent(class_results(evaluation, index).mean()) for index, size in enumerate(present)
    }
    nothing = (math.nan,) * len(METRICS)
    return tuple(
        SizeRow(trained_on, size, boxes[size], values.get(size, nothing)) for size in SIZES
    )


@dataclass(frozen=True)
class TrainingRow(MeasuredRow):
    """The species model on the species with a certain number of training images.

    Attributes:
        train_images: the bin, such as `10-19`.
        classes: how many such species have ground truth.
        values: the measures' means over them, in percent, as `METRICS`.
    """

    columns: ClassVar[tuple[str, ...]] = ("train_images", "classes", *METRICS)

    train_images: str
    classes: int
    values: tuple[float, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """The bin."""
        return (self.train_images,)

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        return (self.train_images, self.classes, *self.values)


def training_rows(
    results: ClassResults, taxonomy: Taxonomy, training: TrainingCounts
) -> tuple[TrainingRow, ...]:
    """One row per bin that has a species with ground truth.

    Args:
        results: the measures of the species model at the species granularity.
        taxonomy: the label spaces.
        training: how often each species was seen.
    """
    bin_of = BINS.of_species(taxonomy, training)
    rows = []
    for index, name in enumerate(BINS.names):
        members = bin_of == index
        classes = int((results.has_truth & members).sum())
        if classes:
            rows.append(TrainingRow(name, classes, percent(results.mean(members))))
    return tuple(rows)
