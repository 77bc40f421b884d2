"""Two classifiers tested against each other on the same images."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inatdet.data.image_labels import ImageLabels
from inatdet.data.predictions import Predictions
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.classification.accuracy import Accuracy
from inatdet.evaluation.classification.comparison import ComparisonRow, Measured, comparison_rows
from inatdet.evaluation.classification.plausibility import prediction_warnings
from inatdet.evaluation.classification.protocol import MAIN_SPLIT, model_of, splits_of
from inatdet.evaluation.plausibility import DataWarning, told
from inatdet.report.classification.given import Given, given_of
from inatdet.report.classification.tables import comparison_table, short_comparison_table
from inatdet.report.paired import PairedReport
from inatdet.report.provenance import source, versions
from inatdet.report.table import Table


@dataclass(frozen=True, eq=False, repr=False)
class ClassifierComparison(PairedReport):
    """What `inatdet.compare_predictions` returns. Printed, it gives the protocol and the table.

    Attributes:
        rows: one per measure that both models have.
        given: the labels and predictions that they come from.
        images: how many images count.
        resamples: how many halves of the images the standard errors come from.
        warnings: what looks wrong with the files.
        command: the command line; empty where the numbers were computed from Python.
    """

    rows: Sequence[ComparisonRow]
    given: Given
    images: int
    resamples: int
    warnings: Sequence[DataWarning] = ()
    command: str = ""

    @property
    def table(self) -> Table[Any]:
        """One row per measure, in full, as it is saved; `difference` is second minus first."""
        return comparison_table(self.rows)

    def short_table(self) -> Table[Any]:
        """The same for reading."""
        return short_comparison_table(self.rows)

    def protocol(self) -> list[tuple[str, str]]:
        """What was compared and how, as names and values."""
        given = self.given
        truth = given.truths[MAIN_SPLIT]
        return [
            *(
                (place, f"{model}, {found[MAIN_SPLIT].path}")
                for place, (model, found) in zip(("first", "second"), given.predictions.items())
            ),
            ("evaluated on", f"{self.rows[0].evaluated_on}, {self.images:,} images"),
            (
                "difference",
                "second minus first, in percent points, ± 1.96 standard errors from "
                f"{self.resamples} random halves of the images, the same for both; p of top1, "
                "top3 and top5 is that of McNemar's exact test",
            ),
            ("labels", source(truth.path, truth.sha256)),
            ("label spaces", source(given.label_spaces, given.label_spaces_sha256)),
            *versions(),
        ]

    def sources(self) -> Mapping[str, object]:
        """The files that the numbers come from, with their hashes."""
        return self.given.sources()


def compare_predictions(
    truth: ImageLabels,
    predictions: Mapping[str, Predictions],
    *,
    taxonomy: Taxonomy | str | os.PathLike[str] | None = None,
    resamples: int = 1000,
    strict: bool = False,
    notify: Callable[[str], None] = lambda message: None,
    command: str = "",
) -> ClassifierComparison:
    """Tests two classifiers against each other, on the same images.

    Models of two levels are compared at the coarser one. An image that a model has no prediction
    for counts as wrong.

    Args:
        truth: what each image shows, from `read_image_labels`.
        predictions: of the two models, by their names, the first one first.
        taxonomy: the label spaces, or the file that holds them, with which the predictions were
            read; by default those of the predictions.
        resamples: how many random halves of the images standard errors come from.
        strict: whether anything that looks wrong with the files is an error instead of a warning.
        notify: called with each warning.
        command: the command line, for the record of where the numbers come from.

    Returns:
        The difference of each measure with its interval and p-value, and `save`, which writes the
        files.

    Raises:
        ValueError: there are not two models.
        InputError: label spaces differ, a model has none of the images, or something looks wrong
            and `strict` is set.

    Example:
        >>> labels = inatdet.read_image_labels("train2017.json")
        >>> first = inatdet.read_predictions("kaggle.csv", labels)
        >>> second = inatdet.Predictions.from_arrays(
        ...     [0, 1, 2], [5, 0, 0], taxonomy=labels.full_taxonomy, are_category_ids=True
        ... )
        >>> compared = inatdet.compare_predictions(labels, {"first": first, "second": second})
        >>> top1 = compared.rows[0]
        >>> top1.first_alone, top1.second_alone, top1.p_value
        (0, 1, 1.0)
    """
    if len(predictions) != 2:
        raise ValueError(f"two models are tested against each other, not {len(predictions)}")
    truths = {MAIN_SPLIT: truth}
    models = {name: {MAIN_SPLIT: found} for name, found in predictions.items()}
    given, spaces = given_of(truths, models, taxonomy)
    splits = splits_of(truths, spaces, resamples)
    checked = [model_of(name, found, splits) for name, found in models.items()]
    guesses = [model.of_splits[MAIN_SPLIT] for model in checked]
    warnings = told(prediction_warnings(guesses), strict=strict, notify=notify)
    rows = comparison_rows([Measured.of(Accuracy(each)) for each in guesses])
    images = splits[0].at(rows[0].evaluated_on).images
    return ClassifierComparison(rows, given, images, resamples, warnings, command)
