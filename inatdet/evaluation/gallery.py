"""The paper's Figure 7: detections drawn on images, green where the species is right, else red."""

from __future__ import annotations

import enum
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as PILImage

from inatdet.data.annotations import Annotations
from inatdet.data.records import Image
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation.coco import ground_truth_at
from inatdet.evaluation.detections import Detections
from inatdet.evaluation.drawing import RIGHT, WRONG, as_jpeg, draw_boxes, open_picture

RIGHT_IOU = 0.5
MIN_SCORE = 0.5
"""Beside an image's best detection, those with at least this score are drawn."""

MOST_DRAWN = 5
LONGEST_SIDE = 480


class Choose(str, enum.Enum):
    """Which images to show, judged by the best-scored detection of each.

    `BEST`: right, highest scores first. `WORST`: wrong, highest scores first. `RANDOM`: any.
    """

    BEST = "best"
    WORST = "worst"
    RANDOM = "random"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Picture:
    """An image with detections drawn on it.

    Attributes:
        image: of the dataset.
        chosen: why it is here.
        truth: the names of its true boxes.
        answer: the name of its best-scored detection.
        score: and its score.
        right: whether that is a true box's species, at IoU .5 or more.
        jpeg: the drawing.
    """

    image: Image
    chosen: Choose
    truth: tuple[str, ...]
    answer: str
    score: float
    right: bool
    jpeg: bytes


def pictures(
    annotations: Annotations,
    taxonomy: Taxonomy,
    detections: Detections,
    images_dir: str | os.PathLike[str],
    choose: Choose,
    count: int,
    *,
    name: str = "",
    granularity: Granularity = Granularity.SPECIES,
    seed: int = 0,
) -> tuple[Picture, ...]:
    """Chooses images and draws on them.

    Args:
        annotations: the images to choose from, with their true boxes.
        taxonomy: the label spaces.
        detections: in those images.
        images_dir: where the file names start from.
        choose: which images.
        count: how many at most.
        name: only images with a true box of this species or super-class.
        granularity: whose names are right or wrong.
        seed: makes the random choice repeatable.

    Raises:
        InputError: `name` is not in the taxonomy, or an image cannot be read.
    """
    names = taxonomy.names(granularity)
    truth = ground_truth_at(annotations, taxonomy, granularity)
    found = detections.select(detections.labels[granularity] > 0)
    right = _are_right(found, truth.box_images, truth.labels, truth.boxes, granularity)
    # Image by image, best first.
    order = np.lexsort((-found.scores, found.image_ids))
    ids, first = np.unique(found.image_ids[order], return_index=True)
    best = order[first]
    chosen = np.isin(ids, truth.box_images)
    if name:
        chosen &= np.isin(ids, _images_with(name, annotations, taxonomy))
    if choose is Choose.RANDOM:
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(chosen))[:count]
    else:
        chosen &= right[best] == (choose is Choose.BEST)
        rows = np.flatnonzero(chosen)
        rows = rows[np.argsort(-found.scores[best[rows]], kind="stable")][:count]
    images = {image.id: image for image in annotations.images}
    drawn = []
    for row in rows.tolist():
        last = first[row + 1] if row + 1 < len(first) else len(order)
        here = order[first[row] : last]
        image = images[int(ids[row])]
        labels = truth.labels[truth.box_images == image.id]
        found_names = [names[i - 1] for i in found.labels[granularity][here].tolist()]
        picture = open_picture(os.path.join(images_dir, image.file_name), "check --images_dir")
        picture = draw_detections(
            picture,
            found.boxes[here] / ([image.width, image.height] * 2),
            found_names,
            found.scores[here],
            right[here],
        )
        drawn.append(
            Picture(
                image,
                choose,
                tuple(names[i - 1] for i in np.unique(labels).tolist()),
                found_names[0],
                float(found.scores[here[0]]),
                bool(right[here[0]]),
                as_jpeg(picture),
            )
        )
    return tuple(drawn)


def are_right(
    boxes: np.ndarray, labels: np.ndarray, true_boxes: np.ndarray, true_labels: np.ndarray
) -> np.ndarray:
    """Which detections in an image have a true box of their label at `RIGHT_IOU` or more.

    Args:
        boxes: `[n, 4]`, `x, y, width, height`.
        labels: `[n]`.
        true_boxes: `[m, 4]`.
        true_labels: `[m]`, or the one that all have.

    Returns:
        Bool `[n]`.
    """
    right = np.zeros(len(boxes), bool)
    for box, label in zip(true_boxes, np.broadcast_to(true_labels, len(true_boxes))):
        right |= (labels == label) & (_overlap(boxes, box) >= RIGHT_IOU)
    return right


def draw_detections(
    picture: PILImage.Image,
    boxes: np.ndarray,
    names: Sequence[str],
    scores: np.ndarray,
    right: np.ndarray,
) -> PILImage.Image:
    """Draws the best detections on an image: the first, and of the next few the likely ones.

    Args:
        picture: RGB; it stays as it is.
        boxes: `[n, 4]`, `x, y, width, height` as fractions of the picture; best first.
        names: n of them.
        scores: `[n]`.
        right: bool `[n]`; these are drawn in green, others in red.

    Returns:
        The drawing, no side longer than `LONGEST_SIDE`.
    """
    count = max(1, int((scores[:MOST_DRAWN] >= MIN_SCORE).sum()))
    picture = picture.copy()
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    draw_boxes(
        picture,
        boxes[:count] * ([picture.width, picture.height] * 2),
        [f"{name} {score:.2f}" for name, score in zip(names[:count], scores.tolist())],
        [RIGHT if good else WRONG for good in right[:count].tolist()],
    )
    return picture


def _images_with(name: str, annotations: Annotations, taxonomy: Taxonomy) -> np.ndarray:
    ids = [c.id for c in taxonomy.species if name in (c.name, c.supercategory)]
    if not ids:
        raise InputError(f"{name!r} is neither a species nor a super-class of {annotations.path}")
    return annotations.image_ids[np.isin(annotations.category_ids, ids)]


def _are_right(
    found: Detections,
    box_images: np.ndarray,
    box_labels: np.ndarray,
    boxes: np.ndarray,
    granularity: Granularity,
) -> np.ndarray:
    """Bool `[detections]`: a true box of the same image and label overlaps by `RIGHT_IOU`."""
    right = np.zeros(len(found), bool)
    order = np.argsort(found.image_ids, kind="stable")
    start = np.searchsorted(found.image_ids[order], box_images, "left")
    end = np.searchsorted(found.image_ids[order], box_images, "right")
    labels = found.labels[granularity]
    for first, last, label, box in zip(start, end, box_labels, boxes):
        here = order[first:last]
        right[here] |= are_right(found.boxes[here], labels[here], box[np.newaxis], label)
    return right


def _overlap(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """IoU of `[n, 4]` with `[4]`, both x, y, width, height."""
    low = np.maximum(boxes[:, :2], box[:2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], box[:2] + box[2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    union = boxes[:, 2:].prod(axis=1) + box[2:].prod() - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
