"""The table of detections that everything in this package works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError

NO_LABEL = 0
"""The label of a detection whose category has none at a granularity."""

MOST_DETECTIONS = 1 << 27
"""In one file: 27 times what 100 detections in every image of iNat2017's validation files make, and
some 10 GB of memory. A file that claims more is damaged."""

_MOST_PIXELS = 2.0**31
"""No image is larger, and areas of boxes below it are far from infinite."""


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of one model in one file. Row i of every column is the i-th detection.

    Attributes:
        path: where they were read from.
        trained_on: the granularity of the model's labels.
        image_ids: int64 `[detections]`.
        labels: at each granularity no finer than `trained_on`, int64 `[detections]`: labels of the
            taxonomy that they were read with, or `NO_LABEL`. (A species without a box in the
            ground truth has no label among the species, but counts as an animal all the same.)
        scores: float64 `[detections]`.
        boxes: float64 `[detections, 4]`, `x, y, width, height` in pixels of the original image.
        model: what the file says of its model.
        settings: what the file says of how its detections were made.
    """

    path: str
    trained_on: Granularity
    image_ids: np.ndarray
    labels: Mapping[Granularity, np.ndarray]
    scores: np.ndarray
    boxes: np.ndarray
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.image_ids)

    def select(self, rows: np.ndarray) -> Detections:
        """Only these rows: a boolean mask or indices, `[detections]`."""
        if rows.dtype == bool and rows.all():
            return self
        return replace(
            self,
            image_ids=self.image_ids[rows],
            labels={granularity: labels[rows] for granularity, labels in self.labels.items()},
            scores=self.scores[rows],
            boxes=self.boxes[rows],
        )


def check_count(path: str, count: int) -> None:
    """Raises `InputError` when a file has more than `MOST_DETECTIONS`."""
    if count > MOST_DETECTIONS:
        raise InputError(
            f"{path}: has {count:,} detections, where {MOST_DETECTIONS:,} are the most; keep the "
            "best 100 of each image"
        )


def check_columns(path: str, image_ids: np.ndarray, scores: np.ndarray, boxes: np.ndarray) -> None:
    """Checks what every file of detections must have, whatever its format.

    Args:
        path: the file, for the message.
        image_ids: `[detections]`.
        scores: `[detections]`.
        boxes: `[detections, 4]`, `x, y, width, height`.

    Raises:
        InputError: a score is not finite, or a box is not finite, larger than any image or of
            negative size; the first such detection is named.
    """
    # Masks as long as the table are only made where there is something to find.
    for name, values, bound in (("score", scores, np.inf), ("box", boxes, _MOST_PIXELS)):
        if not values.size or -bound < values.min() <= values.max() < bound:  # not so with a NaN
            continue
        bad = ~(np.abs(values.reshape(len(values), -1)) < bound).all(axis=1)
        row = int(np.argmax(bad))
        raise InputError(
            f"{path}: detection {row + 1} (image {image_ids[row]}) has the {name} "
            f"{values[row].tolist()}; {bad.sum()} detections are like this: every {name} must "
            "be made of finite numbers, and boxes of pixels"
        )
    if boxes[:, 2:].min(initial=0) < 0:
        row = int(np.argmax((boxes[:, 2:] < 0).any(axis=1)))
        raise InputError(
            f"{path}: detection {row + 1} (image {image_ids[row]}) has the box "
            f"{boxes[row].tolist()} with a negative size; boxes are x, y, width, height"
        )


