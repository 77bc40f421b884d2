"""Warnings about predictions that are valid and still look wrong; see `evaluation.plausibility`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.data.image_labels import ImageLabels
from inatdet.data.labels import NO_LABEL
from inatdet.data.predictions import Predictions
from inatdet.evaluation.classification.guesses import Guesses, Rule
from inatdet.evaluation.orders import other_order
from inatdet.evaluation.plausibility import DataWarning

_MAX_IMAGES = 5000  # whose labels are compared: enough for shares to a percent
_ENOUGH = 20  # images; of fewer, no share is judged
_MANY = 0.1  # share


def prediction_warnings(guesses: Sequence[Guesses]) -> tuple[DataWarning, ...]:
    """What looks wrong with the truth and with what models say about it.

    Args:
        guesses: of each model on each split that it has predictions for.
    """
    truths = {id(one.split.truth): one.split.truth for one in guesses}
    found = [warning for truth in truths.values() for warning in _about_truth(truth)]
    found += _about_pairs({id(one.predictions): one.predictions for one in guesses})
    for one in guesses:
        found += _about_coverage(one)
        found += _about_labels(one)
    return tuple(found)


def _about_truth(truth: ImageLabels) -> Iterator[DataWarning]:
    total = len(truth.images)
    if repeated := total - len({image.file_name for image in truth.images}):
        yield DataWarning(
            "images",
            f"{truth.path}: {repeated:,} of {total:,} images have the file name of another image; "
            "list each image once",
        )


def _about_pairs(given: Mapping[int, Predictions]) -> Iterator[DataWarning]:
    for first, second in itertools.combinations(given.values(), 2):
        if _are_same(first, second):
            yield DataWarning(
                "models",
                f"{second.path}: has the same labels in the same order as {first.path}, so both "
                "seem to be of one model; check the paths",
            )


def _are_same(first: Predictions, second: Predictions) -> bool:
    """Whether both have the same images with the same best labels, however many they have."""
    if first.trained_on is not second.trained_on or not _ENOUGH <= len(first) == len(second):
        return False
    most = min(first.own.k, second.own.k)
    order, other = np.argsort(first.image_ids), np.argsort(second.image_ids)
    return np.array_equal(first.image_ids[order], second.image_ids[other]) and np.array_equal(
        first.own.labels[order, :most], second.own.labels[other, :most]
    )


def _about_coverage(guesses: Guesses) -> Iterator[DataWarning]:
    missing = int((guesses.truth.counted & (guesses.rows < 0)).sum())
    if missing:
        yield DataWarning(
            "coverage",
            f"{guesses.predictions.path}: {missing:,} of the {guesses.truth.images:,} images of "
            f"{guesses.split.name} have no prediction and count as wrong; check that the model ran "
            "on all of them",
        )


def _about_labels(guesses: Guesses) -> Iterator[DataWarning]:
    level, path = guesses.level, guesses.predictions.path
    with_row = np.flatnonzero(guesses.truth.counted & (guesses.rows >= 0))
    if len(with_row) < _ENOUGH or level is Granularity.GENERIC:
        return
    best = guesses.best(level, Rule.OWN)[with_row]
    if len(np.unique(best)) == 1 and len(np.unique(guesses.truth.labels[with_row])) > 1:
        yield DataWarning(
            "classes",
            f"{path}: all {len(best):,} images of {guesses.split.name} have the same best label; "
            "check that the file has the model's own labels",
        )
        return
    unknown = int((best == NO_LABEL).sum())
    if unknown > _MANY * len(best):
        yield DataWarning(
            "classes",
            f"{path}: {unknown:,} of {len(best):,} images of {guesses.split.name} have a best "
            "label that the label spaces do not have; check the category ids, or give the model's "
            "label spaces with --taxonomy",
        )
    if len(best) > _MAX_IMAGES:
        chosen = np.random.default_rng(0).choice(len(best), _MAX_IMAGES, replace=False)
        with_row, best = with_row[chosen], best[chosen]
    true = guesses.truth.labels[with_row]
    if other := other_order(best, true, level, guesses.split.taxonomy):
        what = f"of {len(best):,} images have their label as the best one"
        yield DataWarning("classes", f"{path}: {other.in_words(what, '--taxonomy')}")
