"""All numbers of an evaluation of classifiers: predictions in, the rows of every table out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from inatdet.data.image_labels import ImageLabels
from inatdet.data.predictions import Predictions
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.breakdowns import BINS
from inatdet.evaluation.classification.accuracy import ClassRow, Table3Row
from inatdet.evaluation.classification.comparison import ComparisonRow
from inatdet.evaluation.classification.confidence import ConfidenceRow
from inatdet.evaluation.classification.confusions import ConfusionRow
from inatdet.evaluation.classification.coverage import CoverageRow, LeftOut
from inatdet.evaluation.classification.ladder import LadderRow
from inatdet.evaluation.classification.mistakes import MistakeRow
from inatdet.evaluation.classification.super_classes import Table4Row
from inatdet.evaluation.classification.training import BoxRow, FrequencyAccuracyRow
from inatdet.evaluation.frequency import LVIS

ModelPredictions = Predictions | Mapping[str, Predictions]
"""One model's predictions for the images of all splits, or by the name of the split."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """The numbers. Rows are in the order of the models as they were given.

    `table3`, `coverage` and `comparisons` are of every split; everything else is of `split`.

    Attributes:
        taxonomy: the label spaces.
        models: the names of the models.
        splits: the names of the splits.
        split: the one that all but Table 3 are about.
        resamples: how many halves of the images the standard errors come from; 0 means none, and
            plain floats in place of `Estimate`.
        coverage: one row per model and split.
        left_out: what a model has no numbers for, and why.
        table3: one row per model and split.
        table4: one row per species model and super-class with species, then Overall.
        per_class: one row per model and label.
        by_training: the boxes of Figure 5: one row per species model and bin that has a species
            with images; empty without training counts.
        frequency: one row per species model for each of none, rare, common and frequent that a
            species has; empty without training counts.
        ladder: one row per model, level from its own on, and rule.
        mistakes: one row per model.
        confusions: the pairs of labels that each model confused, its most frequent first.
        calibration: one row per model, at its own level and every coarser one with summed
            probabilities; only of models with probabilities.
        comparisons: for each split, every two models and each measure that both have.
    """

    taxonomy: Taxonomy
    models: tuple[str, ...]
    splits: tuple[str, ...]
    split: str
    resamples: int
    coverage: tuple[CoverageRow, ...]
    left_out: tuple[LeftOut, ...]
    table3: tuple[Table3Row, ...]
    table4: tuple[Table4Row, ...]
    per_class: tuple[ClassRow, ...]
    by_training: tuple[BoxRow, ...]
    frequency: tuple[FrequencyAccuracyRow, ...]
    ladder: tuple[LadderRow, ...]
    mistakes: tuple[MistakeRow, ...]
    confusions: tuple[ConfusionRow, ...]
    calibration: tuple[ConfidenceRow, ...]
    comparisons: tuple[ComparisonRow, ...]


def evaluate(
    truths: Mapping[str, ImageLabels],
    predictions: Mapping[str, ModelPredictions],
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
        split: the split that all but Table 3 is about; by default `val`, or the first if there is
            none of that name.
        training_images: how many images each category has in training, by its id; no entry is 0.
            None where that is not known.
        training_bins: the smallest number of training images in each box of Figure 5, from 0 on.
        frequency_bins: the most training images of a rare species, and of a common one.
        resamples: on how many halves of the images the measures are counted again, for their
            standard errors.
        notify: called with a message at each step.

    Raises:
        InputError: there are no images, splits or models; label spaces differ; a model's
            predictions have no image of any split; or bins are not rising numbers.
    """
    raise NotImplementedError
