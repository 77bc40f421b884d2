"""Images and boxes per category: the one place that counts them."""

from __future__ import annotations

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

    @classmethod
    def of(
        cls, annotations: Annotations, taxonomy: Taxonomy, granularity: Granularity
    ) -> LabelCounts:
        """Counts the labels of annotations.

        Args:
            annotations: all of its images count.
            taxonomy: the label spaces; boxes of a category without a label do not count.
            granularity: of the labels.
        """
        label_of = taxonomy.label_of_category(granularity)
        ids, position = np.unique(annotations.category_ids, return_inverse=True)
        label_of_id = np.array([label_of.get(i, 0) for i in ids.tolist()], np.int64)
        labels = label_of_id[position]
        counted = (labels > 0) & ~annotations.is_crowd
        counts = _count(labels[counted], annotations.image_ids[counted])
        everything = range(1, taxonomy.num_labels(granularity) + 1)
        return cls(
            total_images=len(annotations.images),
            images=tuple(counts.images.get(label, 0) for label in everything),
            boxes=tuple(counts.boxes.get(label, 0) for label in everything),
        )


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
