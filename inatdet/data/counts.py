"""TODO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.taxonomy import Granularity, Taxonomy

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class LabelCounts:
    """The labels of one granularity in some images. Boxes around a crowd do not count.

    Attributes:
        total_images: how many images there are.
        images: how many have at least one box of label 1, 2, ...
        boxes: how many boxes each label has.
    """

    total_images: int
    images: tuple[int, ...]
    boxes: tuple[int, ...]


def _at_each_granularity(
    annotations: Annotations, taxonomy: Taxonomy
) -> dict[Granularity, LabelCounts]:
    return {granularity: _count(annotations, taxonomy, granularity) for granularity in Granularity}


def _count(annotations: Annotations, taxonomy: Taxonomy, granularity: Granularity) -> LabelCounts:
    label_of = taxonomy.label_of_category(granularity)
    ids, position = np.unique(annotations.category_ids, return_inverse=True)
    label_of_id = np.array([label_of.get(category_id, 0) for category_id in ids.tolist()], np.int64)
    labels = label_of_id[position]
    counted = (labels > 0) & ~annotations.is_crowd
    labels, image_ids = labels[counted] - 1, annotations.image_ids[counted]
    pairs = np.unique(np.stack([image_ids, labels]), axis=1)
    size = taxonomy.num_labels(granularity)
    return LabelCounts(
        total_images=len(annotations.images),
        images=tuple(np.bincount(pairs[1], minlength=size).tolist()),
        boxes=tuple(np.bincount(labels, minlength=size).tolist()),
    )


@dataclass(frozen=True)
class TrainingCounts:
    """How often each species was seen in training; by category id, 0 where there is no entry.

    Attributes:
        boxes: its boxes.
        images: the images with a box of it.
    """

    boxes: Mapping[int, int]
    images: Mapping[int, int]

    @classmethod
    def of(cls, annotations: Annotations) -> TrainingCounts:
        """Counts the boxes that a model was trained on."""
        pairs = np.column_stack([annotations.category_ids, annotations.image_ids])
        return cls(_counted(pairs[:, 0]), _counted(np.unique(pairs, axis=0)[:, 0]))


def _counted(values: np.ndarray) -> dict[int, int]:
    return dict(zip(*(x.tolist() for x in np.unique(values, return_counts=True))))
