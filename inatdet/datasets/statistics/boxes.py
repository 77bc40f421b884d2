"""Boxes: how large they are, in pixels and within their images, and how many an image has.

These are the numbers of the paper's Section 3.3 and Figure 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.rows import TOTAL, Cell, Row
from inatdet.datasets.statistics.species import by_super_class
from inatdet.datasets.statistics.splits import Counted, Dataset

SMALL, LARGE = 32.0**2, 96.0**2
"""COCO's limits in square pixels: below the first a box is small, above the second it is large."""

EDGES = tuple(range(0, 101, 5))
"""The limits of the bins of relative sizes, in percent."""

_QUANTILES = (5, 25, 50, 75, 95)
_SEVERAL = (1, 5)


@dataclass(frozen=True)
class AreaRow(Row):
    """How many boxes of a super-class are small, medium and large.

    Attributes:
        super_class: its name, or `TOTAL`.
        boxes: how many boxes it has.
        small: the share of them whose area is less than `SMALL`, in percent; the area is half the
            box, as in iNat2017, which has no masks.
        medium: the share of those between.
        large: the share of those whose area is more than `LARGE`.
    """

    columns: ClassVar[tuple[str, ...]] = ("super_class", "boxes", "small", "medium", "large")

    super_class: str
    boxes: int
    small: float
    medium: float
    large: float

    @property
    def key(self) -> tuple[str, ...]:
        """The super-class."""
        return (self.super_class,)


@dataclass(frozen=True)
class RelativeSizeRow(Row):
    """How large the boxes of a super-class are within their images.

    The relative size of a box is the square root of its area divided by that of its image, in
    percent.

    Attributes:
        super_class: its name, or `TOTAL`.
        boxes: how many boxes it has.
        quantiles: the relative sizes that 5, 25, 50, 75 and 95% of the boxes do not exceed.
        histogram: the share of the boxes in each of the bins that `EDGES` limit, in percent.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "super_class", "boxes", "p5", "p25", "median", "p75", "p95"
    )  # fmt: skip

    super_class: str
    boxes: int
    quantiles: tuple[float, ...]
    histogram: tuple[float, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """The super-class."""
        return (self.super_class,)

    @property
    def median(self) -> float:
        """The relative size that half of the boxes do not exceed."""
        return self.quantiles[_QUANTILES.index(50)]

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        return (self.super_class, self.boxes, *self.quantiles)


@dataclass(frozen=True)
class BoxesPerImageRow(Row):
    """How many boxes the images of a split have.

    Attributes:
        split: its name, or `TOTAL`.
        images: how many images have a box.
        boxes: how many boxes they have.
        mean: boxes per such image.
        most: the most that one has.
        more_than_one: the share of the images with more than one box, in percent.
        more_than_five: the share of those with more than five.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "split", "images", "boxes", "mean", "most", "more_than_one", "more_than_five"
    )  # fmt: skip

    split: str
    images: int
    boxes: int
    mean: float
    most: int
    more_than_one: float
    more_than_five: float

    @property
    def key(self) -> tuple[str, ...]:
        """The split."""
        return (self.split,)


def area_rows(dataset: Dataset) -> tuple[AreaRow, ...]:
    """One row per super-class with boxes in any split, those with the most first, then `TOTAL`."""
    if not len(dataset.boxed):
        return ()
    areas = np.concatenate([half_areas(_boxes_of(part)) for part in dataset.with_boxes])
    kinds = np.where(areas < SMALL, 0, np.where(areas > LARGE, 2, 1))
    rows = []
    for name, chosen in _by_super_class(dataset, dataset.boxed):
        count = int(chosen.sum())
        shares = 100 * np.bincount(kinds[chosen], minlength=3) / count
        rows.append(AreaRow(name, count, *shares.tolist()))
    return tuple(rows)


def relative_size_rows(dataset: Dataset, split: Counted) -> tuple[RelativeSizeRow, ...]:
    """One row per super-class with boxes in a split, those with the most first, then `TOTAL`."""
    if split.boxed is None or not len(split.boxed):
        return ()
    sizes = relative_sizes(_boxes_of(split))
    rows = []
    for name, chosen in _by_super_class(dataset, split.boxed):
        own = sizes[chosen]
        histogram = 100 * np.histogram(own, EDGES)[0] / len(own)
        quantiles = np.percentile(own, _QUANTILES)
        rows.append(
            RelativeSizeRow(name, len(own), tuple(quantiles.tolist()), tuple(histogram.tolist()))
        )
    return tuple(rows)


def boxes_per_image_rows(dataset: Dataset) -> tuple[BoxesPerImageRow, ...]:
    """One row per split with boxes; if that is more than one, then `TOTAL`."""
    counts = {
        part.split.name: np.unique(_boxes_of(part).image_ids, return_counts=True)[1]
        for part in dataset.with_boxes
    }
    if len(counts) > 1:
        counts[TOTAL] = np.concatenate(list(counts.values()))
    return tuple(_boxes_per_image(name, count) for name, count in counts.items())


def _boxes_per_image(name: str, counts: np.ndarray) -> BoxesPerImageRow:
    if not len(counts):
        return BoxesPerImageRow(name, 0, 0, math.nan, 0, math.nan, math.nan)
    shares = (float(100 * (counts > number).mean()) for number in _SEVERAL)
    return BoxesPerImageRow(
        name, len(counts), int(counts.sum()), float(counts.mean()), int(counts.max()), *shares
    )


def half_areas(annotations: Annotations) -> np.ndarray:
    """Half the area of each box in square pixels, float64 `[boxes]`."""
    areas: np.ndarray = annotations.boxes[:, 2] * annotations.boxes[:, 3] / 2
    return areas


def relative_sizes(annotations: Annotations) -> np.ndarray:
    """The square root of each box's share of its image, in percent, float64 `[boxes]`."""
    images = annotations.images
    areas = np.array([float(i.width) * i.height for i in images])[annotations.image_positions()]
    shares = annotations.boxes[:, 2] * annotations.boxes[:, 3] / areas
    sizes: np.ndarray = np.minimum(100 * np.sqrt(shares), 100.0)
    return sizes


def _by_super_class(dataset: Dataset, species: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The super-classes of some boxes and which belong to each, the largest first; then all."""
    groups, names = by_super_class(dataset.species)
    of_box = groups[species]
    counts = np.bincount(of_box, minlength=len(names))
    for group in np.argsort(-counts, kind="stable").tolist():
        if counts[group]:
            yield names[group], of_box == group
    yield TOTAL, np.ones(len(species), bool)


def _boxes_of(part: Counted) -> Annotations:
    assert part.split.boxes is not None
    return part.split.boxes
