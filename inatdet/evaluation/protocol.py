"""TODO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.detections import Detections
from inatdet.data.taxonomy import Granularity
from inatdet.errors import InputError
from inatdet.evaluation import (
    average_precision,
)


@dataclass(frozen=True)
class Counts:
    """What was evaluated and what was left out.

    Attributes:
        images: images in the annotation file.
        images_kept: images evaluated.
        images_without_box: left out, unless all images are evaluated.
        images_with_several: left out, unless all images are evaluated.
        boxes_kept: true boxes in the images evaluated.
        boxes_without_label: of those, boxes whose category has no label at each granularity.
        classes: labels at each granularity.
        classes_with_truth: of those, the ones with a true box in the images evaluated.
    """

    images: int
    images_kept: int
    images_without_box: int
    images_with_several: int
    boxes_kept: int
    boxes_without_label: Mapping[Granularity, int]
    classes: Mapping[Granularity, int]
    classes_with_truth: Mapping[Granularity, int]


def images_to_evaluate(annotations: Annotations, all_images: bool) -> Annotations:
    """The part of an annotation file that is evaluated.

    Raises:
        InputError: it has no image.
    """
    kept = annotations if all_images else annotations.single_instance()
    if not kept.images:
        raise InputError(
            f"{annotations.path}: no image has exactly one box, so none is left to evaluate; "
            "use --all_images"
        )
    return kept


def in_images(detections: Detections, annotations: Annotations, kept: Annotations) -> Detections:
    """The detections in the images that are evaluated.

    Raises:
        InputError: one is in an image that the annotations do not list.
    """
    inside = _are_in(detections, kept)
    if inside.all():
        return detections
    known = _are_in(detections, annotations)
    if not known.all():
        row = int(np.argmin(known))
        raise InputError(
            f"{detections.path}: detection {row + 1} is in image {detections.image_ids[row]}, "
            f"which {annotations.path} does not list; check that both are of the same split"
        )
    return detections.select(inside)


def _are_in(detections: Detections, annotations: Annotations) -> np.ndarray:
    ids = np.fromiter((image.id for image in annotations.images), np.int64)
    return np.isin(detections.image_ids, ids)


def _counts(
    annotations: Annotations,
    kept: Annotations,
    truths: Mapping[Granularity, average_precision.GroundTruth],
) -> Counts:
    boxed, boxes = np.unique(annotations.image_ids, return_counts=True)
    everything = len(kept.images) == len(annotations.images)
    return Counts(
        images=len(annotations.images),
        images_kept=len(kept.images),
        images_without_box=0 if everything else len(annotations.images) - len(boxed),
        images_with_several=0 if everything else int((boxes > 1).sum()),
        boxes_kept=len(kept.boxes),
        boxes_without_label={g: len(kept.boxes) - len(t.labels) for g, t in truths.items()},
        classes={g: t.num_labels for g, t in truths.items()},
        classes_with_truth={g: len(np.unique(t.labels)) for g, t in truths.items()},
    )
