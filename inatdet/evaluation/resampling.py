"""How far measures would move with other images: standard errors from random halves.

Every measure is counted again on many random halves of the images, the same halves for all models,
by hotcoco's `slice_by`. Half of `n` images differ from the whole as `n` images differ from all that
there could be, so the spread over halves is the standard error: the delete-d jackknife with d = n /
2 (Shao and Wu, "A general theory for jackknife variance estimation", 1989). The interval around a
measure is 1.96 standard errors either way.

Such an interval is about other samples of as many images. It is not about all images that there
could be: average precision of a class with few images is too high (it takes the best precision at
each recall or beyond), and no way of drawing from the sample shows by how much. Differences of two
models on the same images have next to nothing of that.

Drawing images with replacement, the bootstrap, does not do as well here: an image drawn twice gives
its class two true boxes that are found or missed together, which raises average precision once
more. (And `hotcoco.compare` counts such an image once, so its intervals are a quarter too narrow.)
`benchmarks/interval_coverage.py` measures how often each kind of interval holds: of nominal 95%,
92 to 97% here, 90 to 96% by the bootstrap, 85 to 90% by `hotcoco.compare`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from inatdet.evaluation.average_precision import METRICS

if TYPE_CHECKING:
    import hotcoco

Z_95 = 1.959963984540054
"""Half the width of a normal distribution's middle 95%, in standard deviations."""

_HALVES_AT_A_TIME = 50  # as lists of ids, halves of 50,000 images take a MB each


class Estimate(float):
    """A number with its standard error; otherwise a float like any other."""

    std_err: float

    def __new__(cls, value: float, std_err: float) -> Estimate:
        """Makes one."""
        estimate = super().__new__(cls, value)
        estimate.std_err = float(std_err)
        return estimate

    def __getnewargs__(self) -> tuple[float, float]:
        return float(self), self.std_err

    @property
    def margin(self) -> float:
        """The 95% interval reaches so far up and down."""
        return Z_95 * self.std_err


class Halves:
    """Random halves of some images.

    Args:
        image_ids: int64 `[images]`, each once.
        count: how many halves; 0 turns all estimates back into plain numbers.
        seed: makes them repeatable.
    """

    def __init__(self, image_ids: np.ndarray, count: int, seed: int = 0):
        self._image_ids = image_ids
        self._count = count if len(image_ids) >= 2 else 0
        self._seed = seed

    def __len__(self) -> int:
        return self._count

    def measure(self, evaluation: hotcoco.COCOeval) -> np.ndarray:
        """The measures on each half.

        Args:
            evaluation: of `coco.counted`, of these images.

        Returns:
            float64 `[count, 5]`, in percent, as `METRICS`; NaN for a half without any true box.
        """
        rng = np.random.default_rng(self._seed)
        size = len(self._image_ids) // 2
        rows = []
        starts = range(0, self._count, _HALVES_AT_A_TIME)
        for first in tqdm(starts, unit=f" x {_HALVES_AT_A_TIME} halves", leave=False, disable=None):
            names = [str(i) for i in range(first, min(first + _HALVES_AT_A_TIME, self._count))]
            halves = {n: rng.permutation(self._image_ids)[:size].tolist() for n in names}
            found = evaluation.slice_by(halves)
            rows += [[found[name][metric] for metric in METRICS] for name in names]
        values = np.array(rows, np.float64).reshape(-1, len(METRICS))
        return np.where(values < 0, np.nan, 100.0 * values)

    def std_err(self, values: np.ndarray) -> float:
        """The standard error of a number whose value on each half is given, `[count]`.

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
            on_halves: of `measure`, a column for each of `values`.
        """
        return tuple(
            Estimate(value, self.std_err(column)) for value, column in zip(values, on_halves.T)
        )


@dataclass(frozen=True)
class Difference:
    """How two sets of detections of the same images differ in one measure.

    Attributes:
        measure: one of `METRICS`.
        first: the first set's, in percent.
        second: the second set's.
        change: `second - first` with its standard error.
    """

    measure: str
    first: float
    second: float
    change: Estimate

    @property
    def p_value(self) -> float:
        """Of the two-sided paired test that there is no difference, by the normal approximation."""
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
    """The paired comparison of two models, a row for each of `METRICS`.

    Args:
        halves: of the images.
        first: the first model's measures on all images, in percent.
        first_on_halves: and on each half; see `Halves.measure`.
        second: the second model's.
        second_on_halves: and on the same halves.
    """
    on_halves = second_on_halves - first_on_halves
    return tuple(
        Difference(name, float(a), float(b), Estimate(b - a, halves.std_err(column)))
        for name, a, b, column in zip(METRICS, first, second, on_halves.T)
    )
