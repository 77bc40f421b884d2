"""Images and boxes per category: the one place that counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy


@dataclass(frozen=True)
class LabelCounts:
    """How often each label of one granularity occurs. Boxes around a crowd do not count.

    Attributes:
        total_images: the number of images, with and without boxes.
        images: for each label 1, 2, ..., the number of images with at least one box of it.
        boxes: for each label 1, 2, ..., the number of its boxes.
    """

    total_images: int
    images: tuple[int, ...]
    boxes: tuple[int, ...]


@dataclass(frozen=True)
class CategoryCounts:
    """How often categories occur, from which the counts at every level follow.

    Boxes around a crowd do not count.

    Attributes:
        total_images: the number of images, with and without boxes.
        boxes: the number of boxes by category id; no entry means 0.
        images: the number of images by what they show: the ids of the categories with a box,
            ascending. An image of two species of one genus is one image of the genus, which
            numbers by species could not tell.
    """

    total_images: int
    boxes: Mapping[int, int]
    images: Mapping[tuple[int, ...], int]

    @classmethod
    def of(cls, annotations: Annotations) -> CategoryCounts:
        """Counts all boxes and images of annotations."""
        counted = ~annotations.is_crowd
        ids, images = annotations.category_ids[counted], annotations.image_ids[counted]
        pairs = np.unique(np.column_stack([images, ids]), axis=0)
        starts = np.flatnonzero(np.diff(pairs[:, 0], prepend=np.nan))
        shown = (tuple(part.tolist()) for part in np.split(pairs[:, 1], starts[1:]) if len(part))
        return cls(len(annotations.images), _occurrences(ids), dict(Counter(shown)))

    def at(self, taxonomy: Taxonomy, granularity: Granularity) -> LabelCounts:
        """The counts of the labels at a level; categories without a label there do not count."""
        label_of = taxonomy.label_of_category(granularity)
        boxes, images = np.zeros((2, taxonomy.num_labels(granularity) + 1), np.int64)
        for category_id, count in self.boxes.items():
            boxes[label_of.get(category_id, 0)] += count
        for category_ids, count in self.images.items():
            images[list({label_of.get(i, 0) for i in category_ids})] += count
        return LabelCounts(self.total_images, tuple(images[1:].tolist()), tuple(boxes[1:].tolist()))


@dataclass(frozen=True)
class TrainingCounts:
    """How often each species was seen in training. Boxes around a crowd count.

    Attributes:
        boxes: the number of its boxes, by category id; no entry means 0.
        images: the number of images with a box of it, by category id; no entry means 0.
    """

    boxes: Mapping[int, int]
    images: Mapping[int, int]

    @classmethod
    def of(cls, annotations: Annotations) -> TrainingCounts:
        """Counts the boxes that a model was trained on."""
        counts = _count(annotations.category_ids, annotations.image_ids)
        return cls(counts.boxes, counts.images)


@dataclass(frozen=True)
class _Counts:
    """The numbers of boxes and of images by label or category id; those that occur."""

    boxes: dict[int, int]
    images: dict[int, int]


def _count(kinds: np.ndarray, image_ids: np.ndarray) -> _Counts:
    """Counts boxes and images.

    Args:
        kinds: int64 `[boxes]`, labels or category ids.
        image_ids: int64 `[boxes]`.
    """
    pairs = np.unique(np.column_stack([kinds, image_ids]), axis=0)
    return _Counts(boxes=_occurrences(kinds), images=_occurrences(pairs[:, 0]))


def _occurrences(values: np.ndarray) -> dict[int, int]:
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist()))
