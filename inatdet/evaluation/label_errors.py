"""Likely errors of the annotations: true boxes that confident detections contradict.

What is confident follows from the model itself, as in confident learning (Northcutt et al.,
"Confident Learning: Estimating Uncertainty in Dataset Labels", 2021): a detection is, if its score
reaches the mean score that the model gives its label on the boxes annotated with it. So nothing has
to be set, and a model whose scores are low, or low for some labels, is read like others. A label
that the model gives none of its boxes is one that it does not know: its boxes are not judged, and
detections of it are not confident.

- A label is likely wrong where a confident detection on the box gives another label, with a higher
  score than any detection on it gives the annotated one, and no confident one gives that. A
  detection that is on a box of its own label contradicts no other box; any other one contradicts,
  of the boxes that it is on, the one that it overlaps most.
- A box is likely misplaced where a confident detection of its label is near it but on no box, and
  no confident one is on it.
- A box is likely missing where a confident detection is near none.

A detection is on a box from an IoU of .5, near it from .1 on. Crowds are not judged. Boxes without
a label at the model's level neither, but an animal in one is not missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.annotations import Annotations, Image
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.average_precision import labels_of_boxes
from inatdet.evaluation.contradictions import Pairs, contradictions
from inatdet.evaluation.matching import Labelled
from inatdet.evaluation.rows import Cell, Row

MOST_LISTED = 1000
"""How many entries each list has at most, unless told otherwise."""

Box = tuple[float, float, float, float]
"""`x, y, width, height` in pixels."""

_SIDES = ("x", "y", "width", "height")


@dataclass(frozen=True)
class WrongLabel(Row):
    """A true box whose label is likely wrong.

    Attributes:
        level: the level of both labels, and of the model.
        image: the image.
        box_id: the id of the annotation.
        box: the true box.
        annotated: the name of its label.
        named: the label of the best detection against it.
        doubt: by how many percent `annotated_score` is less than the mean that the model gives this
            label on the boxes annotated with it; 100 where no detection on the box has it.
        named_score: the score of that detection.
        annotated_score: that of the best detection on the box with the annotated label; 0 without
            one.
        iou: of the detection with the box.
        found: the box of the detection.
        shared: the finest level at which both labels are one.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "image", "file_name", "annotation", "annotated", "named", "doubt", "named_score",
        "annotated_score", "IoU", *_SIDES, "level", "shared_level",
    )  # fmt: skip

    level: Granularity
    image: Image
    box_id: int
    box: Box
    annotated: str
    named: str
    doubt: float
    named_score: float
    annotated_score: float
    iou: float
    found: Box
    shared: Granularity

    @property
    def key(self) -> tuple[str, ...]:
        """The annotation's id."""
        return (str(self.box_id),)

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        names = (
            str(self.image.id),
            self.image.file_name,
            str(self.box_id),
            self.annotated,
            self.named,
        )
        scores = (self.doubt, self.named_score, self.annotated_score, self.iou)
        return (*names, *scores, *self.box, str(self.level), str(self.shared))


@dataclass(frozen=True)
class MisplacedBox(Row):
    """A true box that is likely in the wrong place.

    Attributes:
        level: the level of the label, and of the model.
        image: the image.
        box_id: the id of the annotation.
        box: the true box.
        annotated: the name of its label.
        doubt: by how many percent `score_here` is less than the mean that the model gives this
            label on the boxes annotated with it; 100 where no detection on the box has it.
        score: the score of the best detection of the label beside the box.
        score_here: that of the best detection of the label on the box; 0 without one.
        iou: of the detection with the box.
        found: the box of the detection.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "image", "file_name", "annotation", "annotated", "doubt", "score", "score_here", "IoU",
        *_SIDES, *(f"found_{side}" for side in _SIDES), "level",
    )  # fmt: skip

    level: Granularity
    image: Image
    box_id: int
    box: Box
    annotated: str
    doubt: float
    score: float
    score_here: float
    iou: float
    found: Box

    @property
    def key(self) -> tuple[str, ...]:
        """The annotation's id."""
        return (str(self.box_id),)

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        names = (str(self.image.id), self.image.file_name, str(self.box_id), self.annotated)
        scores = (self.doubt, self.score, self.score_here, self.iou)
        return (*names, *scores, *self.box, *self.found, str(self.level))


@dataclass(frozen=True)
class MissingBox(Row):
    """A detection of an animal that likely lacks a box; the best one where several overlap.

    Attributes:
        level: the level of the label, and of the model.
        image: the image.
        named: the name of its label.
        score: its score.
        iou: its highest with a true box; of a crowd, the share of the detection inside of it.
        found: its box.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "image", "file_name", "named", "score", "IoU", *_SIDES, "level",
    )  # fmt: skip

    level: Granularity
    image: Image
    named: str
    score: float
    iou: float
    found: Box

    @property
    def key(self) -> tuple[str, ...]:
        """The image's id, and where the detection is."""
        return (str(self.image.id), *map(str, self.found))

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        names = (str(self.image.id), self.image.file_name, self.named)
        return (*names, self.score, self.iou, *self.found, str(self.level))


