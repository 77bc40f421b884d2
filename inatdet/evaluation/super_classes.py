"""The species model by super-class: Table 5, Figure 6, and every species."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from inatdet.data.categories import Category
from inatdet.data.counts import TrainingCounts
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.average_precision import (
    METRICS,
    OVERALL,
    ClassResults,
    GroundTruth,
    percent,
)
from inatdet.evaluation.resampling import Halves, OnHalves
from inatdet.evaluation.rows import Cell, MeasuredRow


@dataclass(frozen=True)
class Table5Row(MeasuredRow):
    """The species model in one super-class, or overall.

    Attributes:
        super_class: its name, or `OVERALL`.
        classes: how many fine classes with ground truth the means are over.
        values: the measures, in percent, as `METRICS`; NaN where there is no such class.
    """

    columns: ClassVar[tuple[str, ...]] = ("super_class", "classes", *METRICS)

    super_class: str
    classes: int
    values: tuple[float, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """The super-class."""
        return (self.super_class,)

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        return (self.super_class, self.classes, *self.values)


@dataclass(frozen=True)
class PerClassRow(MeasuredRow):
    """The species model on one species.

    Attributes:
        category: the dataset's category.
        train_boxes: how many boxes the species has in training; None where that is not known.
        val_images: in how many of the evaluated images it has a box.
        values: the measures, in percent, as `METRICS`; NaN without ground truth.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "category_id", "name", "super_class", "train_boxes", "val_images", *METRICS
    )  # fmt: skip

    category: Category
    train_boxes: int | None
    val_images: int
    values: tuple[float, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """The category's id."""
        return (str(self.category.id),)

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        trained: Cell = "" if self.train_boxes is None else self.train_boxes
        names = (self.category.id, self.category.name, self.category.supercategory)
        return (*names, trained, self.val_images, *self.values)


def classes_of_super_classes(taxonomy: Taxonomy) -> Mapping[str, np.ndarray]:
    """The species of each super-class, bool `[species]`, in the order of the labels."""
    of_species = np.array([category.supercategory for category in taxonomy.species])
    return {name: of_species == name for name in taxonomy.super_classes}


def table5_rows(results: ClassResults, taxonomy: Taxonomy) -> tuple[Table5Row, ...]:
    """Table 5: one row per super-class, then `Overall`, the mean over all fine classes.

    Args:
        results: the measures of the species model at the species granularity.
        taxonomy: the label spaces.
    """
    members = {**classes_of_super_classes(taxonomy), OVERALL: np.ones(len(results.values), bool)}
    return tuple(
        Table5Row(name, int((results.has_truth & classes).sum()), percent(results.mean(classes)))
        for name, classes in members.items()
    )


def with_standard_errors(
    rows: Sequence[Table5Row], taxonomy: Taxonomy, halves: Halves, on_halves: OnHalves
) -> tuple[Table5Row, ...]:
    """Table 5 with standard errors.

    Args:
        rows: of `table5_rows`.
        taxonomy: the label spaces.
        halves: the halves of the images.
        on_halves: the measures of every species on each half.
    """
    members: Mapping[str, np.ndarray | None] = {
        **classes_of_super_classes(taxonomy),
        OVERALL: None,
    }
    return tuple(
        replace(row, values=halves.estimates(row.values, on_halves.mean(members[row.super_class])))
        for row in rows
    )


def per_class_rows(
    results: ClassResults,
    truth: GroundTruth,
    taxonomy: Taxonomy,
    training: TrainingCounts | None = None,
) -> tuple[PerClassRow, ...]:
    """One row per species, in the order of the labels.

    Args:
        results: the measures of the species model at the species granularity.
        truth: the true boxes it was compared with.
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
    """A super-class's precision against recall at IoU .5.

    Attributes:
        super_class: its name.
        precision: float64 `[101]`, in 0..1, at each of `average_precision.RECALLS`: the mean over
            its fine classes.
    """

    super_class: str
    precision: np.ndarray

    @property
    def auc(self) -> float:
        """The area under the curve, which is AP50, in 0..1."""
        return float(self.precision.mean())


def curves_of(results: ClassResults, taxonomy: Taxonomy) -> tuple[Curve, ...]:
    """The curves of the super-classes that have ground truth, in the order of their labels.

    Args:
        results: the measures of the species model at the species granularity.
        taxonomy: the label spaces.
    """
    curves = (
        Curve(name, results.mean_precision(classes))
        for name, classes in classes_of_super_classes(taxonomy).items()
    )
    return tuple(curve for curve in curves if not np.isnan(curve.auc))
