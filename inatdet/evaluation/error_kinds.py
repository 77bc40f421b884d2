"""What detections get wrong, and what it costs, in each super-class: TIDE's kinds of error.

Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", 2020, counted as
hotcoco does, at IoU .5, with .1 as the limit to the background. The cost of a kind is how much AP50
would gain if all errors of that kind, and no others, were fixed; costs do not add up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.average_precision import OVERALL, GroundTruth, percent
from inatdet.evaluation.encounters import positions
from inatdet.evaluation.matching import Labelled, Matches
from inatdet.evaluation.rows import Cell, Row
from inatdet.evaluation.tide import COSTS, IOU, KINDS, Errors


@dataclass(frozen=True)
class ErrorRow(Row):
    """The errors of one model at one granularity in the images of one super-class.

    Attributes:
        trained_on: the model's granularity.
        evaluated_on: the granularity whose labels are right or wrong; nothing was merged.
        super_class: only images with a true box of it count; `OVERALL`: all images.
        images: how many images those are.
        ap50: in percent, over the classes with a true box in those images.
        costs: the AP50, in percent points, that fixing each of `KINDS`, then all false positives,
            then all false negatives would gain.
        counts: how many errors of each of `KINDS` there are.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "trained_on", "evaluated_on", "super_class", "images", "AP50",
        *(f"cost_{kind}" for kind in COSTS), *(f"count_{kind}" for kind in KINDS),
    )  # fmt: skip

    trained_on: Granularity
    evaluated_on: Granularity
    super_class: str
    images: int
    ap50: float
    costs: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """Trained on, evaluated on, and the super-class."""
        return self.trained_on, self.evaluated_on, self.super_class

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        levels = (str(self.trained_on), str(self.evaluated_on))
        names = (*levels, self.super_class, self.images)
        return (*names, self.ap50, *self.costs, *self.counts)


def images_of_super_classes(truth: GroundTruth, taxonomy: Taxonomy) -> Mapping[str, np.ndarray]:
    """The ids of the images with a true box of each super-class.

    Args:
        truth: the true boxes at the super-class level.
        taxonomy: the label spaces.
    """
    return {
        name: np.unique(truth.box_images[truth.labels == label])
        for label, name in enumerate(taxonomy.super_classes, 1)
    }


def error_rows(
    labelled: Labelled,
    images_of: Mapping[str, np.ndarray],
    trained_on: Granularity,
    evaluated_on: Granularity,
    found: Matches | None = None,
) -> tuple[ErrorRow, ...]:
    """One row per super-class, then one for all images.

    Args:
        labelled: the model's detections and the true boxes at `evaluated_on`.
        images_of: the ids of the images with a true box of each super-class.
        trained_on: the model's granularity.
        evaluated_on: the granularity of the labels.
        found: the detections' matches, where they are known.
    """
    truth = labelled.truth
    ids_of = {
        name: image_ids
        for name, image_ids in {**images_of, OVERALL: truth.image_ids}.items()
        if np.isin(truth.box_images, image_ids).any()
    }
    if not ids_of:
        return ()
    if found is None:
        found = labelled.matches(np.array([IOU]))
    parts = np.zeros((len(truth.image_ids), len(ids_of)), bool)
    for index, image_ids in enumerate(ids_of.values()):
        parts[positions(image_ids, truth.image_ids), index] = True
    errors = Errors.of(labelled, found)
    base, costs = errors.costs(parts)
    counts = errors.counts(parts)
    return tuple(
        ErrorRow(
            trained_on,
            evaluated_on,
            name,
            int(parts[:, index].sum()),
            100.0 * float(base[index]),
            percent(costs[:, index]),
            tuple(counts[:, index].tolist()),
        )
        for index, name in enumerate(ids_of)
    )
