"""How much measures would change with other images: standard errors from random halves.

Every measure is counted again on many random halves of the images, the same halves for all models,
all at once by `reweighting`. A half of `n` images differs from the whole as `n` images differ from
the population, so the spread over halves is the standard error: the delete-d jackknife with
d = n / 2 (Shao and Wu, "A general theory for jackknife variance estimation", 1989). The interval
around a measure extends 1.96 standard errors either way.

Such an interval describes other samples of as many images, not the population: average precision of
a class with few images is biased upwards (it takes the best precision at each recall or beyond),
and no resampling of the sample shows by how much. Differences between two models on the same images
hardly have this bias.

Drawing images with replacement, the bootstrap, works less well here: an image drawn twice gives its
class two true boxes that are found or missed together, which raises average precision further. (And
`hotcoco.compare` counts such an image once, so its intervals are a quarter too narrow.)
`benchmarks/interval_coverage.py` measures how often each kind of interval contains the truth: of
nominal 95%, 92 to 97% here, 90 to 96% with the bootstrap, 85 to 90% with `hotcoco.compare`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inatdet.evaluation.average_precision import METRICS, GroundTruth
from inatdet.evaluation.counting import measures
from inatdet.evaluation.matching import Labelled, Matches
from inatdet.evaluation.reweighting import boxes_of_parts

Z_95 = 1.959963984540054
"""Half the width of the central 95% of a normal distribution, in standard deviations."""


class Estimate(float):
    """A float with its standard error.

    Attributes:
        std_err: the standard error, in the number's unit; NaN where it is not known.
    """

    std_err: float

    def __new__(cls, value: float, std_err: float) -> Estimate:
        """Makes one."""
        estimate = super().__new__(cls, value)
        estimate.std_err = float(std_err)
        return estimate

    # float has one argument, and this has two.
    def __getnewargs__(self) -> tuple[float, float]:  # type: ignore[override]
        return float(self), self.std_err

    @property
    def margin(self) -> float:
        """Half the width of the 95% interval."""
        return Z_95 * self.std_err


@dataclass(frozen=True, eq=False)
class OnHalves:
    """The measures of every class on each half.

    Attributes:
        values: float64 `[5, classes, count]`, in 0..1, as `METRICS`.
        has_truth: bool `[classes, count]`, whether a true box of the class is in the half; where
            there is none, the values mean nothing.
    """

    values: np.ndarray
    has_truth: np.ndarray

    def mean(self, classes: np.ndarray | None = None) -> np.ndarray:
        """The mean measures over the classes with a true box in the half.

        Args:
            classes: bool `[classes]`, which ones to include; by default all.

        Returns:
            float64 `[count, 5]`, in percent, as `METRICS`; NaN for a half without any true box.
        """
        known = self.has_truth if classes is None else self.has_truth & classes[:, None]
        sums = (self.values * known).sum(axis=1).T
        counts = known.sum(axis=0)[:, None]
        means: np.ndarray = np.where(counts > 0, 100.0 * sums / np.maximum(counts, 1), np.nan)
        return means


class Halves:
    """Random halves of some images.

    Args:
        image_ids: int64 `[images]`, each once.
        count: how many halves; 0 means plain numbers without standard errors.
        seed: makes them reproducible.
    """

    def __init__(self, image_ids: np.ndarray, count: int, seed: int = 0):
        self._image_ids = image_ids
        self._count = count if len(image_ids) >= 2 else 0
        self._seed = seed

    def __len__(self) -> int:
        return self._count

    @functools.cached_property
    def parts(self) -> np.ndarray:
        """Which images belong to each half, bool `[images, count]`, by sorted id."""
        rng = np.random.default_rng(self._seed)
        images = len(self._image_ids)
        places = np.empty(images, np.int64)
        places[np.argsort(self._image_ids)] = np.arange(images)
        members = np.zeros((self._count, images), bool)
        for half in members:
            half[rng.permutation(places)[: images // 2]] = True
        return np.ascontiguousarray(members.T)

    def measure(self, truth: GroundTruth, columns: np.ndarray) -> np.ndarray:
        """The measures on each half, float64 `[count, 5]`; see `OnHalves.mean`.

        Args:
            truth: the true boxes in these images.
            columns: the detections; see `average_precision.result_columns`.
        """
        labelled = Labelled.of(truth, columns)
        return self.by_class(labelled, labelled.matches()).mean()

    def by_class(self, labelled: Labelled, found: Matches) -> OnHalves:
        """The measures of every class on each half.

        Args:
            labelled: the detections, and the true boxes in these images.
            found: their matches at `matching.IOU_THRESHOLDS`.
        """
        boxes = boxes_of_parts(labelled.truth, self.parts)
        values = measures(labelled.ranked, found, self.parts, boxes)
        return OnHalves(values, boxes > 0)

    def std_err(self, values: np.ndarray) -> float:
        """The standard error of a number.

        Args:
            values: the number on each half, `[count]`.

        Returns:
            NaN where fewer than two halves have a value.
        """
        known = values[~np.isnan(values)]
        if len(known) < 2:
            return math.nan
        size = len(self._image_ids) // 2
        return float(known.std() * math.sqrt(size / (len(self._image_ids) - size)))

    def estimates(self, values: Sequence[float], on_halves: np.ndarray) -> tuple[float, ...]:
        """Measures with their standard errors.

        Args:
            values: on all images.
            on_halves: from `measure`, one column per value.
        """
        return tuple(
            Estimate(value, self.std_err(column)) for value, column in zip(values, on_halves.T)
        )


@dataclass(frozen=True)
class Difference:
    """How two sets of detections of the same images differ in one measure.

    Attributes:
        measure: one of `METRICS`.
        first: the first set's value, in percent.
        second: the second set's value, in percent.
        change: `second - first` with its standard error.
    """

    measure: str
    first: float
    second: float
    change: Estimate

    @property
    def p_value(self) -> float:
        """The two-sided p-value of no difference, paired by image, by normal approximation."""
        if not self.change.std_err:
            return 0.0 if self.change else 1.0
        return math.erfc(abs(self.change) / self.change.std_err / math.sqrt(2.0))


def differences(
    halves: Halves,
    first: Sequence[float],
    first_on_halves: np.ndarray,
    second: Sequence[float],
    second_on_halves: np.ndarray,
) -> tuple[Difference, ...]:
    """The paired comparison of two models, one row per measure.

    Args:
        halves: the halves of the images.
        first: the first model's measures on all images, in percent.
        first_on_halves: the same on each half; see `Halves.measure`.
        second: the second model's measures on all images, in percent.
        second_on_halves: the same on the same halves.
    """
    on_halves = second_on_halves - first_on_halves
    return tuple(
        Difference(name, float(a), float(b), Estimate(b - a, halves.std_err(column)))
        for name, a, b, column in zip(METRICS, first, second, on_halves.T)
    )
