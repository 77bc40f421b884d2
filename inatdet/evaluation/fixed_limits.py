"""Warnings about files that hold too few detections for AP-Fixed and AP-Pool.

Both count the best detections of each class over all images, so a file in which images were limited
to their best detections, or from which low scores were left out, gives the AP of that limit. It
matters where true boxes are not found: what would find them may have been left out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inatdet.data.best_of_classes import limits_at
from inatdet.data.detections import Detections
from inatdet.data.labels import NO_LABEL
from inatdet.evaluation.average_precision import GroundTruth
from inatdet.evaluation.limits import images_at_limit, right_detections, unfound
from inatdet.evaluation.plausibility import DataWarning
from inatdet.evaluation.protocol import Prepared

_ENOUGH = 20  # images; of fewer, no share is judged
_UNFOUND = 0.05  # share of the images in which a true box is not found
_HIGH = 0.01  # no score below it: probabilities of thousands of classes are lower


def fixed_warnings(prepared: Prepared, most: int) -> tuple[DataWarning, ...]:
    """What makes AP-Fixed and AP-Pool mean little.

    Args:
        prepared: the images and detections that count.
        most: how many detections of each species count.
    """
    found: list[DataWarning] = []
    for detections in prepared.detections:
        level = detections.trained_on
        limits = limits_at(prepared.taxonomy, level, most)
        truth = prepared.truths[level]
        found += _about_boxes(detections, truth, limits, most)
        found += _about_counts(detections, truth, limits, most)
    return tuple(found)


def _about_boxes(
    detections: Detections, truth: GroundTruth, limits: np.ndarray, most: int
) -> Iterator[DataWarning]:
    boxes = np.bincount(truth.labels[~truth.is_crowd] - 1, minlength=truth.num_labels)
    if beyond := int((boxes > limits).sum()):
        least = int(np.ceil((boxes * most / limits).max()))
        yield DataWarning(
            "coverage",
            f"{detections.path}: {beyond:,} of {len(limits):,} {detections.trained_on} classes "
            "have more true boxes than AP-Fixed counts detections of them, so it cannot reach 100; "
            f"evaluate with --most_per_class={least} or more",
        )


def _about_counts(
    detections: Detections, truth: GroundTruth, limits: np.ndarray, most: int
) -> Iterator[DataWarning]:
    level = detections.trained_on
    labels = detections.labels[level]
    counts = np.bincount(labels[labels != NO_LABEL] - 1, minlength=len(limits))
    if not len(detections) or (counts >= limits).all():
        return
    image_ids, kept = np.unique(truth.box_images), ""
    if limited := images_at_limit(detections):
        image_ids = limited.image_ids
        kept = f"at most {limited.most:,} detections of each image"
    elif (lowest := detections.scores.min()) >= _HIGH:
        kept = f"no detection with a score below {lowest:.2g}"
    if not kept or len(image_ids) < _ENOUGH:
        return
    right = right_detections(truth, detections.select(np.isin(detections.image_ids, image_ids)))
    missing = int((unfound(truth, right, image_ids) > 0).sum())
    if missing >= _UNFOUND * len(image_ids):
        yield DataWarning(
            "coverage",
            f"{detections.path}: holds {kept}, half of its {level} classes have "
            f"{int(np.median(counts)):,} or fewer, and in {missing:,} of {len(image_ids):,} images "
            "a true box is not found, so AP-Fixed and AP-Pool measure what was left out rather "
            f"than the model; write more with inatdet detect --most_per_class={most}, and a higher "
            "--most_per_image if that is not enough",
        )
