"""The table of detections that everything in this package works on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inatdet.data.granularity import Granularity
from inatdet.data.similar_names import similar_name
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

NO_LABEL = 0
"""The label of a detection whose category has none at a granularity."""

MOST_DETECTIONS = 1 << 27
"""The most that one file may hold: 27 times 100 detections in each of iNat2017's validation images,
and some 10 GB of memory. A file that claims more is damaged."""

_MOST_PIXELS = 2.0**31
"""No image is wider or higher; the area of a smaller box is far from overflowing."""


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of one model. Row i of every column is the i-th detection.

    Attributes:
        path: the file or folder they were read from, or what `from_arrays` was told to call them.
        trained_on: the granularity of the labels; that of the model, unless `summed_from` is set.
        image_ids: int64 `[detections]`.
        labels: at each granularity no finer than `trained_on`, int64 `[detections]`: labels of the
            taxonomy that they were read with, or `NO_LABEL`. (A species without a box in the
            ground truth has no species label, but counts as an animal all the same.)
        scores: float64 `[detections]`.
        boxes: float64 `[detections, 4]`, `x, y, width, height` in pixels of the original image.
        model: what the file says about its model.
        settings: what the file says about how its detections were made.
        summed_from: the granularity of the finer model that made these by summing its
            probabilities; None for a model's detections of its own labels.
        sha256: the hash of the file or folder, in hexadecimal; empty where it was not computed.
        taxonomy: the label spaces of `labels`; None where they were not recorded.
        notes: sentences about how the file was read, where there was more than one way.
        numbered: whether classes were bare numbers in the file, neither names nor the dataset's
            category ids, so that they depend on the order of the label spaces.
    """

    path: str
    trained_on: Granularity
    image_ids: np.ndarray
    labels: Mapping[Granularity, np.ndarray]
    scores: np.ndarray
    boxes: np.ndarray
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    summed_from: Granularity | None = None
    sha256: str = ""
    taxonomy: Taxonomy | None = None
    notes: tuple[str, ...] = ()
    numbered: bool = False

    @classmethod
    def from_arrays(
        cls,
        image_ids: npt.ArrayLike,
        labels: npt.ArrayLike,
        scores: npt.ArrayLike,
        boxes: npt.ArrayLike,
        granularity: Granularity | str = Granularity.SPECIES,
        *,
        taxonomy: Taxonomy,
        are_category_ids: bool = False,
        name: str = "arrays",
        model: str = "",
        settings: Mapping[str, Any] | None = None,
        summed_from: Granularity | str | None = None,
    ) -> Detections:
        """Makes detections of arrays and checks them as if they came from a file.

        Args:
            image_ids: int `[detections]`, ids of the annotations' images.
            labels: int `[detections]`, labels 1, 2, ... of `taxonomy` at `granularity`:
                `taxonomy.names(granularity)[label - 1]` is the name of a label.
            scores: float `[detections]`.
            boxes: float `[detections, 4]`, `x, y, width, height` in pixels of the original image.
            granularity: that of the labels.
            taxonomy: the label spaces, usually `truth.taxonomy`.
            are_category_ids: `labels` holds the dataset's category ids instead, as COCO results
                do; only for species.
            name: what messages and reports call these detections.
            model: which model made them.
            settings: how it made them.
            summed_from: the granularity of the finer model that made them by summing its
                probabilities.

        Returns:
            The detections, in the order of the arrays.

        Raises:
            InputError: the arrays' lengths differ, a label is unknown, or a score or box is not
                finite.

        Example:
            >>> found = inatdet.Detections.from_arrays(
            ...     image_ids=[1, 2],
            ...     labels=[2, 1],
            ...     scores=[0.9, 0.8],
            ...     boxes=[[10, 10, 40, 40], [12, 9, 38, 41]],
            ...     granularity="species",
            ...     taxonomy=truth.taxonomy,
            ... )
            >>> found
            Detections('arrays': 2 species detections)
        """
        granularity = Granularity(granularity)
        ids, given = (_whole_numbers(name, values) for values in (image_ids, labels))
        columns = ids, np.array(scores, np.float64).reshape(-1), _four_columns(name, boxes)
        lengths = [len(column) for column in (*columns, given)]
        if len(set(lengths)) > 1:
            raise InputError(
                f"{name}: has {lengths[0]} image ids, {lengths[3]} labels, {lengths[1]} scores and "
                f"{lengths[2]} boxes; every detection needs one of each"
            )
        check_count(name, len(ids))
        check_columns(name, *columns)
        if not are_category_ids:
            check_labels(name, given, taxonomy.num_labels(granularity), granularity)
            by_level = {
                level: taxonomy.coarsen(given, granularity, level)
                for level in granularity.coarser_or_equal()
            }
        elif granularity is Granularity.SPECIES:
            by_level = labels_of_categories(name, given, taxonomy)
        else:
            raise InputError(f"{name}: only species have category ids; give {granularity} labels")
        return cls(
            name,
            granularity,
            columns[0],
            by_level,
            *columns[1:],
            model,
            dict(settings or {}),
            None if summed_from is None else Granularity(summed_from),
            taxonomy=taxonomy,
        )

    def __len__(self) -> int:
        return len(self.image_ids)

    def __repr__(self) -> str:
        summed = f", summed from {self.summed_from}" if self.summed_from else ""
        return f"Detections({self.path!r}: {len(self):,} {self.trained_on} detections{summed})"

    @property
    def model_granularity(self) -> Granularity:
        """The granularity that the model was trained at."""
        return self.summed_from or self.trained_on

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


