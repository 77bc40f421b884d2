"""Scores that become the share of right detections, per label of a fine model."""

from __future__ import annotations

import dataclasses

import numpy as np

from inatdet.data.detections import Detections
from inatdet.data.granularity import Granularity
from inatdet.evaluation.average_precision import IOU_50, GroundTruth, result_columns
from inatdet.evaluation.calibration import FEW, SCORE_BINS
from inatdet.evaluation.encounters import positions
from inatdet.evaluation.matching import Labelled
from inatdet.evaluation.resampling import Halves


def calibrated(
    found: Detections, truth: GroundTruth, level: Granularity, halves: Halves
) -> Detections:
    """Detections with scores calibrated per label of their model.

    Each image's scores are those that were learned on the half of the images that it does not
    belong to: of each of the model's labels and bin of scores, how many are right at the level, as
    for `inatdet.evaluation.calibration`, together with `FEW` detections as good as all of that bin.
    It is interpolated between the mean scores of bins, from 0 at the score 0 to 1 at 1.

    Args:
        found: detections of a fine model, suppressed at the level; all have a label there.
        truth: the true boxes at the level.
        level: where detections are right or wrong.
        halves: the first of them and its complement are the two halves.
    """
    labelled = Labelled.of(truth, result_columns(found, level))
    matches = labelled.matches()
    right = np.zeros(len(found), bool)
    right[labelled.ranked.rows[matches.positions[matches.is_right[:, IOU_50]]]] = True
    fine = found.labels[found.trained_on]
    # A species without a box in the truth has no label, and shares one with others of its kind.
    label = np.where(fine > 0, fine, 0)
    bins = np.minimum((found.scores * SCORE_BINS).astype(np.int64), SCORE_BINS - 1)
    first = halves.parts[positions(found.image_ids, truth.image_ids), 0]
    scores = found.scores.copy()
    for half in (first, ~first):
        counts, sums, rights = _counted(label, bins, found.scores, right, ~half)
        for one in np.unique(label[half]):
            rows = np.flatnonzero(half & (label == one))
            means, precisions = _curve(counts, sums, rights, one)
            scores[rows] = np.interp(found.scores[rows], means, precisions)
    return dataclasses.replace(found, scores=scores)


def _counted(
    label: np.ndarray, bins: np.ndarray, scores: np.ndarray, right: np.ndarray, learn: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many detections there are, their scores' sum, and how many are right.

    Args:
        label: int64 `[detections]`.
        bins: int64 `[detections]`.
        scores: float64 `[detections]`.
        right: bool `[detections]`.
        learn: bool `[detections]`, which ones count.

    Returns:
        Each float64 `[labels, SCORE_BINS]`.
    """
    shape = int(label.max(initial=0)) + 1, SCORE_BINS
    cells = (label * SCORE_BINS + bins)[learn]

    def summed(values: np.ndarray) -> np.ndarray:
        size = shape[0] * SCORE_BINS
        return np.bincount(cells, values[learn], size).reshape(shape)

    return summed(np.ones(len(label))), summed(scores), summed(right.astype(float))


def _curve(
    counts: np.ndarray, sums: np.ndarray, rights: np.ndarray, label: int
) -> tuple[np.ndarray, np.ndarray]:
    """The mean score of each bin that is not empty, and the precision there, between two ends."""
    total = counts.sum(axis=0)
    known = total > 0
    means = sums.sum(axis=0)[known] / total[known]
    usual = rights.sum(axis=0)[known] / total[known]
    precisions = (rights[label, known] + FEW * usual) / (counts[label, known] + FEW)
    # Without the ends, all scores beyond them would be equal.
    return np.array([0.0, *means, 1.0]), np.array([0.0, *precisions, 1.0])
