"""Measures by the size of animals and by how often a species was seen in training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.evaluation.coco import METRICS, ClassResults, GroundTruth, class_results, count
from inatdet.evaluation.table import Table, percent

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
class TrainingCounts:
    """How often each species was seen in training; by category id, 0 where there is no entry.

    Attributes:
        boxes: its boxes.
        images: the images with a box of it.
    """

    boxes: Mapping[int, int]
    images: Mapping[int, int]

    @classmethod
    def of(cls, annotations: Annotations) -> TrainingCounts:
        """Counts the boxes that a model was trained on."""
        pairs = np.column_stack([annotations.category_ids, annotations.image_ids])
        return cls(_counted(pairs[:, 0]), _counted(np.unique(pairs, axis=0)[:, 0]))


def _counted(values: np.ndarray) -> dict[int, int]:
    return dict(zip(*(x.tolist() for x in np.unique(values, return_counts=True))))


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


def size_table(rows: Sequence[SizeRow]) -> Table:
    """The sizes as a table."""
    return Table(SIZE_COLUMNS, tuple(row.cells() for row in rows))


def training_table(rows: Sequence[TrainingRow]) -> Table:
    """The bins as a table."""
    return Table(TRAINING_COLUMNS, tuple(row.cells() for row in rows))