def labels_of_categories(
    path: str,
    category_ids: np.ndarray,
    taxonomy: Taxonomy,
    which: np.ndarray | slice = slice(None),
) -> dict[Granularity, np.ndarray]:
    """The labels of species detections at every granularity.

    Args:
        path: the file, for the message.
        category_ids: int64, the dataset's ids.
        taxonomy: the label spaces.
        which: int `[detections]`, the place of each detection's category among `category_ids`; by
            default there is one for each detection.

    Raises:
        InputError: a category is not in the taxonomy.
    """
    # Every category is an animal, so the generic labels list them all.
    ids = np.array(sorted(taxonomy.label_of_category(Granularity.GENERIC)), np.int64)
    position = np.minimum(np.searchsorted(ids, category_ids), len(ids) - 1)
    found = (ids[position] == category_ids)[which]
    if not found.all():
        row = int(np.argmin(found))
        raise InputError(
            f"{path}: detection {row + 1} has category {category_ids[which][row]}, which is not "
            "among the annotations' categories; check that both belong to the same dataset"
        )
    labels = {}
    for granularity in Granularity:
        known = taxonomy.label_of_category(granularity)
        of_id = np.array([known.get(i, NO_LABEL) for i in ids.tolist()])
        labels[granularity] = of_id[position][which]
    return labels


def labels_of_super_classes(
    path: str, names: list[str], labels: np.ndarray, taxonomy: Taxonomy
) -> dict[Granularity, np.ndarray]:
    """The labels of super-class detections, by the names of a file's own label space.

    Args:
        path: the file, for the message.
        names: of the file's labels 1..
        labels: int `[detections]`, labels of the file.
        taxonomy: the label spaces to go to.

    Raises:
        InputError: a super-class is not in the taxonomy.
    """
    own = {name: label for label, name in enumerate(taxonomy.names(Granularity.SUPER), 1)}
    listed = {category.supercategory for category in taxonomy.species + taxonomy.unboxed}
    for label in np.unique(labels).tolist():
        if names[label - 1] not in listed:
            raise InputError(
                f"{path}: has detections of {names[label - 1]!r}, which is not among the "
                "annotations' super-classes; check that both belong to the same dataset"
            )
    of_label = np.array([NO_LABEL] + [own.get(name, NO_LABEL) for name in names], np.int64)
    return {Granularity.SUPER: of_label[labels], Granularity.GENERIC: np.ones(len(labels), int)}


class NamedClasses:
    """Classes of a model that are known by name, as in files of VOC and YOLO.

    Args:
        names: of the classes 0, 1, ...
        granularity: what they are names of.
        taxonomy: the label spaces.
    """

    def __init__(self, names: Sequence[str], granularity: Granularity, taxonomy: Taxonomy):
        self._names = list(names)
        self._granularity = granularity
        self._taxonomy = taxonomy

    def __len__(self) -> int:
        return len(self._names)

    def labels(self, path: str, classes: np.ndarray) -> dict[Granularity, np.ndarray]:
        """The labels at the granularity and all coarser ones.

        Args:
            path: the file or folder, for the message.
            classes: int64 `[detections]`, each below the number of names.

        Raises:
            InputError: a class with detections has a name that the taxonomy does not have, or that
                several species have.
        """
        if self._granularity is Granularity.SUPER:
            return labels_of_super_classes(path, self._names, classes + 1, self._taxonomy)
        if self._granularity is Granularity.GENERIC:
            return {Granularity.GENERIC: np.ones(len(classes), np.int64)}
        ids: dict[str, int | None] = {}
        for category in self._taxonomy.species + self._taxonomy.unboxed:
            ids[category.name] = None if category.name in ids else category.id
        of_class = np.zeros(len(self._names), np.int64)
        for position in np.unique(classes).tolist():
            name = self._names[position]
            if ids.get(name) is None:
                number = "several" if name in ids else "none"
                raise InputError(
                    f"{path}: has detections of {name[:80]!r}, but {number} of the annotations' "
                    "categories are called so; check the names of the model's classes"
                )
            of_class[position] = ids[name]
        return labels_of_categories(path, of_class, self._taxonomy, classes)


def check_labels(path: str, labels: np.ndarray, count: int, granularity: Granularity) -> None:
    """Raises `InputError` unless every label is in 1..count; the first offender is named."""
    bad = (labels < 1) | (labels > count)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"{path}: detection {row + 1} has label {labels[row]}, but {granularity} labels go "
            f"from 1 to {count}; check that the file is given for the right granularity"
        )
