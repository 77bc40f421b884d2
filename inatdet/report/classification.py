"""The report on classifiers: all numbers of an evaluation, as tables, figures, page and files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.counts import TrainingCounts
from inatdet.data.image_labels import ImageLabels
from inatdet.data.predictions import Predictions
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation.classification import results as numbers
from inatdet.evaluation.classification.accuracy import Table3Row
from inatdet.evaluation.classification.assignment import by_split
from inatdet.evaluation.classification.guesses import Guesses
from inatdet.evaluation.classification.plausibility import prediction_warnings
from inatdet.evaluation.classification.protocol import MAIN_SPLIT, main_split, model_of, splits_of
from inatdet.evaluation.classification.results import Results
from inatdet.evaluation.classification.super_classes import Table4Row
from inatdet.evaluation.frequency import LVIS, bins_of
from inatdet.evaluation.plausibility import DataWarning, told
from inatdet.evaluation.protocol import PROTOCOL_VERSION
from inatdet.files import sha256_of
from inatdet.report.classification_figures import FIGURE_5, LADDER, RELIABILITY
from inatdet.report.classification_gallery import ClassPicture, class_pictures, gallery_of
from inatdet.report.classification_protocol import Given, described
from inatdet.report.classification_sections import SECTIONS
from inatdet.report.gallery import Choose, check_images_dir, warnings_of
from inatdet.report.provenance import source
from inatdet.report.rendering import Gallery
from inatdet.report.saved import SavedReport
from inatdet.report.section import Section
from inatdet.report.table import Table

if TYPE_CHECKING:
    import matplotlib.figure

PICTURES = 8
"""How many pictures of each choice the page shows."""

OfModel = Predictions | Sequence[Predictions] | Mapping[str, Predictions]
"""One model's predictions: one set for the images of all splits, several of which each is for
others, or one for each split by its name."""


@dataclass(frozen=True, eq=False, repr=False)
class ClassificationReport(SavedReport[Results]):
    """What `inatdet.evaluate_predictions` returns. Printed, it gives the tables that fit on a screen.

    Every section is an attribute with its `Table`: `table3`, `table3_paper`, `table4`,
    `table4_paper`, `figure5`, `frequency`, `ladder`, `mistakes`, `confusions`, `calibration`,
    `comparisons`, `coverage`, `left_out`, `per_class`, `intervals`. A table that these predictions
    do not allow is empty, and `left_out` says why: `figure5` and `frequency` without training
    labels, `calibration` without probabilities, `comparisons` of a single model, `table4` without a
    species model, `table4_paper` except on iNat2017.

    The first key is the model, the second in `table3` and `coverage` the split, in `table4` the
    super-class, in `figure5` and `frequency` the bin, in `calibration` the level, in `per_class` the
    category's id; in `ladder` a level and a rule follow: `report.table3["inception_v3", "val"].top5`,
    `report.table4["inception_v3", "Aves"].top1`, `report.ladder["inception_v3", "genus",
    "mapped"].top1`, `report.mistakes["inception_v3"].severity`.

    Attributes:
        results: the numbers behind the tables.
        given: the labels and predictions that they come from.
        gallery: the pictures on the page.
        warnings: what looks wrong with the files.
        command: the command line; empty where the numbers were computed from Python.
    """

    name: ClassVar[str] = "classification"
    title: ClassVar[str] = "Classification results"
    sections: ClassVar[tuple[Section[Results], ...]] = SECTIONS

    results: Results
    given: Given
    gallery: Sequence[ClassPicture] = ()
    warnings: Sequence[DataWarning] = ()
    command: str = ""

    @property
    def table3(self) -> Table[Table3Row]:
        """Every model on every split; `table3["inception_v3", "val"].top5` is one number."""
        return Table.of(Table3Row, self.results.table3)

    @property
    def table4(self) -> Table[Table4Row]:
        """Every species model by super-class; `table4["inception_v3", "Aves"].top1` is a number."""
        return Table.of(Table4Row, self.results.table4)

    def plot_figure5(self) -> matplotlib.figure.Figure:
        """Draws Figure 5, box plots of accuracy by number of training images, one per model.

        Returns:
            A Matplotlib figure. A notebook that has imported `matplotlib.pyplot` shows it;
            `savefig` saves it. Without training labels it has no boxes.
        """
        return FIGURE_5.draw(self.results)

    def plot_ladder(self) -> matplotlib.figure.Figure:
        """Draws the ladder, top-1 accuracy against level from fine to coarse.

        Returns:
            A Matplotlib figure, as `plot_figure5` does.
        """
        return LADDER.draw(self.results)

    def plot_calibration(self) -> matplotlib.figure.Figure:
        """Draws the reliability diagrams, accuracy against confidence, one diagram per level.

        Returns:
            A Matplotlib figure, as `plot_figure5` does. Without probabilities it has no lines.
        """
        return RELIABILITY.draw(self.results)

    def summary(self) -> str:
        """What was evaluated, in a sentence."""
        images = " and ".join(
            f"{len(truth):,} images of {split}" for split, truth in self.given.truths.items()
        )
        return f"{images}; models: {', '.join(self.results.models)}."

    def remarks(self) -> list[str]:
        """What has to be known to read the numbers, in paragraphs."""
        if not self.results.resamples:
            return []
        return [
            "± is the margin of the 95% interval for other samples of as many images, from "
            f"{self.results.resamples} random halves of these. It does not cover training the "
            "models again."
        ]

    def protocol(self) -> list[tuple[str, str]]:
        """What was measured and how, as names and values."""
        return described(self.results, self.given, self.command)

    def sources(self) -> Mapping[str, object]:
        """The files that the numbers come from, with their hashes."""
        given = self.given
        return {
            "protocol_version": PROTOCOL_VERSION,
            "labels": [
                {"split": split, "path": truth.path, "sha256": truth.sha256 or None}
                for split, truth in given.truths.items()
            ],
            "taxonomy": {
                "source": given.label_spaces,
                "sha256": given.label_spaces_sha256 or None,
            },
            "predictions": [
                {
                    "model": model,
                    "splits": splits,
                    "path": found.path,
                    "sha256": found.sha256 or None,
                    "granularity": str(found.trained_on),
                }
                for model in given.predictions
                for found, splits in given.files_of(model).values()
            ],
        }

    def numbers(self) -> object:
        """All numbers, for its JSON; the label spaces are in the protocol."""
        names = (field.name for field in dataclasses.fields(self.results))
        return {name: getattr(self.results, name) for name in names if name != "taxonomy"}

    def gallery_on_page(self) -> Gallery | None:
        """The pictures that the page ends with, if any."""
        return gallery_of(self.gallery)


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
        taxonomy: the label spaces, or the file that holds them, that the predictions were read with;
            by default those of the predictions.
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
        >>> report.table3["inception_v3", "val"].top1
        100.0
        >>> report.table4["inception_v3", "Aves"].mean_train_images
        0.5
        >>> report.save("classified")
    """
    bins_of(frequency_bins)  # bad input is told before long work
    if images_dir:
        check_images_dir(images_dir)
    truths = {MAIN_SPLIT: truth} if isinstance(truth, ImageLabels) else dict(truth)
    models = {name: _by_split(name, found, truths) for name, found in predictions.items()}
    spaces, where, sha256 = _label_spaces(taxonomy, truths, models)
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
    given = Given(truths, models, where, sha256, _counted_from(training))
    return ClassificationReport(results, given, tuple(drawn), said, command)


def _by_split(
    name: str, given: OfModel, truths: Mapping[str, ImageLabels]
) -> Mapping[str, Predictions]:
    if isinstance(given, Mapping):
        return given
    return by_split(name, [given] if isinstance(given, Predictions) else given, truths)


def _label_spaces(
    taxonomy: Taxonomy | str | os.PathLike[str] | None,
    truths: Mapping[str, ImageLabels],
    models: Mapping[str, Mapping[str, Predictions]],
) -> tuple[Taxonomy, str, str]:
    """The label spaces, where they come from in words, and the hash of their file."""
    if isinstance(taxonomy, (str, os.PathLike)):
        path, first = os.fspath(taxonomy), next(iter(truths.values()), None)
        spaces = Taxonomy.load(path)
        if first is not None:
            spaces = spaces.with_ranks_of(first.categories)
        return spaces, path, sha256_of(path)
    if taxonomy is not None:
        return taxonomy, "given", ""
    for found in models.values():
        for one in found.values():
            return one.taxonomy, "those that the predictions were read with", ""
    raise InputError("there are no predictions; give those of at least one model")


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