def _whole_numbers(name: str, values: npt.ArrayLike) -> np.ndarray:
    numbers = np.array(values)
    if numbers.size and not np.issubdtype(numbers.dtype, np.integer):
        raise InputError(f"{name}: image ids and labels must be whole numbers")
    return numbers.astype(np.int64).reshape(-1)


def _four_columns(name: str, boxes: npt.ArrayLike) -> np.ndarray:
    numbers = np.array(boxes, np.float64)
    if numbers.size and numbers.shape[1:] != (4,):
        raise InputError(
            f"{name}: the boxes have the shape {numbers.shape}; each needs x, y, width, height"
        )
    return numbers.reshape(-1, 4)


def check_count(path: str, count: int) -> None:
    """Raises `InputError` when a file has more than `MOST_DETECTIONS`."""
    if count > MOST_DETECTIONS:
        raise InputError(
            f"{path}: has {count:,} detections, more than the {MOST_DETECTIONS:,} allowed; keep "
            "the best 100 of each image"
        )


def check_columns(path: str, image_ids: np.ndarray, scores: np.ndarray, boxes: np.ndarray) -> None:
    """Checks the columns that every format of detections has in common.

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
            f"{values[row].tolist()}; {bad.sum()} detections are like this; scores must be "
            "finite, and boxes finite and in pixels"
        )
    if boxes[:, 2:].min(initial=0) < 0:
        bad = (boxes[:, 2:] < 0).any(axis=1)
        row = int(np.argmax(bad))
        raise InputError(
            f"{path}: detection {row + 1} (image {image_ids[row]}) has the box "
            f"{boxes[row].tolist()} with a negative size; {bad.sum()} detections are like this; "
            "boxes are x, y, width, height, so corners are subtracted once and not twice"
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
        which: int `[detections]`, the position of each detection's category in `category_ids`; by
            default there is one per detection.

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
    """The labels of super-class detections, matched by name with a file's own label space.

    Args:
        path: the file, for the message.
        names: the names of the file's labels 1, 2, ...
        labels: int `[detections]`, labels of the file.
        taxonomy: the label spaces to express them in.

    Raises:
        InputError: a super-class is not in the taxonomy.
    """
    own = {name: label for label, name in enumerate(taxonomy.names(Granularity.SUPER), 1)}
    listed = {category.supercategory for category in taxonomy.species + taxonomy.unboxed}
    for label in np.unique(labels).tolist():
        if names[label - 1] not in listed:
            raise InputError(
                f"{path}: has detections of {names[label - 1][:80]!r}, which is not among the "
                f"annotations' super-classes{_perhaps(names[label - 1], listed)}; check that both "
                "belong to the same dataset"
            )
    of_label = np.array([NO_LABEL] + [own.get(name, NO_LABEL) for name in names], np.int64)
    return {Granularity.SUPER: of_label[labels], Granularity.GENERIC: np.ones(len(labels), int)}


def _perhaps(name: str, names: Iterable[str]) -> str:
    """The part of a message about an unknown name that tells a similar one."""
    similar = similar_name(name, set(names) - {name})
    return f", perhaps {similar[:80]!r} is meant" if similar else ""


class NamedClasses:
    """Classes of a model that are identified by name, as in VOC's and YOLO's files.

    Args:
        names: the names of the classes 0, 1, ...
        granularity: whose names they are.
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
            classes: int64 `[detections]`, each less than the number of names.

        Raises:
            InputError: the name of a class with detections is not in the taxonomy, or belongs to
                several species.
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
            category_id = ids.get(name)
            if category_id is None:
                number = "several" if name in ids else "none"
                raise InputError(
                    f"{path}: has detections of {name[:80]!r}, but {number} of the annotations' "
                    f"categories have that name{_perhaps(name, ids)}; check the names of the "
                    "model's classes"
                )
            of_class[position] = category_id
        return labels_of_categories(path, of_class, self._taxonomy, classes)


def check_labels(path: str, labels: np.ndarray, count: int, granularity: Granularity) -> None:
    """Raises `InputError` unless every label is in 1..count; the first offender is named."""
    bad = (labels < 1) | (labels > count)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"{path}: detection {row + 1} has label {labels[row]}, but {granularity} labels go "
            f"from 1 to {count}; check that the file is given for the right granularity, or give "
            "the label spaces of the model with --taxonomy"
        )
