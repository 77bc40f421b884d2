"""How near in the taxonomy wrong answers are: the finest level at which each one is right.

The lowest common ancestor of two species is their label at the finest level that they share; its
height is how many levels it stands above the species, as in Bertinetto et al., "Making Better
Mistakes", 2020, where a mistake is the less severe the lower that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.rows import Cell, Row


@dataclass(frozen=True)
class AncestorRow(Row):
    """The true boxes whose answer is right at a level, but at no finer one.

    Attributes:
        level: the level.
        height: how many levels it stands above the species.
        boxes: how many true boxes have such an answer.
        share: the same in percent of all true boxes.
        right: the boxes with an answer that is right at this level, in percent of all true boxes:
            the sum of `share` up to here.
    """

    columns: ClassVar[tuple[str, ...]] = ("finest_right_level", "height", "boxes", "share", "right")

    level: Granularity
    height: int
    boxes: int
    share: float
    right: float

    @property
    def key(self) -> tuple[str, ...]:
        """The level."""
        return (str(self.level),)

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        return (str(self.level), self.height, self.boxes, self.share, self.right)


def heights(taxonomy: Taxonomy) -> np.ndarray:
    """The height of the lowest common ancestor of every two species.

    Returns:
        int8 `[species, species]`: positions in `taxonomy.levels`; 0 on the diagonal.
    """
    labels = np.arange(1, taxonomy.num_labels(Granularity.SPECIES) + 1)
    return pair_heights(labels[:, np.newaxis], labels, taxonomy)


def pair_heights(
    first: np.ndarray,
    second: np.ndarray,
    taxonomy: Taxonomy,
    level: Granularity = Granularity.SPECIES,
) -> np.ndarray:
    """The heights of the lowest common ancestors of pairs of labels.

    Args:
        first: integers of any shape, labels at `level`.
        second: the others, of the same shape or one that broadcasts to it.
        taxonomy: the label spaces.
        level: the level of both.

    Returns:
        int8: positions in `taxonomy.coarser_or_equal(level)`; 0 where both are the same.
    """
    levels = taxonomy.coarser_or_equal(level)
    found = np.full(np.broadcast_shapes(first.shape, second.shape), len(levels) - 1, np.int8)
    for height in range(len(levels) - 2, -1, -1):
        coarse = (taxonomy.coarsen(labels, level, levels[height]) for labels in (first, second))
        found[np.equal(*coarse)] = height
    return found


def ancestor_rows(matrix: np.ndarray, taxonomy: Taxonomy) -> tuple[AncestorRow, ...]:
    """One row per level, from fine to coarse; nothing without a true box.

    Args:
        matrix: int64 `[species, species + 1]` of `confusions.answers`.
        taxonomy: the label spaces.
    """
    total = int(matrix.sum())
    if not total:
        return ()
    counts = np.bincount(
        heights(taxonomy).ravel(), weights=matrix[:, :-1].ravel(), minlength=len(taxonomy.levels)
    )
    right = np.cumsum(counts)
    return tuple(
        AncestorRow(
            level,
            height,
            int(counts[height]),
            *(float(100.0 * n[height] / total) for n in (counts, right)),
        )
        for height, level in enumerate(taxonomy.levels)
    )


def mean_height(matrix: np.ndarray, height: np.ndarray, members: np.ndarray) -> float:
    """The mean height of the lowest common ancestors of answers and truth.

    Args:
        matrix: as for `ancestor_rows`.
        height: of `heights`.
        members: bool `[species]`, the true species that count.

    Returns:
        In levels, over the boxes with an answer, right ones included; NaN without any.
    """
    named = matrix[members, :-1]
    answered = named.sum()
    return float((named * height[members]).sum() / answered) if answered else np.nan
