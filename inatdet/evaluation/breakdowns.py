"""Measures by the size of the animals, and by how often a species was seen in training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.counts import TrainingCounts
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.average_precision import METRICS, ClassResults, percent
from inatdet.evaluation.counting import class_results_of_areas, in_range
from inatdet.evaluation.matching import Labelled
from inatdet.evaluation.rows import Cell, MeasuredRow

SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""COCO's ranges of areas, in square pixels. True boxes have the dataset's areas; in iNat2017 those
are half the box."""

BINS = (0, 1, 10, 20, 50, 100, 200, 500, 1000)
"""The smallest number of training images in each bin, as fine as the paper's Figure 5 needs."""


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


def size_rows(labelled: Labelled, trained_on: Granularity) -> tuple[SizeRow, ...]:
    """One row per size.

    Args:
        labelled: the model's detections and the true boxes at `trained_on`.
        trained_on: the model's granularity.
    """
    truth = labelled.truth
    boxes = {
        size: int((in_range(truth.areas, areas) & ~truth.is_crowd).sum())
        for size, areas in SIZES.items()
    }
    values = {
        size: percent(class_results_of_areas(labelled, areas).mean())
        for size, areas in SIZES.items()
        if boxes[size]
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
    images = np.array([training.images.get(c.id, 0) for c in taxonomy.species])
    bin_of = np.digitize(images, BINS) - 1
    rows = []
    for index, (first, after) in enumerate(zip(BINS, (*BINS[1:], None))):
        members = bin_of == index
        classes = int((results.has_truth & members).sum())
        if classes:
            name = f"{first}+" if after is None else f"{first}-{after - 1}"
            name = str(first) if after == first + 1 else name
            rows.append(TrainingRow(name, classes, percent(results.mean(members))))
    return tuple(rows)
