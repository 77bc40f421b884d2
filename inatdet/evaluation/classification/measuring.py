"""The images of a split with their true labels, and what is averaged over them.

Every number is an average over images, or an average over labels of averages over the images of
each. It is counted again on random halves of the images; see `evaluation.resampling`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.data.image_labels import ImageLabels
from inatdet.data.labels import NO_LABEL
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.resampling import Estimate, Halves
from inatdet.evaluation.reweighting import sums_of_classes

if TYPE_CHECKING:
    from scipy import sparse

_IMAGES_AT_ONCE = 1 << 12


@dataclass(frozen=True, eq=False)
class Number:
    """A number on all images and on each half.

    Attributes:
        value: on all images; NaN where there is none to average over.
        on_halves: float64 `[halves]`.
        halves: the halves.
    """

    value: float
    on_halves: np.ndarray
    halves: Halves

    def __sub__(self, other: Number) -> Number:
        """The difference of two numbers on the same images, paired by image."""
        return Number(self.value - other.value, self.on_halves - other.on_halves, self.halves)

    def estimate(self) -> Estimate:
        """With its standard error, which is NaN without halves."""
        return Estimate(self.value, self.halves.std_err(self.on_halves))

    def shown(self) -> float:
        """As rows have it: an `Estimate` only if there are halves."""
        return self.estimate() if self.halves else self.value


@dataclass(frozen=True, eq=False)
class ClassNumbers:
    """A number of each label, of which some have no image.

    Attributes:
        values: float64 `[labels]`; NaN where a label has no image.
        on_halves: float64 `[labels, halves]`; NaN where it has none in the half.
        halves: the halves.
    """

    values: np.ndarray
    on_halves: np.ndarray
    halves: Halves

    def mean(self, members: np.ndarray | None = None) -> Number:
        """The mean over the labels with images.

        Args:
            members: bool `[labels]`, which ones to include; by default all.
        """
        among = slice(None) if members is None else members
        value = _mean_of_known(self.values[among, np.newaxis])
        return Number(float(value[0]), _mean_of_known(self.on_halves[among]), self.halves)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    """The means of the columns without their NaNs; NaN where there is nothing else."""
    known = ~np.isnan(values)
    return shares(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0))


def shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """One divided by the other, float64; NaN where the other is 0."""
    found = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found


@dataclass(frozen=True, eq=False)
class TrueLabels:
    """The true labels of a split's images at one level.

    Attributes:
        labels: int32 `[images]`, by sorted image id; `NO_LABEL` where the image's category has
            none, so that the image does not count.
        num_labels: how many labels the level has.
        halves: random halves of the images.
    """

    labels: np.ndarray
    num_labels: int
    halves: Halves

    @functools.cached_property
    def counted(self) -> np.ndarray:
        """The images that count, bool `[images]`."""
        counted: np.ndarray = self.labels != NO_LABEL
        return counted

    @functools.cached_property
    def images(self) -> int:
        """How many images count."""
        return int(self.counted.sum())

    @functools.cached_property
    def of_classes(self) -> np.ndarray:
        """How many images each label has, int64 `[labels]`."""
        return np.bincount(self.labels, minlength=self.num_labels + 1)[1:]

    @functools.cached_property
    def _on_halves(self) -> np.ndarray:
        """How many images count, of all and of each half, float64 `[1, 1 + halves]`."""
        return sums_on_halves(self.counted, self.halves)

    @functools.cached_property
    def _of_classes_on_halves(self) -> np.ndarray:
        return self._sums_on_halves(self.counted)

    def _sums_on_halves(self, are: np.ndarray) -> np.ndarray:
        places = np.flatnonzero(are)
        return sums_of_classes(self.labels[places] - 1, places, self.num_labels, self.halves.parts)

    def percent(self, right: np.ndarray) -> Number:
        """The share of images, in percent, for which something is so.

        Args:
            right: bool `[images]`.
        """
        return self.means(100.0 * right[np.newaxis])[0]

    def means(self, values: np.ndarray, among: np.ndarray | None = None) -> list[Number]:
        """The means of some values over images.

        Args:
            values: float64 `[values, images]`.
            among: bool `[images]`, those to average over; by default all that count.

        Returns:
            One number for each of the values.
        """
        counted = self.counted if among is None else among
        images = self._on_halves if among is None else sums_on_halves(among, self.halves)
        found = shares(sums_on_halves(values * counted, self.halves), images)
        return [Number(float(row[0]), row[1:], self.halves) for row in found]

    def percent_of_classes(self, right: np.ndarray) -> ClassNumbers:
        """The share of each label's images, in percent, for which something is so.

        Args:
            right: bool `[images]`; those that do not count are ignored.
        """
        right = right & self.counted
        sums = np.bincount(self.labels[right], minlength=self.num_labels + 1)[1:]
        values = shares(100.0 * sums, self.of_classes)
        if not self.halves:
            return ClassNumbers(values, np.empty((self.num_labels, 0)), self.halves)
        on_halves = shares(100.0 * self._sums_on_halves(right), self._of_classes_on_halves)
        return ClassNumbers(values, on_halves, self.halves)


def sums_on_halves(values: np.ndarray | sparse.coo_matrix, halves: Halves) -> np.ndarray:
    """Sums over all images, and over each half of them.

    Args:
        values: numbers, `[images]` or `[values, images]`, by sorted image id.
        halves: the halves.

    Returns:
        float64 `[values, 1 + halves]`.
    """
    from scipy import sparse  # it takes a while to load

    # Most are 0 or 1, and a product with zeros left out takes a fraction of a whole one.
    of_images = sparse.csr_matrix(values, dtype=np.float64)
    sums = np.empty((of_images.shape[0], 1 + len(halves)))
    sums[:, 0] = of_images.sum(axis=1).ravel()
    sums[:, 1:] = 0.0
    if halves:
        # Block by block, as all halves in floats would need much memory.
        for start in range(0, of_images.shape[1], _IMAGES_AT_ONCE):
            block = slice(start, start + _IMAGES_AT_ONCE)
            sums[:, 1:] += of_images[:, block] @ halves.parts[block].astype(np.float64)
    return sums


@dataclass(frozen=True, eq=False)
class Split:
    """The images of a split.

    Attributes:
        name: its name.
        truth: the images with their categories.
        taxonomy: the label spaces.
        resamples: how many halves of the images there are to be.
    """

    name: str
    truth: ImageLabels
    taxonomy: Taxonomy
    resamples: int
    _levels: dict[Granularity, TrueLabels] = field(default_factory=dict)

    @functools.cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self.truth.image_ids, kind="stable")

    @functools.cached_property
    def image_ids(self) -> np.ndarray:
        """Int64 `[images]`, sorted; everything about images is in this order."""
        ids: np.ndarray = self.truth.image_ids[self._order]
        return ids

    @functools.cached_property
    def halves(self) -> Halves:
        """Random halves of the images, the same for all models."""
        return Halves(self.image_ids, self.resamples)

    def at(self, level: Granularity) -> TrueLabels:
        """The true labels at a level."""
        if level not in self._levels:
            label_of = self.taxonomy.label_of_category(level)
            ids, rows = np.unique(self.truth.category_ids[self._order], return_inverse=True)
            labels = np.array([label_of.get(i, NO_LABEL) for i in ids.tolist()], np.int32)
            self._levels[level] = TrueLabels(
                labels[rows], self.taxonomy.num_labels(level), self.halves
            )
        return self._levels[level]
