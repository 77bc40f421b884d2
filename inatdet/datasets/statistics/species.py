"""Images and boxes by species and by super-class: Table 2, Figure 2 and the row of Table 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.categories import Category
from inatdet.data.rows import TOTAL, Cell, Row, known
from inatdet.datasets.statistics.splits import TRAIN, VAL, Counted, Dataset


@dataclass(frozen=True)
class SuperClassRow(Row):
    """One super-class in the paper's Table 2; numbers that are not known are None.

    Attributes:
        super_class: its name, or `TOTAL`.
        classes: how many of its species have an image or a box.
        boxed_classes: how many of them have a box.
        train_images: how many training images show one of its species.
        val_images: how many validation images do.
        train_boxes: how many boxes its species have in training images.
        val_boxes: how many they have in validation images.
        boxes: both together.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "super_class", "classes", "boxed_classes", "train_images", "val_images", "train_boxes",
        "val_boxes", "boxes",
    )  # fmt: skip

    super_class: str
    classes: int
    boxed_classes: int | None
    train_images: int | None
    val_images: int | None
    train_boxes: int | None
    val_boxes: int | None
    boxes: int | None

    @property
    def key(self) -> tuple[str, ...]:
        """The super-class."""
        return (self.super_class,)


@dataclass(frozen=True)
class SpeciesRow(Row):
    """One species; numbers that are not known are None.

    Attributes:
        category: the dataset's category.
        train_images: how many training images show it.
        val_images: how many validation images do.
        train_boxes: how many boxes it has in training images.
        val_boxes: how many it has in validation images.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "category_id", "name", "super_class", "train_images", "val_images", "train_boxes",
        "val_boxes",
    )  # fmt: skip

    category: Category
    train_images: int | None
    val_images: int | None
    train_boxes: int | None
    val_boxes: int | None

    @property
    def key(self) -> tuple[str, ...]:
        """The category's id."""
        return (str(self.category.id),)

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        numbers = (self.train_images, self.val_images, self.train_boxes, self.val_boxes)
        category = self.category
        return (category.id, category.name, category.supercategory, *map(known, numbers))


@dataclass(frozen=True)
class SpreadRow(Row):
    """How unevenly the images of a split are spread over its species.

    Attributes:
        split: its name.
        images: how many images show a known species.
        classes: how many species they show.
        absent: how many species of the dataset they do not.
        fewest: images of the species that has the fewest, of those with one.
        median: of the images per species that has one.
        mean: likewise.
        most: images of the species that has the most.
        imbalance: `most` divided by `fewest`, as in the paper's Table 1.
        top_classes: how many species one percent of them is, rounded up.
        top_share: the share of images that the `top_classes` most frequent species have, in
            percent.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "split", "images", "classes", "absent", "fewest", "median", "mean", "most", "imbalance",
        "top_classes", "top_share",
    )  # fmt: skip

    split: str
    images: int
    classes: int
    absent: int
    fewest: int
    median: float
    mean: float
    most: int
    imbalance: float
    top_classes: int
    top_share: float

    @property
    def key(self) -> tuple[str, ...]:
        """The split."""
        return (self.split,)


def super_class_rows(dataset: Dataset) -> tuple[SuperClassRow, ...]:
    """Table 2: one row per super-class, those with the most species first, then `TOTAL`."""
    groups, names = by_super_class(dataset.species)
    classes = np.bincount(groups, minlength=len(names))
    every = np.zeros_like(groups)
    order = np.argsort(-classes, kind="stable").tolist()
    rows = _rows(dataset, groups, [names[i] for i in order], order)
    return (*rows, *_rows(dataset, every, [TOTAL], [0]))


def _rows(
    dataset: Dataset, groups: np.ndarray, names: Sequence[str], order: Sequence[int]
) -> list[SuperClassRow]:
    count = len(names)
    classes = np.bincount(groups, minlength=count)
    boxed = None
    if dataset.with_boxes:
        boxed = np.bincount(groups[np.unique(dataset.boxed)], minlength=count)
    images, boxes = _numbers(dataset, groups, count)
    return [
        SuperClassRow(
            name,
            int(classes[i]),
            _at(boxed, i),
            *(_at(n, i) for n in (*images, *boxes, _sum(boxes))),
        )
        for name, i in zip(names, order)
    ]


_Numbers = tuple[np.ndarray | None, np.ndarray | None]
"""Of training and of validation, int64 `[groups]` each; None where it is not known."""


def _numbers(dataset: Dataset, groups: np.ndarray, count: int) -> tuple[_Numbers, _Numbers]:
    """The images and the boxes of each group of species."""
    train, val = dataset.split(TRAIN), dataset.split(VAL)
    return (
        (
            train.images_by(groups, count) if train else None,
            val.images_by(groups, count) if val else None,
        ),
        (
            train.boxes_by(groups, count) if train else None,
            val.boxes_by(groups, count) if val else None,
        ),
    )


def _sum(numbers: _Numbers) -> np.ndarray | None:
    first, second = numbers
    if first is None or second is None:
        return second if first is None else first
    total: np.ndarray = first + second
    return total


def _at(numbers: np.ndarray | None, place: int) -> int | None:
    return None if numbers is None else int(numbers[place])


def species_rows(dataset: Dataset) -> tuple[SpeciesRow, ...]:
    """Every species, by falling number of training images, or of validation images without."""
    count = len(dataset.species)
    own = np.arange(count)
    images, boxes = _numbers(dataset, own, count)
    falling = [-numbers for numbers in images if numbers is not None]
    order = np.lexsort([own, *reversed(falling)])
    return tuple(
        SpeciesRow(dataset.species[i], *(_at(numbers, i) for numbers in (*images, *boxes)))
        for i in order.tolist()
    )


def spread_row(split: Counted, species: int) -> SpreadRow:
    """How the images of a split are spread.

    Args:
        split: which has images.
        species: how many species the dataset has.
    """
    counts = split.images_by(np.arange(species), species)
    seen = np.sort(counts[counts > 0])[::-1]
    if not len(seen):
        nothing = (math.nan,) * 2
        return SpreadRow(split.split.name, 0, 0, species, 0, *nothing, 0, math.nan, 0, math.nan)
    top = top_percent(len(seen))
    return SpreadRow(
        split=split.split.name,
        images=split.images,
        classes=len(seen),
        absent=species - len(seen),
        fewest=int(seen[-1]),
        median=float(np.median(seen)),
        mean=float(seen.mean()),
        most=int(seen[0]),
        imbalance=float(seen[0] / seen[-1]),
        top_classes=top,
        top_share=float(100 * seen[:top].sum() / seen.sum()),
    )


def top_percent(count: int) -> int:
    """One percent of a number of things, rounded up."""
    return -(-count // 100)


def by_super_class(species: Sequence[Category]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The super-class of each species, int64 `[species]` from 0, and the names, as they occur."""
    number: dict[str, int] = {}
    groups = [number.setdefault(c.supercategory, len(number)) for c in species]
    return np.array(groups, np.int64), tuple(number)
