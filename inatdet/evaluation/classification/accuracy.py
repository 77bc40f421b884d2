"""Table 3: how often the true label is the best, or among the best three or five."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.classification.guesses import Guesses, Rule
from inatdet.evaluation.classification.measuring import ClassNumbers, Number, shares
from inatdet.evaluation.rows import Row

BEST = (1, 3, 5)
"""How many labels are looked at: the paper and the competition of 2017 have one and five, those of
2018 and 2021 three, that of 2019 one."""


@dataclass(frozen=True)
class Table3Row(Row):
    """One model on one split, at the level of its own labels. All numbers but counts are percent.

    Attributes:
        model: the model.
        trained_on: the level of its labels.
        split: the split.
        images: how many images count.
        top1: the images whose best label is the true one.
        top3: the images whose best three labels have the true one among them; None where they are
            not known.
        top5: the same for five.
        classes: how many labels have an image.
        class_top1: the mean of the labels' own `top1`, over those with an image: every label counts
            the same, however many images it has.
        class_top5: the same for `top5`.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "model", "trained_on", "split", "images", "top1", "top3", "top5", "classes", "class_top1",
        "class_top5",
    )  # fmt: skip

    model: str
    trained_on: Granularity
    split: str
    images: int
    top1: float
    top3: float | None
    top5: float | None
    classes: int
    class_top1: float
    class_top5: float | None

    @property
    def key(self) -> tuple[str, ...]:
        """The model and the split."""
        return self.model, self.split


@dataclass(frozen=True)
class ClassRow(Row):
    """One model on the images of one label.

    Attributes:
        model: the model.
        level: the level of its labels.
        category_id: the category's id; empty at levels that are not species.
        name: the label's name.
        super_class: the super-class that it lies in; empty at coarser levels.
        train_images: how many training images it has; None where that is not known.
        images: how many images of the split.
        top1: the images whose best label it is, in percent of `images`; NaN without any.
        top5: the same for the best five labels; None where these are not known.
        predicted: how many images of the split, of whatever label, have it as their best label.
        precision: how many of those are right, in percent; NaN without any.
        mean_confidence: the mean probability of the best label, whatever it is, in percent, over
            the images of this label that have a prediction; NaN without probabilities.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "model", "level", "category_id", "name", "super_class", "train_images", "images", "top1",
        "top5", "predicted", "precision", "mean_confidence",
    )  # fmt: skip

    model: str
    level: Granularity
    category_id: int | str
    name: str
    super_class: str
    train_images: int | None
    images: int
    top1: float
    top5: float | None
    predicted: int
    precision: float
    mean_confidence: float

    @property
    def key(self) -> tuple[str, ...]:
        """The model, and the category's id or, at coarser levels, the label's name."""
        return self.model, self.name if self.category_id == "" else str(self.category_id)


@dataclass(frozen=True, eq=False)
class Accuracy:
    """How often one model is right on one split, at the level of its own labels.

    Attributes:
        guesses: what it says.
    """

    guesses: Guesses

    @functools.cached_property
    def why_unknown(self) -> Mapping[int, str]:
        """Of `BEST`, those of which nothing is known, and why."""
        reasons = {most: self.guesses.why_unknown(most) for most in BEST}
        return {most: reason for most, reason in reasons.items() if reason}

    @functools.cached_property
    def right(self) -> Mapping[int, np.ndarray]:
        """Whether the true label is among the best ones, bool `[images]`, by how many these are."""
        known = (most for most in BEST if most not in self.why_unknown)
        return {most: self.guesses.right_among(most) for most in known}

    @functools.cached_property
    def of_images(self) -> Mapping[int, Number]:
        """The shares of images that are right, in percent, by the number of best labels."""
        return {most: self.guesses.truth.percent(right) for most, right in self.right.items()}

    @functools.cached_property
    def of_classes(self) -> Mapping[int, ClassNumbers]:
        """The same of each label's images; for one and five best labels."""
        return {
            most: self.guesses.truth.percent_of_classes(right)
            for most, right in self.right.items()
            if most != 3
        }

    def top5_of_classes(self, members: np.ndarray | None = None) -> float | None:
        """The mean of labels' own shares for five best labels, as rows have it.

        Args:
            members: bool `[labels]`, the labels that are meant; by default all.
        """
        return self.of_classes[5].mean(members).shown() if 5 in self.of_classes else None

    def table3_row(self) -> Table3Row:
        """The row of Table 3."""
        guesses, truth = self.guesses, self.guesses.truth
        shown = {most: number.shown() for most, number in self.of_images.items()}
        return Table3Row(
            guesses.model,
            guesses.level,
            guesses.split.name,
            truth.images,
            shown[1],
            shown.get(3),
            shown.get(5),
            int((truth.of_classes > 0).sum()),
            self.of_classes[1].mean().shown(),
            self.top5_of_classes(),
        )


def class_rows(accuracy: Accuracy, train_images: np.ndarray | None) -> tuple[ClassRow, ...]:
    """One row per label, in their order.

    Args:
        accuracy: the model's on the split.
        train_images: int64 `[labels]`, how many training images each has; None: not known.
    """
    guesses, truth = accuracy.guesses, accuracy.guesses.truth
    taxonomy, level = guesses.split.taxonomy, guesses.level
    best = guesses.best(level, Rule.OWN)[truth.counted]
    predicted = np.bincount(best, minlength=truth.num_labels + 1)[1:]
    right = np.bincount(truth.labels[accuracy.right[1]], minlength=truth.num_labels + 1)[1:]
    precision = shares(100.0 * right, predicted)
    confidence = _mean_confidences(guesses)
    names, super_classes = taxonomy.names(level), super_classes_of(taxonomy, level)
    ids: list[int | str] = [""] * truth.num_labels
    if level is Granularity.SPECIES:
        ids = [category.id for category in taxonomy.species]
    top1 = accuracy.of_classes[1].values.tolist()
    top5 = accuracy.of_classes[5].values.tolist() if 5 in accuracy.of_classes else None
    return tuple(
        ClassRow(
            guesses.model,
            level,
            ids[label],
            names[label],
            super_classes[label],
            None if train_images is None else int(train_images[label]),
            images,
            top1[label],
            None if top5 is None else top5[label],
            int(predicted[label]),
            float(precision[label]),
            float(confidence[label]),
        )
        for label, images in enumerate(truth.of_classes.tolist())
    )


def super_classes_of(taxonomy: Taxonomy, level: Granularity) -> Sequence[str]:
    """The name of the super-class that each label lies in; empty at levels that are coarser."""
    count = taxonomy.num_labels(level)
    if Granularity.SUPER not in taxonomy.coarser_or_equal(level):
        return [""] * count
    labels = taxonomy.coarsen(np.arange(1, count + 1), level, Granularity.SUPER)
    return [taxonomy.super_classes[label - 1] for label in labels.tolist()]


def _mean_confidences(guesses: Guesses) -> np.ndarray:
    """The mean probability of the best label over each label's images, in percent, `[labels]`."""
    truth = guesses.truth
    if guesses.why_uncalibrated(guesses.level):
        return np.full(truth.num_labels, np.nan)
    confidences = guesses.confidences(guesses.level)
    known = truth.counted & ~np.isnan(confidences)
    labels, length = truth.labels[known], truth.num_labels + 1
    sums = np.bincount(labels, 100.0 * confidences[known], length)
    return shares(sums, np.bincount(labels, minlength=length))[1:]
