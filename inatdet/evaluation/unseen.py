"""Species never seen in training: are they found, what are they taken for, and how confidently.

A species is unseen if its category is listed but has no species label. At the generic level it is
an animal like any other, and it may have a right genus or super-class even where no species can be
right. The measures of wrong confidence are those of open-set detection: Dhamija et al., "The
Overlooked Elephant of Object Detection: Open Set", 2020, and Joseph et al., "Towards Open World
Object Detection", 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.boxes import RIGHT_IOU
from inatdet.data.detections import Detections
from inatdet.data.granularity import Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.average_precision import MAX_DETECTIONS, GroundTruth, labels_of_boxes
from inatdet.evaluation.encounters import Encounters
from inatdet.evaluation.matching import Labelled
from inatdet.evaluation.overlaps import best_of_each_image
from inatdet.evaluation.rows import Cell, Row

RECALL = 0.8
"""The recall of seen species, in 0..1, at which open-set errors are counted, as in both papers."""


@dataclass(frozen=True)
class UnseenRow(Row):
    """What the species model does with unseen species.

    A box is found if it has an answer: a detection, whatever its label, that overlaps it by IoU .5.
    The best-scored detection of an image answers the box that it overlaps most; each box has one
    answer, and each detection is one.

    Attributes:
        unseen_boxes: the number of their true boxes.
        unseen_found: how many of them are found, in percent: recall of the unknown (U-Recall).
        seen_found: the same of the boxes of seen species.
        auroc: how well the score tells seen from unseen: the probability, in percent, that the
            answer of a seen box scores higher than that of an unseen one; 50 is chance. NaN
            unless both have answers.
        score: the score from which detections count below: the highest at which `RECALL` of the
            seen boxes have an answer with the right species, or as many as ever have.
        recall: the share of seen boxes with such an answer at that score, in percent.
        wilderness_impact: by how much detections on unseen boxes, each of which names a seen
            species, lower the precision at that score, in percent: their number over that of all
            other detections (precision without them / with them - 1). NaN without others.
        open_set_error: the number of unseen boxes that are called a seen species at that score
            (absolute open-set error).
    """

    columns: ClassVar[tuple[str, ...]] = (
        "unseen_boxes", "unseen_found", "seen_found", "AUROC", "score", "recall",
        "wilderness_impact", "open_set_error",
    )  # fmt: skip

    unseen_boxes: int
    unseen_found: float
    seen_found: float
    auroc: float
    score: float
    recall: float
    wilderness_impact: float
    open_set_error: int

    @property
    def key(self) -> tuple[str, ...]:
        """There is one row."""
        return ("unseen",)

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        shares = (self.unseen_found, self.seen_found, self.auroc)
        errors = (self.wilderness_impact, self.open_set_error)
        return (self.unseen_boxes, *shares, self.score, self.recall, *errors)


@dataclass(frozen=True)
class NamingRow(Row):
    """Whether boxes of unseen species are named rightly at a level.

    Attributes:
        level: the level, coarser than species.
        unseen_boxes: how many boxes of unseen species have a label at this level, because a seen
            species shares it.
        unseen_right: the share of them whose answer has that label, in percent; NaN without boxes.
        seen_right: the same of the boxes of seen species.
    """

    columns: ClassVar[tuple[str, ...]] = ("level", "unseen_boxes", "unseen_right", "seen_right")

    level: Granularity
    unseen_boxes: int
    unseen_right: float
    seen_right: float

    @property
    def key(self) -> tuple[str, ...]:
        """The level."""
        return (str(self.level),)

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""
        return (str(self.level), self.unseen_boxes, self.unseen_right, self.seen_right)


def unseen_rows(
    annotations: Annotations, found: Detections, taxonomy: Taxonomy
) -> tuple[tuple[UnseenRow, ...], tuple[NamingRow, ...]]:
    """The measures of unseen species; nothing where all species with a box were seen.

    Args:
        annotations: the images to evaluate and their boxes; those around a crowd do not count.
        found: detections of a species model in these images; the best 100 of each image count.
        taxonomy: the label spaces of the model.
    """
    counted = ~annotations.is_crowd
    boxes, box_images = annotations.boxes[counted], annotations.image_ids[counted]
    ids = annotations.category_ids[counted]
    is_seen = labels_of_boxes(ids, Granularity.SPECIES, taxonomy) > NO_LABEL
    if is_seen.all():
        return (), ()
    found = found.select(best_of_each_image(found.image_ids, found.scores, MAX_DETECTIONS[-1]))
    answer, nearest = _matches(boxes, box_images, found)
    has_answer = answer >= 0

    def right(level: Granularity) -> np.ndarray:
        """Whether the answer of each box has its label at a level."""
        labels = labels_of_boxes(ids, level, taxonomy)
        if not len(found):
            return np.zeros(len(labels), bool)
        named = np.where(has_answer, found.labels[level][answer], NO_LABEL)
        same: np.ndarray = (named == labels) & (labels > NO_LABEL)
        return same

    naming = []
    for level in taxonomy.levels[1:]:
        has_label, is_right = labels_of_boxes(ids, level, taxonomy) > NO_LABEL, right(level)
        nameable = ~is_seen & has_label
        naming.append(
            NamingRow(
                level, int(nameable.sum()), _share(is_right[nameable]), _share(is_right[is_seen])
            )
        )
    answer_scores = np.where(has_answer, np.append(found.scores, 0.0)[answer], -np.inf)
    is_right_species = right(Granularity.SPECIES)
    right_scores = np.sort(answer_scores[is_seen & is_right_species])[::-1]
    wanted = int(np.ceil(RECALL * is_seen.sum()))
    reached = right_scores[:wanted]
    score = float(reached[-1]) if len(reached) else np.nan
    counts = found.scores >= score
    on_unseen = counts & (nearest >= 0) & ~is_seen[nearest]
    others = int(counts.sum() - on_unseen.sum())
    row = UnseenRow(
        unseen_boxes=int((~is_seen).sum()),
        unseen_found=_share(has_answer[~is_seen]),
        seen_found=_share(has_answer[is_seen]),
        auroc=_auroc(answer_scores[is_seen & has_answer], answer_scores[~is_seen & has_answer]),
        score=score,
        recall=_share((is_right_species & (answer_scores >= score))[is_seen]),
        wilderness_impact=100.0 * int(on_unseen.sum()) / others if others else np.nan,
        open_set_error=int((~is_seen & (answer_scores >= score)).sum()),
    )
    return (row,), tuple(naming)


def _matches(
    boxes: np.ndarray, box_images: np.ndarray, found: Detections
) -> tuple[np.ndarray, np.ndarray]:
    """Which detection answers each box, and which box each detection lies on.

    Returns:
        int64 `[boxes]`, rows of detections, and int64 `[detections]`, rows of boxes: that which is
        overlapped most, by IoU .5 or more; -1 for none.
    """
    answer, nearest = np.full(len(boxes), -1, np.int64), np.full(len(found), -1, np.int64)
    # Backwards, because of equal overlaps the matching takes the last box, and here the first
    # one counts.
    back, last = slice(None, None, -1), len(boxes) - 1
    truth = GroundTruth(
        image_ids=np.unique(np.concatenate([box_images, found.image_ids])),
        num_labels=1,
        box_images=box_images[back],
        labels=np.ones(len(boxes), np.int64),
        boxes=boxes[back],
        areas=np.zeros(len(boxes)),
        is_crowd=np.zeros(len(boxes), bool),
    )
    met = Encounters.of(
        truth.image_ids,
        (truth.box_images, truth.boxes, truth.is_crowd),
        (found.image_ids, found.boxes, found.scores),
    )
    one_class = np.ones(len(found), np.int32)
    labelled = Labelled(truth, met, one_class, np.arange(len(boxes), dtype=np.int32))
    matched = labelled.matches(np.array([RIGHT_IOU]))
    took = matched.boxes[:, 0]
    answer[last - took[took >= 0]] = labelled.ranked.rows[matched.positions[took >= 0]]
    pairs = np.flatnonzero(met.ious >= RIGHT_IOU)
    pairs = pairs[np.lexsort((met.boxes[pairs], met.ious[pairs]))]  # what is written last stays
    nearest[met.rows[pairs]] = last - met.boxes[pairs]
    return answer, nearest


def _share(values: np.ndarray) -> float:
    """How many are true, in percent; NaN of nothing."""
    return 100.0 * float(values.mean()) if len(values) else np.nan


def _auroc(higher: np.ndarray, lower: np.ndarray) -> float:
    """The probability, in percent, that one of `higher` exceeds one of `lower`; ties count half."""
    if not len(higher) or not len(lower):
        return np.nan
    ordered = np.sort(lower)
    below, upto = (np.searchsorted(ordered, higher, side) for side in ("left", "right"))
    return 100.0 * float(((below + upto) / 2).mean() / len(lower))
