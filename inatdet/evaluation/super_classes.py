"""The paper's Tables 5 and 6. Column names are written here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from inatdet.data.counts import TrainingCounts
from inatdet.data.taxonomy import Category, Taxonomy
from inatdet.evaluation.average_precision import (
    METRICS,
    NUM_RECALLS,
    OVERALL,
    ClassResults,
    GroundTruth,
    percent,
)

RECALLS = np.linspace(0.0, 1.0, NUM_RECALLS)


TABLE5_COLUMNS = ("super_class", "classes", *METRICS)
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


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision of a super-class at each of `RECALLS`, in 0..1."""

    super_class: str
    precision: np.ndarray

    @property
    def auc(self) -> float:
        """The area under the curve: AP50, in 0..1."""
        return float(self.precision.mean())


def curves_of(results: ClassResults, taxonomy: Taxonomy) -> tuple[Curve, ...]:
    """The curves of the super-classes that have ground truth, in the order of their labels.

    Args:
        results: of the species model at the species granularity.
        taxonomy: the label spaces.
    """
    curves = (
        Curve(name, results.mean_precision(classes))
        for name, classes in classes_of_super_classes(taxonomy).items()
    )
    return tuple(curve for curve in curves if not np.isnan(curve.auc))
