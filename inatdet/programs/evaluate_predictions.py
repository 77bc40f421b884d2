"""The part of `inatdet evaluate` that is about predictions of classifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from absl import flags

from inatdet.data.annotations import Annotations
from inatdet.data.image_labels import ImageLabels
from inatdet.data.predictions import Predictions
from inatdet.evaluation.classification.protocol import MAIN_SPLIT
from inatdet.programs.predictions import (
    Source,
    define_predictions,
    label_spaces_of,
    paths_of_labels,
    read_labels_of,
    read_predictions_of,
    sources_of,
)
from inatdet.programs.reading import read_labels_as_flags_say
from inatdet.programs.running import command, progress
from inatdet.report.classification.evaluating import evaluate_predictions
from inatdet.report.classification.report import ClassificationReport
from inatdet.report.report import Report

# The flags defined here belong to the program, and so do their lines of help.
flags.disclaim_key_flags()


@dataclass(frozen=True)
class Named:
    """The files that the flags name.

    Attributes:
        labels: those of the truth, by split; empty where boxes are the truth.
        sources: those of the predictions.
        taxonomy: that of the label spaces, if there is one.
    """

    labels: Mapping[str, str]
    sources: Sequence[Source]
    taxonomy: str | None


@dataclass(frozen=True)
class Given:
    """What was read.

    Attributes:
        truths: the labels of the images of each split.
        models: what each model says, by its name and that of the split.
        taxonomy: the file of the label spaces, if there is one.
        training: what training images show, if that was given.
    """

    truths: Mapping[str, ImageLabels]
    models: Mapping[str, Mapping[str, Predictions]]
    taxonomy: str | None
    training: ImageLabels | None


def define_flags() -> None:
    """Defines the flags that only predictions have."""
    define_predictions()


def named(values: flags.FlagValues) -> Named:
    """The files that the flags name.

    Raises:
        InputError: a value is of another form, or flags contradict each other.
    """
    labels = paths_of_labels(values.labels)
    sources = sources_of(values.predictions, labels or (MAIN_SPLIT,))
    of_detections = values.detections and values.labels
    taxonomy = None if of_detections else values.taxonomy
    return Named(labels, sources, values.image_taxonomy or taxonomy)


def read(values: flags.FlagValues, files: Named, boxes: Annotations | None) -> Given:
    """Reads the files.

    Args:
        values: the flags.
        files: the files.
        boxes: boxes that say what images show, where there are no labels.
    """
    truths = read_labels_of(files.labels, values, boxes)
    spaces = label_spaces_of(truths, files.taxonomy)
    models = read_predictions_of(files.sources, truths, spaces)
    training = None
    if values.train_labels:
        training = read_labels_as_flags_say(values.train_labels, values)
    return Given(truths, models, files.taxonomy, training)


def report_of(
    values: flags.FlagValues,
    given: Given,
    training_boxes: Annotations | None,
    frequency_bins: Sequence[int],
) -> ClassificationReport:
    """Evaluates predictions as the flags say."""
    return evaluate_predictions(
        given.truths,
        given.models,
        taxonomy=given.taxonomy,
        split=values.main_split,
        training=given.training or training_boxes,
        frequency_bins=frequency_bins,
        images_dir=values.images_dir,
        resamples=values.resamples,
        strict=values.strict,
        notify=progress,
        command=command(),
    )


def save(values: flags.FlagValues, report: ClassificationReport, other: Report | None) -> None:
    """Writes the report; its page leads to another one in the folder, if there is one."""
    report.save(values.output_dir, values.latex, progress, beside=[other] if other else [])
