"""Evaluates predictions: labels and predictions in, the report out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.counts import TrainingCounts
from inatdet.data.image_labels import ImageLabels
from inatdet.data.predictions import Predictions
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.classification import results as numbers
from inatdet.evaluation.classification.assignment import by_split
from inatdet.evaluation.classification.guesses import Guesses
from inatdet.evaluation.classification.plausibility import prediction_warnings
from inatdet.evaluation.classification.protocol import MAIN_SPLIT, main_split, model_of, splits_of
from inatdet.evaluation.frequency import LVIS, bins_of
from inatdet.evaluation.plausibility import told
from inatdet.report.classification.gallery import ClassPicture, class_pictures
from inatdet.report.classification.given import given_of
from inatdet.report.classification.report import ClassificationReport
from inatdet.report.gallery import Choose, check_images_dir, warnings_of
from inatdet.report.provenance import source

PICTURES = 8
"""How many pictures of each choice the page shows."""

OfModel = Predictions | Sequence[Predictions] | Mapping[str, Predictions]
"""One model's predictions: one set for the images of all splits, several of which each is for
others, or one for each split by its name."""


def evaluate_predictions(
    truth: ImageLabels | Mapping[str, ImageLabels],
    predictions: Mapping[str, OfModel],
    *,
    taxonomy: Taxonomy | str | os.PathLike[str] | None = None,
    split: str | None = None,
    training: ImageLabels | Annotations | TrainingCounts | None = None,
    frequency_bins: Sequence[int] = LVIS,
    images_dir: str | os.PathLike[str] | None = None,
    resamples: int = 0,
    strict: bool = False,
    notify: Callable[[str], None] = lambda message: None,
    command: str = "",
) -> ClassificationReport:
    """Evaluates the predictions of classifiers: Tables 3 and 4, Figure 5, and more.

    Args:
        truth: what each image shows, from `read_image_labels`; of several splits by their names.
        predictions: what each model says, by its name: from `read_predictions`, or made of arrays
            by `Predictions.from_arrays` or `Predictions.from_scores`. For several splits, one set
            that has the images of all of them, a list of sets, or a mapping from the splits' names.
        taxonomy: the label spaces, or the file that holds them, with which the predictions were
            read; by default those of the predictions.
        split: the split that all but Table 3 and the tests is about; by default `val`, or the first
            without one so named.
        training: the labels or boxes the models were trained on, to be counted per species.
        frequency_bins: the most training images of a rare species, and of a common one; by default
            LVIS's.
        images_dir: the folder that the file names of the main split start from, to show some
            pictures with what the first model calls them; those that cannot be read are left out
            with a warning.
        resamples: how many random halves of the images standard errors come from; 0 means none.
        strict: whether anything that looks wrong with the files is an error instead of a warning.
        notify: called with a message at each step, and with each warning.
        command: the command line, for the report's record of where its numbers come from.

    Returns:
        The tables, the figures, and `save`, which writes the files.

    Raises:
        InputError: there are no splits or models, `frequency_bins` are not two rising numbers,
            label spaces differ, a model's predictions have an image twice or none of any split,
            `images_dir` is not a folder, or something looks wrong and `strict` is set.

    Example:
        >>> labels = inatdet.read_image_labels("train2017.json")
        >>> found = inatdet.read_predictions("kaggle.csv", labels)
        >>> report = inatdet.evaluate_predictions(labels, {"inception_v3": found}, training=labels)
        >>> round(report.table3["inception_v3", "val"].top1, 1)
        33.3
        >>> report.table4["inception_v3", "Insecta"].mean_train_images
        1.0
        >>> report.save("classified")
    """
    bins_of(frequency_bins)  # bad input is told before long work
    if images_dir:
        check_images_dir(images_dir)
    truths = {MAIN_SPLIT: truth} if isinstance(truth, ImageLabels) else dict(truth)
    models = {name: _by_split(name, found, truths) for name, found in predictions.items()}
    given, spaces = given_of(truths, models, taxonomy, _counted_from(training))
    splits = splits_of(truths, spaces, resamples=0)
    main = main_split(splits, split)
    checked = [model_of(name, found, splits) for name, found in models.items()]
    warnings = prediction_warnings(
        [guesses for model in checked for guesses in model.of_splits.values()]
    )
    drawn: list[ClassPicture] = []
    shown = next((m.of_splits[main.name] for m in checked if main.name in m.of_splits), None)
    if images_dir and shown:
        # Before the numbers, which take longer: nothing that can fail comes after them.
        missing: dict[str, str] = {}
        drawn += _pictures(shown, images_dir, missing, notify)
        warnings += warnings_of(missing)
    said = told(warnings, strict=strict, notify=notify)
    results = numbers.evaluate(
        truths,
        models,
        taxonomy=spaces,
        split=split,
        training_images=None if training is None else _training_images(training),
        frequency_bins=frequency_bins,
        resamples=resamples,
        notify=notify,
    )
    return ClassificationReport(results, given, tuple(drawn), said, command)


def _by_split(
    name: str, given: OfModel, truths: Mapping[str, ImageLabels]
) -> Mapping[str, Predictions]:
    if isinstance(given, Mapping):
        return given
    return by_split(name, [given] if isinstance(given, Predictions) else given, truths)


def _pictures(
    guesses: Guesses,
    images_dir: str | os.PathLike[str],
    missing: dict[str, str],
    notify: Callable[[str], None],
) -> Iterator[ClassPicture]:
    for choose in Choose:
        notify(f"looking at images: {choose}")
        yield from class_pictures(guesses, images_dir, choose, PICTURES, missing)


def _training_images(training: ImageLabels | Annotations | TrainingCounts) -> Mapping[int, int]:
    """How many training images show each category, by its id."""
    if isinstance(training, ImageLabels):
        ids, counts = np.unique(training.category_ids, return_counts=True)
        return dict(zip(ids.tolist(), counts.tolist()))
    counts_of = TrainingCounts.of(training) if isinstance(training, Annotations) else training
    return counts_of.images


def _counted_from(training: ImageLabels | Annotations | TrainingCounts | None) -> str:
    if training is None:
        return ""
    if isinstance(training, TrainingCounts):
        return "given as numbers"
    what = "labels" if isinstance(training, ImageLabels) else "boxes"
    return f"counted from the {what} of {source(training.path, training.sha256)}"
