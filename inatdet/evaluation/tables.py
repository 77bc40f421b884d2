"""The paper's Tables 5 and 6. Column names are written here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inatdet.data.taxonomy import Category, Granularity, Taxonomy
from inatdet.evaluation.breakdowns import TrainingCounts
from inatdet.evaluation.coco import METRICS, ClassResults, GroundTruth
from inatdet.evaluation.granularity import Merge
from inatdet.evaluation.table import OVERALL, Table, percent

TABLE5_COLUMNS = ("super_class", "classes", *METRICS)
TABLE6_COLUMNS = ("trained_on", "evaluated_on", "merge", *METRICS)
PER_CLASS_COLUMNS = (
    "category_id", "name", "super_class", "train_boxes", "val_images", *METRICS
)  # fmt: skip


@dataclass(frozen=True)
class Table5Row:
    """The species model in one super-class, or overall.

    Attributes:
        super_class: its name, or `OVERALL`.
        classes: how many fine classes with ground truth the means are over.
        values: the measures, in percent, as `METRICS`; NaN where there is no such class.
    """

    super_class: str
    classes: int
    values: tuple[float, ...]

    def cells(self) -> tuple[str | int | float, ...]:
        """One cell for each of `TABLE5_COLUMNS`."""
        return (self.super_class, self.classes, *self.values)


@dataclass(frozen=True)
class Table6Row:
    """One model at one granularity.

    Attributes:
        trained_on: the model's granularity.
        evaluated_on: that of the comparison.
        merge: what became of duplicates.
        values: the measures, in percent, as `METRICS`.
    """

    trained_on: Granularity
    evaluated_on: Granularity
    merge: Merge
    values: tuple[float, ...]

    @property
    def key(self) -> tuple[Granularity, Granularity, Merge]:
        """What the row is about."""
        return self.trained_on, self.evaluated_on, self.merge

    def cells(self) -> tuple[str | int | float, ...]:
        """One cell for each of `TABLE6_COLUMNS`."""
        return (str(self.trained_on), str(self.evaluated_on), str(self.merge), *self.values)


@dataclass(frozen=True)
class PerClassRow:
    """The species model on one species.

    Attributes:
        category: the dataset's category.
        train_boxes: how many boxes the species has in training; None where that is not known.
        val_images: in how many of the evaluated images it has a box.
        values: the measures, in percent, as `METRICS`; NaN without ground truth.
    """

    category: Category
    train_boxes: int | None
    val_images: int
    values: tuple[float, ...]

    def cells(self) -> tuple[str | int | float, ...]:
        """One cell for each of `PER_CLASS_COLUMNS`."""
        trained = "" if self.train_boxes is None else self.train_boxes
        names = (self.category.id, self.category.name, self.category.supercategory)
        return (*names, trained, self.val_images, *self.values)


def classes_of_super_classes(taxonomy: Taxonomy) -> Mapping[str, np.ndarray]:
    """For each super-class, in the order of its labels, bool `[species]`: its species."""
    of_species = np.array([category.supercategory for category in taxonomy.species])
    return {name: of_species == name for name in taxonomy.super_classes}


def table5_rows(results: ClassResults, taxonomy: Taxonomy) -> tuple[Table5Row, ...]:
    """Table 5: a row a super-class, then `Overall`, the mean over all fine classes.

    Args:
        results: of the species model at the species granularity.
        taxonomy: the label spaces.
    """
    members = {**classes_of_super_classes(taxonomy), OVERALL: np.ones(len(results.values), bool)}
    return tuple(
        Table5Row(name, int((results.has_truth & classes).sum()), percent(results.mean(classes)))
        for name, classes in members.items()
    )


def per_class_rows(
    results: ClassResults,
    truth: GroundTruth,
    taxonomy: Taxonomy,
    training: TrainingCounts | None = None,
) -> tuple[PerClassRow, ...]:
    """A row for each species, in the order of the labels.

    Args:
        results: of the species model at the species granularity.
        truth: what it was compared with.
        taxonomy: the label spaces.
        training: how often each species was seen in training, where that is known.
    """
    pairs = np.unique(np.column_stack([truth.labels, truth.box_images]), axis=0)
    images = np.bincount(pairs[:, 0], minlength=truth.num_labels + 1)[1:]
    return tuple(
        PerClassRow(
            category,
            None if training is None else training.boxes.get(category.id, 0),
            int(count),
            percent(values),
        )
        for category, count, values in zip(taxonomy.species, images, results.values)
    )


def per_class_table(rows: Sequence[PerClassRow]) -> Table:
    """Every species as a table."""
    return Table(PER_CLASS_COLUMNS, tuple(row.cells() for row in rows))


def table5(rows: Sequence[Table5Row]) -> Table:
    """Table 5 as a table."""
    return Table(TABLE5_COLUMNS, tuple(row.cells() for row in rows))


def table6(rows: Sequence[Table6Row]) -> Table:
    """Table 6 as a table."""
    return Table(TABLE6_COLUMNS, tuple(row.cells() for row in rows))


def table6_matrix(rows: Sequence[Table6Row]) -> Table:
    """Table 6 as the paper sets it: AP, models down and granularities across."""
    by_key = {row.key: row.values[METRICS.index("AP")] for row in rows}
    levels = [g for g in Granularity if any(row.evaluated_on is g for row in rows)]
    lines = dict.fromkeys((row.trained_on, row.merge) for row in rows)
    return Table(
        ("trained_on", "merge", *(f"on_{level}" for level in levels)),
        tuple(
            (
                str(trained_on),
                str(merge),
                *(by_key.get((trained_on, level, merge), math.nan) for level in levels),
            )
            for trained_on, merge in lines
        ),
    )
