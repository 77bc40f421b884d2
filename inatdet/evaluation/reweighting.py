"""Average precision on many parts of the images at once, from one ranking.

Where detections are ranked once for all images, the precision at a right detection in a part of the
images is the number of right ones that stand no later and lie in the part, by the number of all
such detections; `segments` counts them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inatdet.evaluation.average_precision import RECALLS, GroundTruth
from inatdet.evaluation.encounters import positions
from inatdet.evaluation.matching import Ranking
from inatdet.evaluation.segments import Curves, Marks, each_curve


def average_precisions(
    ranked: Ranking,
    marks: Sequence[Marks],
    parts: np.ndarray,
    boxes: np.ndarray | Sequence[np.ndarray],
) -> np.ndarray:
    """COCO's interpolated average precision of every class in every part of the images.

    Args:
        ranked: the detections.
        marks: ways to take them; each gives an average precision.
        parts: bool `[images, parts]`, which images belong to each part, by sorted id.
        boxes: int `[classes, parts]`, how many true boxes count, or one such array for each of
            `marks`; right detections are never more.

    Returns:
        float64 `[marks, classes, parts]`, in 0..1; 0 for classes without true boxes.
    """
    of_marks = [boxes] * len(marks) if isinstance(boxes, np.ndarray) else list(boxes)
    found = np.zeros((len(marks), len(ranked.starts) - 1, parts.shape[1]))

    def measure(part: int, mark: int, curves: Curves) -> None:
        sums = np.add.reduceat(curves.precision * curves.recalls, curves.firsts)
        found[mark, curves.classes, part] = sums / len(RECALLS)

    each_curve(ranked, marks, parts, of_marks, measure)
    return found


def interpolated_precisions(ranked: Ranking, marks: Marks, boxes: np.ndarray) -> np.ndarray:
    """COCO's interpolated precision of every class in all images.

    Args:
        ranked: the detections.
        marks: how they are taken.
        boxes: int `[classes]`, how many true boxes count.

    Returns:
        float64 `[classes, 101]`, at each of `RECALLS`; 0 where that recall is never reached.
    """
    found = np.zeros((len(boxes), len(RECALLS)))
    images = int(ranked.images.max(initial=-1)) + 1

    def measure(part: int, mark: int, curves: Curves) -> None:
        del part, mark
        counts = np.add.reduceat(curves.recalls, curves.firsts, dtype=np.int64)
        classes = np.repeat(curves.classes, counts)
        recalls = np.arange(len(classes)) - np.repeat(np.cumsum(counts) - counts, counts)
        found[classes, recalls] = np.repeat(curves.precision, curves.recalls)

    each_curve(ranked, [marks], np.ones((images, 1), bool), [boxes[:, None]], measure)
    return found


def boxes_of_parts(truth: GroundTruth, parts: np.ndarray) -> np.ndarray:
    """How many true boxes that count each part of the images has.

    Args:
        truth: the true boxes.
        parts: bool `[images, parts]`, by sorted id.

    Returns:
        int64 `[classes, parts]`.
    """
    counted = ~truth.is_crowd
    images = positions(truth.box_images[counted], truth.image_ids)
    return sums_of_classes(truth.labels[counted] - 1, images, truth.num_labels, parts)


def sums_of_classes(
    classes: np.ndarray, images: np.ndarray, num_classes: int, parts: np.ndarray
) -> np.ndarray:
    """How many of some things each class has in each part of the images.

    Args:
        classes: int `[n]`, the class of each, 0, 1, ...
        images: int `[n]`, the position of its image.
        num_classes: how many classes there are.
        parts: bool `[images, parts]`.

    Returns:
        int64 `[classes, parts]`.
    """
    from scipy import sparse  # it takes a while to load

    # Where one place is named several times, the ones add up.
    of_images = sparse.coo_matrix(
        (np.ones(len(images), np.int32), (classes, images)), (num_classes, len(parts))
    )
    sums: np.ndarray = of_images.tocsr() @ parts.astype(np.int32)
    return sums.astype(np.int64)
