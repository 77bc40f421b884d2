"""How near in the taxonomy the best labels are to the true one.

As in Bertinetto et al., "Making Better Mistakes", 2020: the height of the lowest common ancestor of
two labels is how many levels above them the first one is that contains both. The severity of
mistakes is its mean over the images whose best label is wrong; the hierarchical distance at k is
its mean over the k best labels of each image, averaged over all images, right ones included. So the
distance at 1 is the severity times the share of mistakes.

Heights are counted from the model's own level, where a right label has height 0. Where an image has
no prediction, or fewer than k labels, or one that the label spaces do not have, all that is known
is that it shows an animal, so each such place has the greatest height.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.evaluation.ancestors import pair_heights
from inatdet.evaluation.classification.guesses import Guesses
from inatdet.evaluation.rows import Row

DISTANCES = (1, 5, 20)
"""How many best labels the paper averages over."""


@dataclass(frozen=True)
class MistakeRow(Row):
    """The mistakes of one model. Heights are in levels.

    Attributes:
        model: the model.
        trained_on: the level of its labels.
        images: how many images count.
        mistakes: how many of them have another best label than the true one.
        greatest_height: that of the generic level above the model's own.
        severity: the mean height over mistakes; NaN without any.
        distance1: the hierarchical distance at 1.
        distance5: at 5; None where the five best labels are not known.
        distance20: at 20; None where these are not known.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "model", "trained_on", "images", "mistakes", "greatest_height", "severity", "distance1",
        "distance5", "distance20",
    )  # fmt: skip

    model: str
    trained_on: Granularity
    images: int
    mistakes: int
    greatest_height: int
    severity: float
    distance1: float
    distance5: float | None
    distance20: float | None

    @property
    def key(self) -> tuple[str, ...]:
        """The model."""
        return (self.model,)


def mistake_row(guesses: Guesses) -> MistakeRow:
    """How far off a model's best labels are.

    Args:
        guesses: the model's on the split.
    """
    truth, taxonomy, level = guesses.truth, guesses.split.taxonomy, guesses.level
    greatest = len(taxonomy.coarser_or_equal(level)) - 1
    labels = guesses.labels
    known = (labels != NO_LABEL) & truth.counted[:, np.newaxis]
    # Label 1 stands in where there is none: the height there is set below.
    of_truth = np.where(truth.counted, truth.labels, 1)[:, np.newaxis]
    height = pair_heights(np.where(known, labels, 1), of_truth, taxonomy, level)
    height[~known] = greatest
    distances = [most for most in DISTANCES if not guesses.why_unknown(most)]
    numbers = truth.means(np.stack([height[:, :most].mean(axis=1) for most in distances]))
    found = {most: number.shown() for most, number in zip(distances, numbers)}
    mistaken = truth.counted & ~guesses.right_among(1)
    severity = truth.means(height[np.newaxis, :, 0].astype(np.float64), among=mistaken)[0]
    return MistakeRow(
        guesses.model,
        level,
        truth.images,
        int(mistaken.sum()),
        greatest,
        severity.shown(),
        found[1],
        found.get(5),
        found.get(20),
    )
