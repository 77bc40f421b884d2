"""Calibration: whether scores can be taken for the probability that a detection is right.

Detections are put into ten bins of equal width by their scores, from 0 to 1. In a calibrated model,
the share of them that is right, their precision, is the mean of their scores in every bin. If it is
lower the model is over-confident, if it is higher under-confident. The expected calibration error
is the mean distance between the two over all detections, the maximum calibration error the largest
in any bin (Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015;
with precision in place of accuracy as in Küppers et al., "Multivariate Confidence Calibration for
Object Detection", 2020).

Detections of all classes count together, as in hotcoco's `calibration()`: the best 100 of each
image and class, in images with and without true boxes. One is right if COCO's matching gives it a
true box of its class at IoU .5, so duplicates are wrong; what is matched with a crowd does not
count. True boxes without a detection play no part. A bin's score is at least its lower border and
less than its upper one, and 1 belongs to the last bin.

Most detections of a detector have low scores, and these decide the expected error. The bins of
higher scores say more about the detections that are used.

Intervals come from halves of the images, as those of AP do. As chance moves precision away from the
scores, few detections make the expected error of a calibrated model greater than it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.evaluation.average_precision import IOU_50
from inatdet.evaluation.granularities import Merge
from inatdet.evaluation.matching import Labelled, Matches
from inatdet.evaluation.resampling import Estimate, Halves
from inatdet.evaluation.rows import Cell, Row

SCORE_BINS = 10
"""How many bins of equal width scores are put into; hotcoco's default."""

FEW = 20
"""Fewer detections than these say little about a bin: its precision has no interval."""

_ROWS_AT_ONCE = 1 << 20
_IMAGES_AT_ONCE = 1 << 12


@dataclass(frozen=True)
class ScoreBin:
    """The detections with scores in one range.

    Attributes:
        lower: the lowest score, in percent.
        upper: the score, in percent, that all are below; in the last bin 100, which belongs to it.
        detections: how many there are.
        mean_score: in percent; NaN without any.
        precision: the share that is right, in percent; NaN without any. With halves, an `Estimate`
            if there are at least `FEW` detections.
    """

    lower: float
    upper: float
    detections: int
    mean_score: float
    precision: float


@dataclass(frozen=True)
class Calibration:
    """How scores compare with how often detections are right. All numbers but counts are percent.

    Attributes:
        detections: how many detections count.
        mean_score: the mean of their scores; NaN without any, and so are all that follow.
        precision: the share that is right; lower than the mean score: over-confident on the whole.
        ece: the expected calibration error.
        mce: the maximum calibration error.
        bins: the `SCORE_BINS` bins, from low scores to high ones.
    """

    columns: ClassVar[tuple[str, ...]] = ("detections", "mean_score", "precision", "ECE", "MCE")

    detections: int
    mean_score: float
    precision: float
    ece: float
    mce: float
    bins: tuple[ScoreBin, ...]

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        return self.detections, self.mean_score, self.precision, self.ece, self.mce


