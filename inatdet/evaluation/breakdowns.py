"""Measures by the size of animals and by how often a species was seen in training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inatdet.data.counts import TrainingCounts
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.evaluation.average_precision import (
    METRICS,
    ClassResults,
    GroundTruth,
    class_results,
    count,
    percent,
)

if TYPE_CHECKING:
    import hotcoco

SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""COCO's ranges of areas, in square pixels. The areas of true boxes are the dataset's; in iNat2017
that is half the box."""

BINS = (0, 1, 10, 20, 50, 100, 200, 500, 1000)
"""The first number of training images of each bin, as finely as the paper's Figure 5 needs."""

SIZE_COLUMNS = ("trained_on", "size", "boxes", *METRICS)
TRAINING_COLUMNS = ("train_images", "classes", *METRICS)


@dataclass(frozen=True)
class SizeRow:
    """One model, at its own granularity, on animals of one size.

    Attributes:
        trained_on: the model's granularity.
        size: one of `SIZES`.
        boxes: how many true boxes are of that size.
        values: the measures, in percent, as `METRICS`; NaN where there is no such box.
    """

    trained_on: Granularity
    size: str
    boxes: int
    values: tuple[float, ...]

    def cells(self) -> tuple[str | int | float, ...]:
        """One cell for each of `SIZE_COLUMNS`."""
        return (str(self.trained_on), self.size, self.boxes, *self.values)


def size_rows(
    truth: GroundTruth, evaluation: hotcoco.COCOeval, trained_on: Granularity
) -> tuple[SizeRow, ...]:
    """A row for each of COCO's sizes.

    Args:
        truth: the true boxes at `trained_on`.
        evaluation: of the model's detections there, from `coco.counted`; it is counted anew.
        trained_on: the model's granularity.
    """
    boxes = {  # COCO takes both ends of a range in
        size: int(((truth.areas >= low) & (truth.areas <= high) & ~truth.is_crowd).sum())
        for size, (low, high) in SIZES.items()
    }
    there = [size for size in SIZES if boxes[size]]
    if there:
        count(evaluation, [SIZES[size] for size in there])
    values = {
        size: percent(class_results(evaluation, index).mean()) for index, size in enumerate(there)
    }
    nothing = (math.nan,) * len(METRICS)
    return tuple(
        SizeRow(trained_on, size, boxes[size], values.get(size, nothing)) for size in SIZES
    )


@dataclass(frozen=True)
class TrainingRow:
    """The species model on the species with so many training images.

    Attributes:
        train_images: the bin, as `10-19`.
        classes: how many such species have ground truth.
        values: the measures' means over them, in percent, as `METRICS`.
    """

    train_images: str
    classes: int
    values: tuple[float, ...]

    def cells(self) -> tuple[str | int | float, ...]:
        """One cell for each of `TRAINING_COLUMNS`."""
        return (self.train_images, self.classes, *self.values)


def training_rows(
    results: ClassResults, taxonomy: Taxonomy, training: TrainingCounts
) -> tuple[TrainingRow, ...]:
    """A row for each of `BINS` that has a species with ground truth.

    Args:
        results: of the species model at the species granularity.
        taxonomy: the label spaces.
        training: how often each species was seen.
    """
    images = np.array([training.images.get(c.id, 0) for c in taxonomy.species])
    bin_of = np.digitize(images, BINS) - 1
    rows = []
    for index, (first, after) in enumerate(zip(BINS, (*BINS[1:], None))):
        name = f"{first}+" if after is None else f"{first}-{after - 1}"
        members = bin_of == index
        count = int((results.has_truth & members).sum())
        if count:
            name = str(first) if after == first + 1 else name
            rows.append(TrainingRow(name, count, percent(results.mean(members))))
    return tuple(rows)
