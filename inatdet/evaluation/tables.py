"""The paper's Tables 5 and 6. Column names are written here and nowhere else."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inatdet.data.taxonomy import Category, Granularity, Taxonomy
from inatdet.evaluation.coco import METRICS, ClassResults, GroundTruth
from inatdet.evaluation.granularity import Merge
from inatdet.files import atomic_path

OVERALL = "Overall"
TABLE5_COLUMNS = ("super_class", "classes", *METRICS)
TABLE6_COLUMNS = ("trained_on", "evaluated_on", "merge", *METRICS)
PER_CLASS_COLUMNS = (
    "category_id", "name", "super_class", "train_boxes", "val_images", *METRICS
)  # fmt: skip
GAP_COLUMNS = ("trained_on", "evaluated_on", "merge", "AP", "coarse_model_AP", "gap_closed")


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


@dataclass(frozen=True)
class Table:
    """Rows under columns; `str` gives the aligned table, with one decimal as in the paper."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]

    def __str__(self) -> str:
        lines = [self.columns, *(tuple(map(printed, row)) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines)]
        words = [isinstance(cell, str) for cell in (self.rows or [("",) * len(widths)])[0]]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if word else cell.rjust(width)
                for cell, width, word in zip(line, widths, words)
            ).rstrip()
            for line in lines
        )

    def markdown(self) -> str:
        """The table in Markdown, with one decimal."""
        words = [isinstance(cell, str) for cell in (self.rows or [("",)])[0]]
        lines = [self.columns, ["---" if word else "---:" for word in words]]
        lines += [tuple(map(printed, row)) for row in self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes CSV, numbers in full precision; a measure without any class is left empty."""
        with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.columns)
            writer.writerows(
                ["" if isinstance(cell, float) and np.isnan(cell) else cell for cell in row]
                for row in self.rows
            )


def printed(cell: str | int | float) -> str:
    """A cell as the paper prints it: one decimal, a dash for what does not exist."""
    if isinstance(cell, float):
        return "-" if np.isnan(cell) else f"{cell:.1f}"
    return str(cell)


def percent(values: Iterable[float]) -> tuple[float, ...]:
    """0..1 to 0..100."""
    return tuple(100.0 * float(value) for value in values)


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
    train_boxes: Mapping[int, int] | None = None,
) -> tuple[PerClassRow, ...]:
    """A row for each species, in the order of the labels.

    Args:
        results: of the species model at the species granularity.
        truth: what it was compared with.
        taxonomy: the label spaces.
        train_boxes: boxes in training by category id, 0 where there is no entry.
    """
    pairs = np.unique(np.column_stack([truth.labels, truth.box_images]), axis=0)
    images = np.bincount(pairs[:, 0], minlength=truth.num_labels + 1)[1:]
    return tuple(
        PerClassRow(
            category,
            None if train_boxes is None else train_boxes.get(category.id, 0),
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


def gap_table(rows: Sequence[Table6Row]) -> Table:
    """How much of the gap between a fine and a coarse model each rule of merging closes.

    The gap is the coarse model's AP at its own granularity minus the fine model's there with
    nothing merged; `gap_closed` is the percentage of it that a rule wins back, NaN without a gap.

    Args:
        rows: of Table 6.

    Returns:
        A row for each rule but `none` at each granularity at which both models were evaluated.
    """
    average_precision = {
        (row.trained_on, row.evaluated_on, row.merge): row.values[METRICS.index("AP")]
        for row in rows
    }
    cells = []
    for (trained_on, target, merge), value in average_precision.items():
        coarse = average_precision.get((target, target, Merge.NONE))
        if merge is Merge.NONE or coarse is None:
            continue
        start = average_precision[trained_on, target, Merge.NONE]
        gap = coarse - start
        closed = 100.0 * (value - start) / gap if gap > 0 else float("nan")
        cells.append((str(trained_on), str(target), str(merge), value, coarse, closed))
    return Table(GAP_COLUMNS, tuple(cells))
