"""Which images and predictions count: what is given, checked and brought together.

All images of a split count whose categories have a label at a level. Where a model says nothing
about one, it is wrong there; what it says about images that are in no split is ignored. Both are
counted, see `CoverageRow`. Means over labels are over those that have an image in the split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.data.image_labels import ImageLabels
from inatdet.data.label_spaces import check_label_spaces
from inatdet.data.predictions import Predictions
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation.classification.coverage import LeftOut
from inatdet.evaluation.classification.guesses import Guesses
from inatdet.evaluation.classification.measuring import Split

GivenPredictions = Predictions | Mapping[str, Predictions]
"""One model's predictions for the images of all splits, or by the name of the split."""

MAIN_SPLIT = "val"
"""The split that all but Table 3 is about, unless another one is asked for."""


@dataclass(frozen=True, eq=False)
class Model:
    """A model with its predictions for each split that it has any for.

    Attributes:
        name: its name.
        of_splits: its guesses by the name of the split.
        known_images: int64 `[images]` by the name of the split: the images of all splits that the
            same predictions are for.
        left_out: the other splits, and why.
    """

    name: str
    of_splits: Mapping[str, Guesses]
    known_images: Mapping[str, np.ndarray]
    left_out: tuple[LeftOut, ...]


def splits_of(
    truths: Mapping[str, ImageLabels], taxonomy: Taxonomy, resamples: int
) -> tuple[Split, ...]:
    """The splits to evaluate.

    Args:
        truths: the labels of the images of each, by its name.
        taxonomy: the label spaces.
        resamples: how many halves of the images there are to be.

    Raises:
        InputError: there is none, or the label spaces are those of another dataset.
    """
    if not truths:
        raise InputError("there are no true labels; give those of at least one split")
    for truth in truths.values():
        with_images = set(truth.labelled_category_ids())
        categories = [category for category in truth.categories if category.id in with_images]
        check_label_spaces(taxonomy, "this evaluation", categories, truth.path, having="images")
    return tuple(Split(name, truth, taxonomy, resamples) for name, truth in truths.items())


def main_split(splits: Sequence[Split], name: str | None) -> Split:
    """The split that all but Table 3 is about.

    Args:
        splits: all of them.
        name: that of the one asked for; by default `MAIN_SPLIT`, or the first without one so named.

    Raises:
        InputError: there is none of the name asked for.
    """
    of_name = {split.name: split for split in splits}
    if name is None:
        return of_name.get(MAIN_SPLIT, splits[0])
    if name not in of_name:
        raise InputError(f"there is no split {name!r}; the splits are {', '.join(of_name)}")
    return of_name[name]


def model_of(name: str, given: GivenPredictions, splits: Sequence[Split]) -> Model:
    """A model on the splits.

    Args:
        name: the model's name.
        given: its predictions.
        splits: all splits.

    Raises:
        InputError: the predictions are of other label spaces, of several levels or of a split that
            is not there; they have an image twice, no labels, or no image of any split.
    """
    by_split = _by_split(name, given, splits)
    summed = {}
    for predictions in by_split.values():
        if id(predictions) not in summed:
            _check(predictions, splits[0].taxonomy)
            summed[id(predictions)] = _summed(predictions)
    of_splits, known_images, left_out = {}, {}, []
    for split in splits:
        if split.name not in by_split:
            left_out.append(LeftOut(name, split.name, "all", "no predictions were given for it"))
            continue
        given_there = by_split[split.name]
        guesses = Guesses(name, *summed[id(given_there)], split)
        if not (guesses.rows >= 0).any():
            reason = f"{guesses.predictions.path} has none of its images"
            left_out.append(LeftOut(name, split.name, "all", reason))
            continue
        of_splits[split.name] = guesses
        same = [s.image_ids for s in splits if by_split.get(s.name) is given_there]
        known_images[split.name] = np.concatenate(same)
    if not of_splits:
        paths = ", ".join(dict.fromkeys(predictions.path for predictions in by_split.values()))
        truths = ", ".join(split.truth.path for split in splits)
        raise InputError(
            f"{paths}: has none of the images of {truths}; check that both are of the same split"
        )
    return Model(name, of_splits, known_images, tuple(left_out))


def _by_split(
    name: str, given: GivenPredictions, splits: Sequence[Split]
) -> Mapping[str, Predictions]:
    if isinstance(given, Predictions):
        return {split.name: given for split in splits}
    names = [split.name for split in splits]
    for split in given:
        if split not in names:
            raise InputError(
                f"{given[split].path}: the split {split!r} of the model {name!r} has no true "
                f"labels; the splits are {', '.join(names)}"
            )
    if not given:
        raise InputError(f"the model {name!r} has no predictions; give at least one file")
    levels = dict.fromkeys(predictions.trained_on for predictions in given.values())
    if len(levels) > 1:
        raise InputError(
            f"the model {name!r} has predictions of several levels, {', '.join(levels)}; give each "
            "level a name of its own"
        )
    return given


def _check(predictions: Predictions, taxonomy: Taxonomy) -> None:
    path, level = predictions.path, predictions.trained_on
    levels = taxonomy.coarser_or_equal(level) if level in taxonomy.levels else (level,)
    if not taxonomy.agrees_with(predictions.taxonomy, levels):
        raise InputError(
            f"{path}: was read with other label spaces than those of this evaluation; read it with "
            "the same taxonomy"
        )
    for level, ranked in predictions.ranked.items():
        if not ranked.k:
            raise InputError(f"{path}: has no {level} labels; each image needs at least one")
    ids, counts = np.unique(predictions.image_ids, return_counts=True)
    repeated = ids[counts > 1]
    if len(repeated):
        others = f", as {len(repeated):,} images are" if len(repeated) > 1 else ""
        raise InputError(
            f"{path}: image {repeated[0]} is listed more than once{others}; give each image once"
        )


def _summed(predictions: Predictions) -> tuple[Predictions, Mapping[Granularity, str]]:
    """With sums at every coarser level at which its probabilities can be summed.

    Returns:
        The predictions, and why there are no sums at the other levels.
    """
    ranked, reasons = dict(predictions.ranked), {}
    for level in predictions.taxonomy.coarser_or_equal(predictions.trained_on)[1:]:
        try:
            ranked[level] = predictions.sums(level)
        except InputError as error:
            reasons[level] = str(error).removeprefix(f"{predictions.path}: ")
    return replace(predictions, ranked=ranked), reasons
