"""Two sets of detections of the same images, compared pair by pair of images."""

from __future__ import annotations

from dataclasses import dataclass

from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from inatdet.evaluation import granularities
from inatdet.evaluation.average_precision import percent, result_columns
from inatdet.evaluation.counting import class_results
from inatdet.evaluation.granularities import Merge
from inatdet.evaluation.matching import Labelled
from inatdet.evaluation.protocol import Prepared
from inatdet.evaluation.resampling import Difference, Halves, differences


@dataclass(frozen=True)
class Comparison:
    """How a second model differs from a first one.

    Attributes:
        rows: one per measure.
        evaluated_on: the granularity at which they were compared.
        merge: what happened to the detections of a finer model.
        images: how many images were evaluated.
        resamples: how many halves of the images the standard errors come from.
    """

    rows: tuple[Difference, ...]
    evaluated_on: Granularity
    merge: Merge
    images: int
    resamples: int


def compare(prepared: Prepared, *, resamples: int, merge: Merge = Merge.NONE) -> Comparison:
    """Compares two models at the coarser of their granularities.

    Args:
        prepared: the images that count and exactly two sets of detections, first and second.
        resamples: on how many halves of the images the measures are counted again.
        merge: `NONE` or `NMS`, for the finer one of two different granularities.

    Raises:
        InputError: there are fewer than two images to evaluate.
    """
    images = len(prepared.kept.images)
    if images < 2:
        raise InputError(
            f"{prepared.annotations.path}: has one image to evaluate; a test needs two or more"
        )
    first, second = prepared.detections
    levels = prepared.taxonomy.levels
    target = max(first.trained_on, second.trained_on, key=levels.index)
    truth = prepared.truths[target]
    halves = Halves(truth.image_ids, resamples)
    measured = []
    for found in (first, second):
        if found.trained_on is not target:
            found = granularities.merged(found, target, merge)
        labelled = Labelled.of(truth, result_columns(found, target))
        matches = labelled.matches()
        values = percent(class_results(labelled, matches).mean())
        measured.append((values, halves.by_class(labelled, matches).mean()))
    rows = differences(halves, *measured[0], *measured[1])
    return Comparison(rows, target, merge, images, resamples)
