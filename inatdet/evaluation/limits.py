"""Whether a limit on the detections of an image has cost average precision.

A limit shows in the numbers alone: most images have exactly as many detections as the image with
the most. It costs something where a true box is not found, and even the lowest score that was kept
is one at which this model's detections are often right: those cut off would have been right too.

With limits of 1, 2, 5, 10, 20 and 100 on three models of the mini dataset, this speaks at each
limit that costs more than 1.2 points of AP, at one that costs 0.2, and at none that costs less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inatdet.data.detections import Detections
from inatdet.data.labels import NO_LABEL
from inatdet.evaluation.average_precision import MAX_DETECTIONS, GroundTruth, result_columns
from inatdet.evaluation.overlaps import on_own_label

_MOST_IMAGES = 0.5  # share of the images with detections that have as many as any
_CUT = 0.05  # share of those images in which right detections were probably cut off
_LOW = 0.05  # the quantile of the scores of right detections that is still high
_MAX_IMAGES = 5000


@dataclass(frozen=True)
class Limit:
    """A limit that was costly.

    Attributes:
        most: how many detections the images have at most.
        images: how many images have so many.
        cut: in how many of them right detections were probably cut off.
    """

    most: int
    images: int
    cut: int


def cutting_limit(truth: GroundTruth, detections: Detections, enough: int) -> Limit | None:
    """The limit on the detections of an image, if there seems to be one that was costly.

    A limit of 100 or more, which is as many as COCO counts, is never named.

    Args:
        truth: the true boxes at the granularity of the detections.
        detections: those in the images of `truth`.
        enough: so many images at the limit and right detections are needed to tell.
    """
    at_limit = images_at_limit(detections)
    if at_limit is None or at_limit.most >= MAX_DETECTIONS[-1] or len(at_limit.image_ids) < enough:
        return None
    sample = at_limit.image_ids
    if len(sample) > _MAX_IMAGES:
        sample = np.sort(np.random.default_rng(0).choice(sample, _MAX_IMAGES, replace=False))
    found = detections.select(np.isin(detections.image_ids, sample))
    lowest = np.full(len(sample), np.inf)
    np.minimum.at(lowest, np.searchsorted(sample, found.image_ids), found.scores)
    right = right_detections(truth, found)
    if len(right) < enough:
        return None
    missing = unfound(truth, right, sample)
    is_cut = (missing > 0) & (lowest > np.quantile(right.scores, _LOW))
    if is_cut.mean() < _CUT:
        return None
    cut = round(float(is_cut.mean()) * len(at_limit.image_ids))
    return Limit(at_limit.most, len(at_limit.image_ids), cut)


@dataclass(frozen=True, eq=False)
class AtLimit:
    """The images that have as many detections as any.

    Attributes:
        most: how many detections that is.
        image_ids: int64 `[images]`, sorted.
    """

    most: int
    image_ids: np.ndarray


def images_at_limit(detections: Detections) -> AtLimit | None:
    """The images at a limit; None unless there seems to be one, as most images are."""
    image_ids, counts = np.unique(detections.image_ids, return_counts=True)
    most = int(counts.max(initial=0))
    at_limit = image_ids[counts == most]
    if not most or len(at_limit) < _MOST_IMAGES * len(image_ids):
        return None
    return AtLimit(most, at_limit)


def right_detections(truth: GroundTruth, detections: Detections) -> Detections:
    """The best detection of each image and class on a true box of the class, at IoU .5 or more.

    Of repeats of a right detection the best counts; of several boxes of a class, one.

    Args:
        truth: the true boxes at the granularity of the detections.
        detections: those in the images of `truth`.
    """
    level = detections.trained_on
    found = detections.select(detections.labels[level] != NO_LABEL)
    right = found.select(on_own_label(truth, result_columns(found, level)))
    return right.select(_first_of_each(right.image_ids, right.labels[level], -right.scores))


def unfound(truth: GroundTruth, right: Detections, image_ids: np.ndarray) -> np.ndarray:
    """How many classes of each image's true boxes have no right detection, int64 `[images]`.

    Args:
        truth: the true boxes at the granularity of the detections.
        right: from `right_detections`, in these images.
        image_ids: int64 `[images]`, sorted.
    """
    within = np.isin(truth.box_images, image_ids)
    images, labels = truth.box_images[within], truth.labels[within]
    images = images[_first_of_each(images, labels, labels)]
    missing: np.ndarray = _count(images, image_ids) - _count(right.image_ids, image_ids)
    return missing


def _count(image_ids: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """How many of the ids, all of them in `sample`, there are of each."""
    return np.bincount(np.searchsorted(sample, image_ids), minlength=len(sample))


def _first_of_each(image_ids: np.ndarray, labels: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The row of the lowest `order` of each image and label."""
    rows = np.lexsort((order, labels, image_ids))
    pairs = np.column_stack([image_ids, labels])[rows]
    return rows[np.any(np.diff(pairs, axis=0, prepend=pairs[:1] - 1) != 0, axis=1)]
