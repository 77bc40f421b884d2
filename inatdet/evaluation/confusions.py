"""Which species are taken for which, and whether a wrong one is of the right super-class.

Every true box gets one answer: the label of the best-scored detection, of whatever label, that
overlaps it by IoU .5 or more and has not answered a better-overlapped box already. That is
hotcoco's confusion matrix; its last column stands for no answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inatdet.data.taxonomy import Category, Granularity, Taxonomy
from inatdet.evaluation.average_precision import MAX_DETECTIONS, OVERALL, GroundTruth, loaded
from inatdet.evaluation.overlaps import Overlaps, best_of_each_image

CONFUSION_COLUMNS = (
    "species", "super_class", "taken_for", "taken_for_super_class", "boxes", "share"
)  # fmt: skip
HIERARCHY_COLUMNS = (
    "super_class", "boxes", "right_species", "right_super_class", "wrong_super_class",
    "not_found", "hierarchical_error",
)  # fmt: skip


@dataclass(frozen=True)
class Confusion:
    """A species that was taken for another one.

    Attributes:
        species: what it is.
        taken_for: what it was said to be.
        boxes: how many of its true boxes.
        share: in percent of its true boxes.
    """

    species: Category
    taken_for: Category
    boxes: int
    share: float

    def cells(self) -> tuple[str | int | float, ...]:
        """One cell for each of `CONFUSION_COLUMNS`."""
        names = (self.species.name, self.species.supercategory)
        others = (self.taken_for.name, self.taken_for.supercategory)
        return (*names, *others, self.boxes, self.share)


@dataclass(frozen=True)
class HierarchyRow:
    """How far off the answers are in the taxonomy.

    Attributes:
        super_class: of the true boxes; `OVERALL`: all of them.
        boxes: how many.
        right_species: in percent of them.
        right_super_class: another species of the same super-class, in percent.
        wrong_super_class: a species of another super-class, in percent.
        not_found: no answer, in percent.
        hierarchical_error: over the boxes with an answer, the mean height of the lowest node
            of the taxonomy that holds both the answer and the truth, in percent of the tree's: 0
            the species, 50 the super-class, 100 any animal (as in Deng et al., "What Does
            Classifying More Than 10,000 Image Categories Tell Us?", 2010). NaN without an answer.
    """

    super_class: str
    boxes: int
    right_species: float
    right_super_class: float
    wrong_super_class: float
    not_found: float
    hierarchical_error: float

    def cells(self) -> tuple[str | int | float, ...]:
        """One cell for each of `HIERARCHY_COLUMNS`."""
        shares = (self.right_species, self.right_super_class, self.wrong_super_class)
        return (self.super_class, self.boxes, *shares, self.not_found, self.hierarchical_error)


def answers(truth: GroundTruth, columns: np.ndarray, found: Overlaps) -> np.ndarray:
    """The confusion matrix at the species granularity.

    Args:
        truth: the true boxes.
        columns: the detections; see `coco.result_columns`.
        found: their overlaps with the true boxes.

    Returns:
        int64 `[species, species + 1]`, true labels by answers, each 1.. in order; the last column
        is true boxes without an answer.
    """
    # All others answer for no box, whose number is not asked here.
    answering = found.any_label & best_of_each_image(columns, MAX_DETECTIONS[-1])
    evaluation = loaded(truth, columns[answering])
    matrix = evaluation.confusion_matrix(iou_thr=0.5, max_det=MAX_DETECTIONS[-1])["matrix"]
    return matrix[:-1].astype(np.int64)


def confusions(matrix: np.ndarray, taxonomy: Taxonomy) -> tuple[Confusion, ...]:
    """All pairs of species that were confused, the most frequent first.

    Args:
        matrix: of `answers`.
        taxonomy: the label spaces.
    """
    boxes = matrix.sum(axis=1)
    wrong = matrix[:, :-1].copy()
    np.fill_diagonal(wrong, 0)
    rows, columns = np.nonzero(wrong)
    order = np.argsort(-wrong[rows, columns], kind="stable")
    return tuple(
        Confusion(
            taxonomy.species[row],
            taxonomy.species[column],
            int(wrong[row, column]),
            100.0 * float(wrong[row, column] / boxes[row]),
        )
        for row, column in zip(rows[order].tolist(), columns[order].tolist())
    )


def hierarchy_rows(matrix: np.ndarray, taxonomy: Taxonomy) -> tuple[HierarchyRow, ...]:
    """A row for each super-class with true boxes, then one for all of them.

    Args:
        matrix: of `answers`.
        taxonomy: the label spaces.
    """
    labels = np.arange(1, len(taxonomy.species) + 1)
    of_species = taxonomy.coarsen(labels, Granularity.SPECIES, Granularity.SUPER)
    same = of_species[:, None] == of_species
    named = matrix[:, :-1]
    boxes = matrix.sum(axis=1)
    right = named.diagonal()
    near = (named * same).sum(axis=1) - right
    far = named.sum(axis=1) - right - near
    missed = matrix[:, -1]

    def row(name: str, members: np.ndarray) -> HierarchyRow:
        total = boxes[members].sum()
        counts = [x[members].sum() for x in (right, near, far, missed)]
        answered = total - counts[3]
        error = (50.0 * counts[1] + 100.0 * counts[2]) / answered if answered else np.nan
        return HierarchyRow(
            name, int(total), *(100.0 * float(c / total) for c in counts), float(error)
        )

    parts = {name: of_species == label for label, name in enumerate(taxonomy.super_classes, 1)} | {
        OVERALL: np.ones(len(labels), bool)
    }
    return tuple(row(name, part) for name, part in parts.items() if boxes[part].sum())
