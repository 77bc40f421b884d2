"""Which species are mistaken for which, and whether at least the super-class is right.

Every true box gets one answer: the label of the best-scored detection, whatever its label, that
overlaps the box by IoU .5 or more and has not already answered a box that it overlaps better. That
is hotcoco's confusion matrix; its last column stands for no answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.categories import Category
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.ancestors import heights, mean_height
from inatdet.evaluation.average_precision import MAX_DETECTIONS, OVERALL, loaded
from inatdet.evaluation.matching import Labelled
from inatdet.evaluation.overlaps import best_of_each_image
from inatdet.evaluation.rows import Cell, Row


@dataclass(frozen=True)
class Confusion(Row):
    """A species that was mistaken for another one.

    Attributes:
        species: the true species.
        taken_for: the species in the answer.
        boxes: how many of its true boxes got that answer.
        share: the same in percent of its true boxes.
        shared: the finest level at which both have the same label.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "species", "super_class", "taken_for", "taken_for_super_class", "boxes", "share",
        "shared_level",
    )  # fmt: skip

    species: Category
    taken_for: Category
    boxes: int
    share: float
    shared: Granularity

    @property
    def key(self) -> tuple[str, ...]:
        """The ids of both categories."""
        return str(self.species.id), str(self.taken_for.id)

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        names = (self.species.name, self.species.supercategory)
        others = (self.taken_for.name, self.taken_for.supercategory)
        return (*names, *others, self.boxes, self.share, str(self.shared))


@dataclass(frozen=True)
class HierarchyRow(Row):
    """How far off the answers are in the taxonomy.

    Attributes:
        super_class: that of the true boxes, or `OVERALL` for all of them.
        boxes: how many true boxes there are.
        right_species: the share answered with the right species, in percent.
        right_super_class: with another species of the same super-class, in percent.
        wrong_super_class: with a species of another super-class, in percent.
        not_found: without an answer, in percent.
        hierarchical_error: over the boxes with an answer, the mean height of the lowest node of
            the taxonomy that contains both answer and truth, in percent of the tree's height,
            which is its number of levels above the species: without ranks, 0 is the species, 50
            the super-class, 100 any animal (as in Deng et al., "What Does Classifying More Than
            10,000 Image Categories Tell Us?", 2010). NaN without an answer.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "super_class", "boxes", "right_species", "right_super_class", "wrong_super_class",
        "not_found", "hierarchical_error",
    )  # fmt: skip

    super_class: str
    boxes: int
    right_species: float
    right_super_class: float
    wrong_super_class: float
    not_found: float
    hierarchical_error: float

    @property
    def key(self) -> tuple[str, ...]:
        """The super-class."""
        return (self.super_class,)

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        shares = (self.right_species, self.right_super_class, self.wrong_super_class)
        return (self.super_class, self.boxes, *shares, self.not_found, self.hierarchical_error)


def answers(labelled: Labelled) -> np.ndarray:
    """The confusion matrix at the species granularity.

    Args:
        labelled: the detections and true boxes.

    Returns:
        int64 `[species, species + 1]`: true labels 1, 2, ... down, answers 1, 2, ... across; the
        last column counts true boxes without an answer.
    """
    truth, met, labels = labelled.truth, labelled.met, labelled.labels
    most = MAX_DETECTIONS[-1]
    # The best of each image; of them, those that overlap nothing answer no box, and how many they
    # are is not asked here.
    counted = np.flatnonzero(labels)
    counted = counted[best_of_each_image(met.images[counted], met.scores[counted], most)]
    answering = np.zeros(len(labels), bool)
    pairs, boxes = met.reaching_half()
    answering[pairs[labelled.truth_rows[boxes] >= 0]] = True
    rows = counted[answering[counted]]
    columns = np.empty((len(rows), 7))
    columns[:, 0] = np.sort(truth.image_ids)[met.images[rows]]
    columns[:, 1:5] = met.found_boxes[rows]
    columns[:, 5], columns[:, 6] = met.scores[rows], labels[rows]
    evaluation = loaded(truth, columns)
    found_for = evaluation.confusion_matrix(iou_thr=0.5, max_det=most)["matrix"]
    matrix: np.ndarray = found_for[:-1].astype(np.int64)
    return matrix


def confusions(matrix: np.ndarray, taxonomy: Taxonomy) -> tuple[Confusion, ...]:
    """All pairs of species that were confused, the most frequent first.

    Args:
        matrix: of `answers`.
        taxonomy: the label spaces.
    """
    boxes = matrix.sum(axis=1)
    height = heights(taxonomy)
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
            taxonomy.levels[height[row, column]],
        )
        for row, column in zip(rows[order].tolist(), columns[order].tolist())
    )


def hierarchy_rows(matrix: np.ndarray, taxonomy: Taxonomy) -> tuple[HierarchyRow, ...]:
    """One row per super-class with true boxes, then one for all of them.

    Args:
        matrix: of `answers`.
        taxonomy: the label spaces.
    """
    height = heights(taxonomy)
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
        error = 100.0 * mean_height(matrix, height, members) / (len(taxonomy.levels) - 1)
        shares = [100.0 * float(count / total) for count in counts]
        return HierarchyRow(
            name, int(total), shares[0], shares[1], shares[2], shares[3], float(error)
        )

    parts = {name: of_species == label for label, name in enumerate(taxonomy.super_classes, 1)} | {
        OVERALL: np.ones(len(labels), bool)
    }
    return tuple(row(name, part) for name, part in parts.items() if boxes[part].sum())