@dataclass(frozen=True)
class LabelErrors:
    """What is likely wrong with the annotations, as one model sees it.

    Attributes:
        level: the model's.
        boxes: how many true boxes were judged.
        labels: those whose label is likely wrong, the most doubtful first; of equal doubt, the
            higher score first.
        places: those that are likely misplaced, in the same order.
        missing: boxes that are likely missing, the highest scores first.
        found: how many there are of each, also those that would make the lists too long.
    """

    level: Granularity
    boxes: int
    labels: tuple[WrongLabel, ...]
    places: tuple[MisplacedBox, ...]
    missing: tuple[MissingBox, ...]
    found: tuple[int, int, int]


def label_errors(
    annotations: Annotations,
    taxonomy: Taxonomy,
    level: Granularity,
    labelled: Labelled,
    most: int = MOST_LISTED,
) -> LabelErrors:
    """Lists what a model contradicts; the rules are those of this module.

    Args:
        annotations: the images that count, with all their boxes.
        taxonomy: the label spaces.
        level: that of the model.
        labelled: its detections; the boxes that they met are all those of `annotations`. Where
            scores are negative, as logits are, they support nothing.
        most: how many entries each list has at most.
    """
    labels = labels_of_boxes(annotations.category_ids, level, taxonomy)
    found = contradictions(annotations, labels, labelled)
    images = sorted(annotations.images, key=lambda image: image.id)
    names = ("", *taxonomy.names(level))
    met = labelled.met
    scores = met.scores

    def image_of(row: int) -> Image:
        image: Image = images[met.images[row]]
        return image

    def label_of(row: int) -> int:
        return int(labelled.labels[row])

    wrong = [
        WrongLabel(
            level=level,
            image=image_of(row),
            box_id=int(annotations.box_ids[box]),
            box=_box(annotations.boxes[box]),
            annotated=names[labels[box]],
            named=names[label_of(row)],
            doubt=doubt,
            named_score=float(scores[row]),
            annotated_score=float(found.own_scores[box]),
            iou=iou,
            found=_box(met.found_boxes[row]),
            shared=_shared_level(taxonomy, level, np.array([labels[box], label_of(row)])),
        )
        for row, box, iou, doubt in _most_doubtful(found.labels, scores, found.doubts, most)
    ]
    misplaced = [
        MisplacedBox(
            level=level,
            image=image_of(row),
            box_id=int(annotations.box_ids[box]),
            box=_box(annotations.boxes[box]),
            annotated=names[labels[box]],
            doubt=doubt,
            score=float(scores[row]),
            score_here=float(found.own_scores[box]),
            iou=iou,
            found=_box(met.found_boxes[row]),
        )
        for row, box, iou, doubt in _most_doubtful(found.places, scores, found.doubts, most)
    ]
    best = np.lexsort((found.alone, -scores[found.alone]))[:most]  # the last key counts most
    missing = [
        MissingBox(
            level=level,
            image=image_of(row),
            named=names[label_of(row)],
            score=float(scores[row]),
            iou=iou,
            found=_box(met.found_boxes[row]),
        )
        for row, iou in zip(found.alone[best].tolist(), found.alone_ious[best].tolist())
    ]
    return LabelErrors(
        level=level,
        boxes=int(found.judged.sum()),
        labels=tuple(wrong),
        places=tuple(misplaced),
        missing=tuple(missing),
        found=(len(found.labels), len(found.places), len(found.alone)),
    )


def _most_doubtful(
    pairs: Pairs, scores: np.ndarray, doubts: np.ndarray, most: int
) -> Iterator[tuple[int, int, float, float]]:
    """The first entries of a list: a detection, a box, their IoU, and the doubt about the box."""
    doubts = doubts[pairs.boxes]
    order = np.lexsort((pairs.boxes, -scores[pairs.rows], -doubts))[:most]  # the last counts most
    listed = pairs.select(order)
    return zip(
        listed.rows.tolist(), listed.boxes.tolist(), listed.ious.tolist(), doubts[order].tolist()
    )


def _box(sides: np.ndarray) -> Box:
    x, y, width, height = sides.tolist()
    return x, y, width, height


def _shared_level(taxonomy: Taxonomy, level: Granularity, labels: np.ndarray) -> Granularity:
    """The finest level at which labels of a level are one; at the coarsest, all are."""
    coarser = taxonomy.coarser_or_equal(level)
    shared = (at for at in coarser if len(np.unique(taxonomy.coarsen(labels, level, at))) == 1)
    return next(shared)
