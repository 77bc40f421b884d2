"""How much of a split a model's predictions cover, and what could not be counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.evaluation.classification.accuracy import Accuracy
from inatdet.evaluation.classification.guesses import Guesses
from inatdet.evaluation.classification.mistakes import DISTANCES
from inatdet.evaluation.rows import Row


@dataclass(frozen=True)
class CoverageRow(Row):
    """What a model's predictions say about the images of a split.

    Attributes:
        model: the model.
        trained_on: the level of its labels.
        split: the split.
        images: the images that count: those whose category has a label at the model's level.
        without_label: the other images of the split, which count only at coarser levels where
            their categories have labels.
        without_prediction: of `images`, those that the predictions leave out, which count as wrong.
        predicted: how many images of the split the predictions have.
        not_in_truth: how many images they have that are in none of the splits; ignored.
        fewer_than_5: of `images`, those with a prediction that has fewer than five labels, although
            others have as many; where a label is missing, the image is wrong.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "model", "trained_on", "split", "images", "without_label", "without_prediction",
        "predicted", "not_in_truth", "fewer_than_5",
    )  # fmt: skip

    model: str
    trained_on: Granularity
    split: str
    images: int
    without_label: int
    without_prediction: int
    predicted: int
    not_in_truth: int
    fewer_than_5: int

    @property
    def key(self) -> tuple[str, ...]:
        """The model and the split."""
        return self.model, self.split


@dataclass(frozen=True)
class LeftOut(Row):
    """Numbers that a model does not have, and why.

    Attributes:
        model: the model.
        split: the split, or empty for all of them.
        what: what is left out, such as `top5`, `table4` or `summed genus`.
        reason: why, as a clause without a full stop.
    """

    columns: ClassVar[tuple[str, ...]] = ("model", "split", "what", "reason")

    model: str
    split: str
    what: str
    reason: str

    @property
    def key(self) -> tuple[str, ...]:
        """The model, the split, and what is left out."""
        return self.model, self.split, self.what


def coverage_row(guesses: Guesses, known_images: np.ndarray) -> CoverageRow:
    """How much of the split the predictions cover.

    Args:
        guesses: the model's on the split.
        known_images: int64 `[images]`, the images of all splits that the predictions are for.
    """
    truth, found = guesses.truth, guesses.rows >= 0
    elsewhere = ~np.isin(guesses.predictions.image_ids, known_images)
    return CoverageRow(
        guesses.model,
        guesses.level,
        guesses.split.name,
        truth.images,
        len(truth.labels) - truth.images,
        int((truth.counted & ~found).sum()),
        int(found.sum()),
        int(elsewhere.sum()),
        guesses.fewer_than(5),
    )


def left_out(accuracy: Accuracy) -> Iterator[LeftOut]:
    """What Table 3 does not have of a model, on any split.

    Args:
        accuracy: the model's on the split.
    """
    guesses = accuracy.guesses
    for most, reason in accuracy.why_unknown.items():
        yield LeftOut(guesses.model, guesses.split.name, f"top{most}", reason)


def left_out_of_main(guesses: Guesses) -> Iterator[LeftOut]:
    """What the tables of the main split do not have of a model.

    Args:
        guesses: the model's on that split.
    """

    def row(what: str, reason: str) -> LeftOut:
        return LeftOut(guesses.model, guesses.split.name, what, reason)

    for most in DISTANCES:
        if reason := guesses.why_unknown(most):
            yield row(f"distance{most}", reason)
    if guesses.level is not Granularity.SPECIES:
        yield row("table4", f"the model was trained on {guesses.level} labels, not on species")
    if reason := guesses.why_uncalibrated(guesses.level):
        yield row("calibration", reason)
    for level, reason in guesses.why_not_summed.items():
        yield row(f"summed {level}", reason)
