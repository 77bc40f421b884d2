"""Where detections meet true boxes: what is the same whatever their labels, found once per file.

Levels and rules of merging differ in labels, and in which detections are left; scores, images and
overlaps stay. So detections are sorted by score and compared with the true boxes once, and each row
of a table selects from that.
"""

from __future__ import annotations

import concurrent.futures
import functools
import os
from dataclasses import dataclass

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.boxes import iou

LEAST_IOU = 0.1
"""Pairs that overlap less are not kept; no measure depends on them."""

_ROWS_AT_ONCE = 1 << 16  # per thread; they stay in its cache


@dataclass(frozen=True, eq=False)
class Encounters:
    """The detections of one file and the true boxes that they overlap.

    For a crowd, the share of the detection that lies on it takes the place of IoU.

    Attributes:
        images: int32 `[detections]`, the position of each one's image among the sorted ids.
        scores: float64 `[detections]`.
        found_boxes: float64 `[detections, 4]`.
        rows: int32 `[pairs]`, the detection of each pair.
        boxes: int32 `[pairs]`, its true box. Of each detection's pairs, those with crowds come
            last; otherwise the boxes come in the order of the truth.
        ious: float64 `[pairs]`, `LEAST_IOU` or more unless told otherwise.
    """

    images: np.ndarray
    scores: np.ndarray
    found_boxes: np.ndarray
    rows: np.ndarray
    boxes: np.ndarray
    ious: np.ndarray

    @classmethod
    def of(
        cls,
        image_ids: np.ndarray,
        true_boxes: tuple[np.ndarray, np.ndarray, np.ndarray],
        found: tuple[np.ndarray, np.ndarray, np.ndarray],
        least: float = LEAST_IOU,
    ) -> Encounters:
        """Compares detections with the true boxes of their images.

        Args:
            image_ids: int `[images]`, all images.
            true_boxes: of each true box the image's id, `[boxes]`, the box, `[boxes, 4]`, and
                whether it is a crowd, `[boxes]`.
            found: of each detection the image's id, `[detections]`, the box, `[detections, 4]`,
                and the score, `[detections]`.
            least: pairs that overlap less are not kept.
        """
        box_images, boxes, is_crowd = true_boxes
        found_images, found_boxes, scores = found
        at = positions(box_images, image_ids)
        order = np.lexsort((is_crowd, at)).astype(np.int32)
        first = np.searchsorted(at[order], np.arange(len(image_ids) + 1))
        images = positions(found_images, image_ids)

        def part(start: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
            near = []
            block = images[start : start + _ROWS_AT_ONCE]
            own = found_boxes[start : start + _ROWS_AT_ONCE]
            begin, left = first[block], np.diff(first)[block]
            nth = 0
            while len(rows := np.flatnonzero(left > nth)):
                box = order[begin[rows] + nth]
                ious = iou(own[rows], boxes[box], is_crowd[box])
                close = ious >= least
                near.append(((start + rows[close]).astype(np.int32), box[close], ious[close]))
                nth += 1
            return near

        near = [(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0))]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
            for some in threads.map(part, range(0, len(images), _ROWS_AT_ONCE)):
                near += some
        pairs = [np.concatenate(column) for column in zip(*near)]
        return cls(images, scores, found_boxes, *pairs)

    @classmethod
    def among(
        cls,
        annotations: Annotations,
        found: tuple[np.ndarray, np.ndarray, np.ndarray],
        least: float = LEAST_IOU,
    ) -> Encounters:
        """Compares detections in images of annotations with all boxes there; see `of`."""
        return cls.of(
            np.array([image.id for image in annotations.images], np.int64),
            (annotations.image_ids, annotations.boxes, annotations.is_crowd),
            found,
            least,
        )

    @property
    def areas(self) -> np.ndarray:
        """The areas of the detections, float64 `[detections]`, in square pixels."""
        product: np.ndarray = self.found_boxes[:, 2] * self.found_boxes[:, 3]
        return product

    def reaching_half(self) -> tuple[np.ndarray, np.ndarray]:
        """The pairs with an IoU of about .5 or more, as `rows` and `boxes`.

        An IoU within 1e-6 below .5 counts too, because libraries may round differently.
        """
        close = self.ious >= 0.5 - 1e-6
        return self.rows[close], self.boxes[close]

    @functools.cached_property
    def best_first(self) -> np.ndarray:
        """The rows by score, the best first, int32 `[detections]`.

        Of equal scores the image with the smaller id comes first and, within an image, the earlier
        row.
        """
        order = stable_order(self.images, int(self.images.max(initial=0)) + 1)
        by_score: np.ndarray = order[np.argsort(-self.scores[order], kind="stable")]
        return by_score


def positions(image_ids: np.ndarray, of: np.ndarray) -> np.ndarray:
    """The positions of images among other ids once those are sorted.

    Args:
        image_ids: int `[n]`; fastest where equal ones follow each other.
        of: int `[images]`, among which all of them are.

    Returns:
        int32 `[n]`.
    """
    changes = np.flatnonzero(np.diff(image_ids, prepend=np.nan))
    found = np.searchsorted(np.sort(of), image_ids[changes]).astype(np.int32)
    return np.repeat(found, np.diff(changes, append=len(image_ids)))


def stable_order(values: np.ndarray, bound: int) -> np.ndarray:
    """The order that sorts whole numbers in 0..bound - 1, int32; equal ones stay as they are."""
    if (values[1:] >= values[:-1]).all():
        return np.arange(len(values), dtype=np.int32)
    if bound <= 1 << 16:
        values = values.astype(np.uint16)  # which NumPy sorts in linear time
    return np.argsort(values, kind="stable").astype(np.int32)
