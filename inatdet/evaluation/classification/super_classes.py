"""Table 4: a species model by super-class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.evaluation.average_precision import OVERALL
from inatdet.evaluation.classification.accuracy import Accuracy
from inatdet.evaluation.rows import Row
from inatdet.evaluation.super_classes import classes_of_super_classes


@dataclass(frozen=True)
class Table4Row(Row):
    """One model in one super-class, or overall.

    As in the paper, accuracies are computed for each species and averaged over the species.

    Attributes:
        model: the model.
        super_class: its name, or `OVERALL`.
        species: how many species it has.
        mean_train_images: the mean of their training images; None where these are not known.
        with_images: how many of the species have an image in the split; the means are over these.
        images: how many images that is.
        top1: the mean of the species' top-1 accuracies, in percent; NaN without any.
        top5: the same for the best five labels; None where these are not known.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "model", "super_class", "species", "mean_train_images", "with_images", "images", "top1",
        "top5",
    )  # fmt: skip

    model: str
    super_class: str
    species: int
    mean_train_images: float | None
    with_images: int
    images: int
    top1: float
    top5: float | None

    @property
    def key(self) -> tuple[str, ...]:
        """The model and the super-class."""
        return self.model, self.super_class


def table4_rows(accuracy: Accuracy, train_images: np.ndarray | None) -> tuple[Table4Row, ...]:
    """Table 4: one row per super-class, then `OVERALL`, the mean over all species.

    Args:
        accuracy: that of a species model on the split.
        train_images: int64 `[species]`, how many training images each has; None: not known.
    """
    guesses, images = accuracy.guesses, accuracy.guesses.truth.of_classes
    members = {
        **classes_of_super_classes(guesses.split.taxonomy),
        OVERALL: np.ones(len(images), bool),
    }
    return tuple(
        Table4Row(
            guesses.model,
            name,
            int(species.sum()),
            None if train_images is None else float(train_images[species].mean()),
            int((images[species] > 0).sum()),
            int(images[species].sum()),
            accuracy.of_classes[1].mean(species).shown(),
            accuracy.top5_of_classes(species),
        )
        for name, species in members.items()
        if species.any()
    )
