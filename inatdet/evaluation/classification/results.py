"""All numbers of an evaluation of classifiers: predictions in, the rows of every table out."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.data.image_labels import ImageLabels
from inatdet.data.labels import NO_LABEL
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation.breakdowns import BINS
from inatdet.evaluation.classification.accuracy import Accuracy, ClassRow, Table3Row, class_rows
from inatdet.evaluation.classification.comparison import ComparisonRow, Measured, comparison_rows
from inatdet.evaluation.classification.confidence import ConfidenceRow, confidence_rows
from inatdet.evaluation.classification.confusions import ConfusionRow, confusion_rows
from inatdet.evaluation.classification.coverage import (
    CoverageRow,
    LeftOut,
    coverage_row,
    left_out,
    left_out_of_main,
)
from inatdet.evaluation.classification.ladder import LadderRow, ladder_rows
from inatdet.evaluation.classification.mistakes import MistakeRow, mistake_row
from inatdet.evaluation.classification.protocol import (
    GivenPredictions,
    Model,
    main_split,
    model_of,
    splits_of,
)
from inatdet.evaluation.classification.super_classes import Table4Row, table4_rows
from inatdet.evaluation.classification.training import (
    BoxRow,
    FrequencyAccuracyRow,
    box_rows,
    frequency_rows,
    training_bins_of,
)
from inatdet.evaluation.frequency import LVIS, ImageBins, bins_of


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The rows of all tables, split by split and there in the order of the models.

    `coverage`, `left_out`, `table3` and `comparisons` are of every split; everything else is of the
    main one.

    Attributes:
        coverage: one row per model and split that it has predictions for.
        left_out: what a model has no numbers for, and why.
        table3: one row per model and split.
        table4: one row per species model and super-class with species, then Overall.
        per_class: one row per model and label.
        by_training: the boxes of Figure 5: one row per species model and bin that has a species
            with images; empty without training counts.
        frequency: one row per species model for each of none, rare, common and frequent that a
            species is; empty without training counts.
        ladder: one row per model, level from its own on, and rule.
        mistakes: one row per model.
        confusions: the pairs of labels that each model confused, its most frequent first.
        calibration: one row per model, at its own level and every coarser one with summed
            probabilities; only of models with probabilities.
        comparisons: every two models and each measure that both have.
    """

    coverage: tuple[CoverageRow, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    table3: tuple[Table3Row, ...] = ()
    table4: tuple[Table4Row, ...] = ()
    per_class: tuple[ClassRow, ...] = ()
    by_training: tuple[BoxRow, ...] = ()
    frequency: tuple[FrequencyAccuracyRow, ...] = ()
    ladder: tuple[LadderRow, ...] = ()
    mistakes: tuple[MistakeRow, ...] = ()
    confusions: tuple[ConfusionRow, ...] = ()
    calibration: tuple[ConfidenceRow, ...] = ()
    comparisons: tuple[ComparisonRow, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Results(Tables):
    """The numbers; the tables are inherited.

    Attributes:
        taxonomy: the label spaces.
        models: the names of the models.
        splits: the names of the splits.
        split: that of the main one.
        resamples: how many halves of the images the standard errors come from; 0 means none, and
            plain floats in place of `Estimate`.
    """

    taxonomy: Taxonomy
    models: tuple[str, ...]
    splits: tuple[str, ...]
    split: str
    resamples: int


@dataclass(frozen=True, eq=False)
class _Training:
    """How often categories are seen in training, and how that is divided."""

    images: Mapping[int, int] | None
    bins: ImageBins
    frequencies: ImageBins

    def of_labels(self, taxonomy: Taxonomy, level: Granularity) -> np.ndarray | None:
        """How many training images each label has, int64 `[labels]`; None: not known."""
        if self.images is None:
            return None
        label_of = taxonomy.label_of_category(level)
        counts = np.zeros(taxonomy.num_labels(level) + 1, np.int64)
        for category_id, images in self.images.items():
            counts[label_of.get(category_id, NO_LABEL)] += images
        return counts[1:]


def evaluate(
    truths: Mapping[str, ImageLabels],
    predictions: Mapping[str, GivenPredictions],
    *,
    taxonomy: Taxonomy,
    split: str | None = None,
    training_images: Mapping[int, int] | None = None,
    training_bins: Sequence[int] = BINS,
    frequency_bins: Sequence[int] = LVIS,
    resamples: int = 0,
    notify: Callable[[str], None] = lambda message: None,
) -> Results:
    """Computes all numbers.

    Args:
        truths: the labels of the images of each split, by its name; one or several.
        predictions: what each model says, by its name, in the label spaces of `taxonomy`.
        taxonomy: the label spaces.
        split: the main split; by default `val`, or the first if there is none of that name.
        training_images: how many images each category has in training, by its id; no entry is 0.
            None where that is not known.
        training_bins: the smallest number of training images in each box of Figure 5, from 0 on.
        frequency_bins: the most training images of a rare species, and of a common one.
        resamples: on how many halves of the images the measures are counted again, for their
            standard errors.
        notify: called with a message at each step.

    Raises:
        InputError: there are no splits or models; label spaces differ; a model's predictions have
            an image twice, or no image of any split; or bins are not rising numbers.
    """
    training = _Training(training_images, training_bins_of(training_bins), bins_of(frequency_bins))
    splits = splits_of(truths, taxonomy, resamples)
    main = main_split(splits, split)
    models = [model_of(name, given, splits) for name, given in predictions.items()]
    if not models:
        raise InputError("there are no predictions; give those of at least one model")
    parts = [Tables(left_out=model.left_out) for model in models]
    for one in splits:
        measured = []
        for model in models:
            if one.name in model.of_splits:
                notify(f"{model.name} on {one.name}: {len(one.image_ids):,} images")
                accuracy = Accuracy(model.of_splits[one.name])
                parts.append(_tables_of_split(model, accuracy))
                measured.append(Measured.of(accuracy))
                if one is main:
                    parts.append(_tables(accuracy, training))
        if len(measured) > 1:
            notify(f"{one.name}: {len(measured)} models tested against each other")
        parts.append(Tables(comparisons=comparison_rows(measured)))
    return Results(
        **_joined(parts),
        taxonomy=taxonomy,
        models=tuple(model.name for model in models),
        splits=tuple(one.name for one in splits),
        split=main.name,
        resamples=resamples,
    )


def _tables_of_split(model: Model, accuracy: Accuracy) -> Tables:
    """What there is for every split."""
    known_images = model.known_images[accuracy.guesses.split.name]
    return Tables(
        coverage=(coverage_row(accuracy.guesses, known_images),),
        left_out=tuple(left_out(accuracy)),
        table3=(accuracy.table3_row(),),
    )


def _tables(accuracy: Accuracy, training: _Training) -> Tables:
    """What there is for the main split only."""
    guesses = accuracy.guesses
    train_images = training.of_labels(guesses.split.taxonomy, guesses.level)
    tables = Tables(
        left_out=tuple(left_out_of_main(guesses)),
        per_class=class_rows(accuracy, train_images),
        ladder=ladder_rows(guesses),
        mistakes=(mistake_row(guesses),),
        confusions=confusion_rows(guesses),
        calibration=tuple(confidence_rows(guesses)),
    )
    if guesses.level is not Granularity.SPECIES:
        return tables
    tables = dataclasses.replace(tables, table4=table4_rows(accuracy, train_images))
    if train_images is None:
        return tables
    return dataclasses.replace(
        tables,
        by_training=box_rows(accuracy, train_images, training.bins),
        frequency=frequency_rows(accuracy, train_images, training.frequencies),
    )


def _joined(parts: Iterable[Tables]) -> dict[str, Any]:
    """The rows of all parts by table."""
    parts = list(parts)

    def rows(name: str) -> Iterator[Any]:
        return itertools.chain.from_iterable(getattr(part, name) for part in parts)

    return {field.name: tuple(rows(field.name)) for field in dataclasses.fields(Tables)}
