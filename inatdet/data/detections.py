"""The table of detections that everything in this package works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inatdet.data.granularity import Granularity
from inatdet.data.labels import Labels, labels_of_categories, labels_of_labels
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

MOST_DETECTIONS = 1 << 27
"""The most that one file may hold: 27 times 100 detections in each of iNat2017's validation images,
and some 10 GB of memory. A file that claims more is damaged."""

_MOST_PIXELS = 2.0**31
"""No image is wider or higher; the area of a smaller box is far from overflowing."""


PROPOSALS = "proposals"
"""The entry of `Detections.settings` that says how many proposals an image has at most, where these
are what the first stage of a detector proposes."""


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of one model. Row i of every column is the i-th detection.

    Attributes:
        path: the file or folder they were read from, or what `from_arrays` was told to call them.
        trained_on: the granularity of the labels; that of the model, unless `summed_from` is set.
        image_ids: int64 `[detections]`.
        labels: at each level no finer than `trained_on`, int64 `[detections]`: labels of the
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
    labels: Labels
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
            by_level = labels_of_labels(given, granularity, taxonomy)
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

    @property
    def are_proposals(self) -> bool:
        """Whether these are the proposals of a detector's first stage."""
        return PROPOSALS in self.settings

    def select(self, rows: np.ndarray) -> Detections:
        """Only these rows: a boolean mask or indices, `[detections]`."""
        if rows.dtype == bool and rows.all():
            return self
        return replace(
            self,
            image_ids=self.image_ids[rows],
            labels=self.labels.select(rows),
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