@dataclass(frozen=True)
class CalibrationRow(Row):
    """The calibration of one model at one level, with one merge rule.

    Attributes:
        trained_on: the model's granularity.
        evaluated_on: the granularity whose labels are right or wrong.
        merge: what happened to detections when their labels became coarser.
        calibration: the numbers.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "trained_on", "evaluated_on", "merge", *Calibration.columns
    )  # fmt: skip

    trained_on: Granularity
    evaluated_on: Granularity
    merge: Merge
    calibration: Calibration

    @property
    def key(self) -> tuple[str, ...]:
        """Trained on, evaluated on, and the merge rule."""
        return self.trained_on, self.evaluated_on, self.merge

    @property
    def ECE(self) -> float:  # noqa: N802
        """The expected calibration error, in percent; an `Estimate` where halves were counted."""
        return self.calibration.ece

    @property
    def MCE(self) -> float:  # noqa: N802
        """The maximum calibration error, in percent."""
        return self.calibration.mce

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        levels = str(self.trained_on), str(self.evaluated_on)
        return (*levels, str(self.merge), *self.calibration.cells())


@dataclass(frozen=True, eq=False)
class ScoreCounts:
    """What is counted of detections, by group of classes and bin of scores.

    Attributes:
        values: float64 `[3, groups, SCORE_BINS, 1 + halves]`: how many detections, the sum of their
            scores, and how many are right; on all images, then on each half.
        halves: the halves of the images.
    """

    values: np.ndarray
    halves: Halves

    def calibration(self, group: int | None = None) -> Calibration:
        """The calibration of one group, or of all detections."""
        values = self.values.sum(axis=1) if group is None else self.values[:, group]
        counts, scores, right = values
        off = np.abs(scores - right)
        in_bins = _share(off, counts)[:, 0]
        precisions = _share(right, counts)
        total = counts.sum(axis=0)
        return Calibration(
            detections=int(total[0]),
            mean_score=float(_share(scores.sum(axis=0), total)[0]),
            precision=self._number(_share(right.sum(axis=0), total)),
            ece=self._number(_share(off.sum(axis=0), total)),
            mce=math.nan if np.isnan(in_bins).all() else float(np.nanmax(in_bins)),
            bins=tuple(
                ScoreBin(
                    lower=100.0 * place / SCORE_BINS,
                    upper=100.0 * (place + 1) / SCORE_BINS,
                    detections=int(counts[place, 0]),
                    mean_score=float(_share(scores, counts)[place, 0]),
                    precision=(
                        float(precisions[place, 0])
                        if counts[place, 0] < FEW
                        else self._number(precisions[place])
                    ),
                )
                for place in range(SCORE_BINS)
            ),
        )

    def _number(self, values: np.ndarray) -> float:
        """A number on all images and on each half; with its standard error if there are halves."""
        number = float(values[0])
        return Estimate(number, self.halves.std_err(values[1:])) if self.halves else number


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """One by the other, in percent; NaN where there is nothing."""
    shares = np.full(whole.shape, np.nan)
    np.divide(100.0 * part, whole, out=shares, where=whole > 0)
    return shares


def score_counts(
    labelled: Labelled, found: Matches, groups: np.ndarray | None, halves: Halves
) -> ScoreCounts | None:
    """Counts detections by their scores.

    Args:
        labelled: the detections.
        found: their matches, IoU .5 first.
        groups: int64 `[classes]`, the group of each class, 0, 1, ...; None for a single group.
        halves: the halves of the images.

    Returns:
        None if a score is not in 0..1: such a score is no probability.
    """
    from scipy import sparse  # it takes a while to load

    ranked, scores_of = labelled.ranked, labelled.met.scores
    if groups is None:
        groups = np.zeros(labelled.truth.num_labels, np.int64)
    width = (int(groups.max(initial=0)) + 1) * SCORE_BINS
    images = len(halves.parts)
    of_images = np.zeros((3, width, images))
    counts, sums, right = of_images.reshape(3, -1)

    def cells_of(positions: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """The cells of detections at sorted positions: one per group, bin and image."""
        bins = np.minimum((scores * SCORE_BINS).astype(np.int64), SCORE_BINS - 1)
        first = groups[ranked.classes_of(positions)] * SCORE_BINS
        cells: np.ndarray = (first + bins) * images + ranked.images[positions]
        return cells

    is_counted = np.ones(len(ranked.rows), bool)
    is_counted[found.positions[found.is_ignored[:, IOU_50]]] = False
    for start in range(0, len(ranked.rows), _ROWS_AT_ONCE):
        positions = start + np.flatnonzero(is_counted[start : start + _ROWS_AT_ONCE])
        scores = scores_of[ranked.rows[positions]]
        if len(scores) and not 0 <= scores.min() <= scores.max() <= 1:
            return None
        cells = cells_of(positions, scores)
        counts += np.bincount(cells, minlength=counts.size)
        sums += np.bincount(cells, scores, counts.size)
    positions = found.positions[found.is_right[:, IOU_50]]
    cells = cells_of(positions, scores_of[ranked.rows[positions]])
    right += np.bincount(cells, minlength=counts.size)

    values = np.zeros((3 * width, 1 + len(halves)))
    for start in range(0, images, _IMAGES_AT_ONCE):
        block = slice(start, start + _IMAGES_AT_ONCE)
        parts = np.insert(halves.parts[block].astype(np.float64), 0, 1.0, axis=1)
        # Few bins of an image have detections.
        values += sparse.csr_matrix(of_images.reshape(-1, images)[:, block]) @ parts
    return ScoreCounts(values.reshape(3, -1, SCORE_BINS, 1 + len(halves)), halves)
