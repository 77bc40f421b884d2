"""What several training runs say together: intervals over other runs and other images.

A number measured on one run would be another with other images, and another after training again
from another seed. All runs are measured on the same images, so the two cross: with d(s, i) what run
s has of image i, the mean over R runs and n images varies by

    images / n  +  runs / R  +  runs on images / (R n).

Three things are measured, of which two hold the last part:

- V, the variance of the mean over runs between random halves of the images (`resampling`), is
  images / n + runs on images / (R n);
- W, the variance between the runs' numbers divided by R, is runs / R + runs on images / (R n);
- U, the mean over runs of each one's variance between halves, is
  images / n + runs on images / n, so (U - V) / (R - 1) is runs on images / (R n).

So V + W - (U - V) / (R - 1) is the variance of the mean, and never less than V or W. Intervals and
p-values are Student's, with the degrees of freedom of Welch and Satterthwaite, as W comes from few
runs. A bootstrap that draws runs and images with replacement (Owen, "The pigeonhole bootstrap",
2007) counts the last part three times and, with a handful of runs, finds W too small by
(R - 1) / R and knows no Student; `tests/evaluation/test_runs.py` counts how often these intervals
contain the truth.

Differences between two models are taken run by run, the first of one with the first of the other,
whether or not their seeds make them alike: that is right either way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inatdet.evaluation.resampling import Halves

_LEVEL = 0.95


@dataclass(frozen=True)
class OverRuns:
    """The mean of a number over several training runs.

    Attributes:
        value: the mean.
        std_err: its standard error over other runs and other images; with a single run over other
            images alone.
        freedom: the degrees of freedom of `std_err`.
        runs: how many there are.
        std_err_images: what other images contribute to `std_err`.
        std_err_runs: what other runs contribute; NaN with a single one.
    """

    value: float
    std_err: float
    freedom: float
    runs: int
    std_err_images: float
    std_err_runs: float

    @property
    def margin(self) -> float:
        """Half the width of the 95% interval."""
        from scipy.special import stdtrit  # it takes a while to load

        return float(stdtrit(self.freedom, (1 + _LEVEL) / 2)) * self.std_err

    @property
    def p_value(self) -> float:
        """The two-sided p-value of zero."""
        from scipy.special import stdtr

        if not self.std_err:
            return 0.0 if self.value else 1.0
        return 2.0 * float(stdtr(self.freedom, -abs(self.value) / self.std_err))


def over_runs(values: np.ndarray, halves: Halves) -> OverRuns:
    """The mean over runs with its standard error; see the module.

    Args:
        values: the number of each run on all images, and on each half, float64
            `[runs, 1 + halves]`.
        halves: the halves of the images, the same for all runs.
    """
    whole, parts = values[:, 0], values[:, 1:]
    runs, mean = len(whole), float(whole.mean())
    of_images = halves.std_err(parts.mean(axis=0))
    if runs < 2:
        return OverRuns(mean, of_images, len(halves) - 1.0, runs, of_images, math.nan)
    of_runs = float(whole.var(ddof=1)) / runs
    of_each = float(np.mean([halves.std_err(one) ** 2 for one in parts]))
    of_mean = of_images**2
    twice = max(of_each - of_mean, 0.0) / (runs - 1)
    variance = max(of_mean + of_runs - twice, of_mean, of_runs)
    return OverRuns(
        value=mean,
        std_err=math.sqrt(variance),
        freedom=_freedom(variance, of_runs, runs, len(halves)),
        runs=runs,
        std_err_images=of_images,
        std_err_runs=math.sqrt(of_runs),
    )


def _freedom(variance: float, of_runs: float, runs: int, halves: int) -> float:
    """Welch's and Satterthwaite's; halves tell the part of the images, as many as there are."""
    if not variance:
        return math.inf
    of_images = max(variance - of_runs, 0.0)
    return variance**2 / (of_runs**2 / (runs - 1) + of_images**2 / (halves - 1))


def share_over_runs(part: np.ndarray, whole: np.ndarray, halves: Halves) -> OverRuns:
    """The share that one mean is of another, in percent, with its standard error.

    A ratio changes, to first order, by (its numerator - ratio * its denominator) over its
    denominator; runs or halves with a denominator near zero would ruin the ratio itself.

    Args:
        part: as for `over_runs`.
        whole: likewise, of the same runs.
        halves: the halves of the images.
    """
    denominator = float(whole[:, 0].mean())
    share = float(part[:, 0].mean()) / denominator
    moved = over_runs(100.0 * (part - share * whole) / denominator, halves)
    return OverRuns(
        100.0 * share,
        moved.std_err,
        moved.freedom,
        moved.runs,
        moved.std_err_images,
        moved.std_err_runs,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number by Holm's method ("A simple sequentially rejective
    multiple test procedure", 1979): those below .05 are wrong, any of them, in 5% of such families.

    Args:
        p_values: of a family of tests; NaN for those that were not made.

    Returns:
        The adjusted ones, in the same order.
    """
    made = [place for place, p in enumerate(p_values) if not math.isnan(p)]
    made.sort(key=lambda place: p_values[place])
    adjusted, least = list(p_values), 0.0
    for rank, place in enumerate(made):
        least = max(least, min(1.0, (len(made) - rank) * p_values[place]))
        adjusted[place] = least
    return adjusted
