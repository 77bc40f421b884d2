"""Which labels are mistaken for which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.evaluation.ancestors import pair_heights
from inatdet.evaluation.classification.accuracy import super_classes_of
from inatdet.evaluation.classification.guesses import Guesses, Rule
from inatdet.evaluation.rows import Row


@dataclass(frozen=True)
class ConfusionRow(Row):
    """A label of which some images were taken for another one.

    Attributes:
        model: the model.
        level: the level of both labels.
        label: the true label.
        taken_for_label: the best label of those images.
        name: of the true label.
        super_class: the super-class that it lies in; empty at coarser levels.
        taken_for: the name of the other.
        taken_for_super_class: the super-class that it lies in; empty at coarser levels.
        images: how many images.
        share: the same in percent of the true label's images.
        shared_level: the finest level at which both have the same label.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "model", "level", "name", "super_class", "taken_for", "taken_for_super_class", "images",
        "share", "shared_level",
    )  # fmt: skip

    model: str
    level: Granularity
    label: int
    taken_for_label: int
    name: str
    super_class: str
    taken_for: str
    taken_for_super_class: str
    images: int
    share: float
    shared_level: Granularity

    @property
    def key(self) -> tuple[str, ...]:
        """The model and the numbers of both labels."""
        return self.model, str(self.label), str(self.taken_for_label)


def confusion_rows(guesses: Guesses) -> tuple[ConfusionRow, ...]:
    """All pairs of labels that were confused, the most frequent first, then by their numbers.

    Args:
        guesses: the model's on the split.
    """
    taxonomy, level, truth = guesses.split.taxonomy, guesses.level, guesses.truth
    best = guesses.best(level, Rule.OWN)
    wrong = truth.counted & (best != NO_LABEL) & (best != truth.labels)
    pairs, images = np.unique(
        truth.labels[wrong] * np.int64(truth.num_labels + 1) + best[wrong], return_counts=True
    )
    order = np.argsort(-images, kind="stable")
    images = images[order]
    labels, others = np.divmod(pairs[order], truth.num_labels + 1)
    percent = 100.0 * images / truth.of_classes[labels - 1]
    height = pair_heights(labels, others, taxonomy, level)
    names, super_classes = taxonomy.names(level), super_classes_of(taxonomy, level)
    levels = taxonomy.coarser_or_equal(level)
    return tuple(
        ConfusionRow(
            guesses.model,
            level,
            label,
            other,
            names[label - 1],
            super_classes[label - 1],
            names[other - 1],
            super_classes[other - 1],
            count,
            share,
            levels[above],
        )
        for label, other, count, share, above in zip(
            labels.tolist(), others.tolist(), images.tolist(), percent.tolist(), height.tolist()
        )
    )
