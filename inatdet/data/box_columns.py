"""The boxes of an annotation file as columns, and which of them are good."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np

from inatdet.data.annotations import Image, positions
from inatdet.data.conventions import are_fractions, clipped, fit_as_corners
from inatdet.data.problems import BadEntry, Problem, Tally
from inatdet.data.records import box_of, readable_id
from inatdet.errors import InputError

EMPTY = "empty"
"""The category that COCO Camera Traps gives to images in which nothing is; it needs no bbox."""


class BoxColumns:
    """Boxes, a row each, and which of them are good.

    Args:
        tally: what counts the bad ones.
        name_box: what to call the box with a given number in the list of annotations, from 1; by
            default `annotation 7`, where 7 is its id.

    Attributes:
        bad_images: the ids of images that have a bad box.
        renumbered: whether ids of boxes are repeated or absent, so that numbers replace them.
        images, categories, numbers: int64 `[boxes]`; `freeze` makes these and the following.
        box_ids: int64 `[boxes]`, all different.
        boxes: float64 `[boxes, 4]`, `x, y, width, height`.
        areas: float64 `[boxes]`.
        is_crowd: bool `[boxes]`.
        good: bool `[boxes]`.
    """

    def __init__(self, tally: Tally, name_box: Callable[[int], str] | None):
        self.bad_images: set[int] = set()
        self.renumbered = False
        self._tally, self._name_box = tally, name_box
        self._ids = array("q")  # image, category, own id, number in the list
        self._values = array("d")  # x, y, width, height, area
        self._crowd = bytearray()
        self._absent = array("q")  # image, category, own id, number in the list
        self._count = 0

    def add(self, entry: Any) -> None:
        """Takes an entry of the list of annotations.

        Raises:
            BadEntry: it cannot be used.
        """
        self._count += 1
        own = readable_id(entry, "id")
        self.renumbered |= own is None
        try:
            box = box_of(entry)
        except BadEntry as bad:
            image_id = readable_id(entry, "image_id")
            category_id = readable_id(entry, "category_id")
            if bad.problem is Problem.BOX_ABSENT and image_id is not None:
                self._absent.extend((image_id, category_id or 0, own or 0, self._count))
                return
            if image_id is not None:
                self.bad_images.add(image_id)
            raise
        self._ids.extend((box.image_id, box.category_id, own or 0, self._count))
        self._values.extend(box.numbers)
        self._crowd.append(box.is_crowd)

    def freeze(self) -> None:
        """Makes the columns; no more boxes can be added."""
        self.images, self.categories, self._own, self.numbers = (
            np.frombuffer(self._ids, np.int64).reshape(-1, 4).T
        )
        self.renumbered |= len(np.unique(self._own)) < len(self._own)
        self.box_ids = self.numbers if self.renumbered else self._own
        values = np.frombuffer(self._values, np.float64).reshape(-1, 5)
        self.boxes, self.areas = values[:, :4], values[:, 4]
        self.is_crowd = np.frombuffer(bytes(self._crowd), np.uint8).astype(bool)
        self.good = np.ones(len(self.images), bool)

    def settle_absent(self, path: str, empty: Collection[int]) -> int:
        """Decides on annotations without a box, which are fine in empty images and else bad.

        Args:
            path: where they come from.
            empty: the ids of the categories named `EMPTY`.

        Returns:
            How many of them are fine.

        Raises:
            InputError: no annotation has a box.
        """
        rows = np.frombuffer(self._absent, np.int64).reshape(-1, 4)
        fine = is_in(rows[:, 1], empty)
        if len(rows) == self._count and not fine.all():
            raise InputError(
                f"{path}: none of its {len(rows):,} annotations has a bbox, so it says what is in "
                "the images but not where, as iNat2021 and other data for classification do; give "
                "annotations with boxes"
            )
        bad = rows[~fine]
        self.bad_images.update(bad[:, 0].tolist())
        for _, _, own, number in bad[: Tally.NAMED].tolist():
            self._tally.add(Problem.BOX_ABSENT, self._name(own, number))
        self._tally.add_unnamed(Problem.BOX_ABSENT, len(bad[Tally.NAMED :]))
        return int(fine.sum())

    def reject_where(
        self, bad: np.ndarray, problem: Problem | None, why: Callable[[int], str] = str
    ) -> int:
        """Makes rows bad that were good, and counts them.

        Args:
            bad: bool `[boxes]`.
            problem: what to count and name them as; None if they are bad for another entry's sake.
            why: what follows the name of the box of a row.

        Returns:
            How many.
        """
        rows = np.flatnonzero(bad & self.good)
        self.good[rows] = False
        self.bad_images.update(self.images[rows].tolist())
        if problem is not None:
            named = rows[: Tally.NAMED].tolist()
            for row in named:
                name = self._name(int(self._own[row]), int(self.numbers[row]))
                self._tally.add(problem, name, why(row))
            self._tally.add_unnamed(problem, len(rows) - len(named))
        return len(rows)

    def reject_bad_boxes(self, path: str, images: Mapping[int, Image]) -> None:
        """Rejects boxes of invalid size and boxes beyond their image; cuts the others to it.

        Args:
            path: where they come from.
            images: by id; good boxes have one of them.

        Raises:
            InputError: all boxes are fractions of their images.
        """
        boxes, areas = self.boxes, self.areas
        finite = np.isfinite(boxes).all(axis=1)
        no_size = ~finite | (boxes[:, 2] <= 0) | (boxes[:, 3] <= 0)
        self.reject_where(
            no_size,
            Problem.BOX_SIZE,
            lambda row: f"has the box {_list(boxes[row])}",
        )
        self.reject_where(
            ~(np.isfinite(areas) & (areas >= 0)),
            Problem.BOX_AREA,
            lambda row: f"has the area {areas[row]:g}",
        )
        ids = np.fromiter(images, np.int64, len(images))
        sizes = np.array([(i.width, i.height) for i in images.values()], np.float64).reshape(-1, 2)
        # A box without an image is rejected already, so any size will do for it.
        size = sizes[positions(ids, self.images)] if images else np.zeros((len(boxes), 2))
        if are_fractions(boxes[self.good], size[self.good]):
            raise InputError(
                f"{path}: all boxes lie within 0 to 1, so they are fractions of their images; "
                "multiply x and width by the image's width, y and height by its height"
            )
        self.boxes, outside = clipped(boxes, size)
        if outside[self.good].any() and not clipped(boxes, size[:, ::-1])[1][self.good].any():
            self._tally.explanation = (
                "all boxes would lie inside their images if the width and height of all images "
                "were exchanged, so exchange them"
            )
        if outside[self.good].any() and fit_as_corners(boxes[self.good], size[self.good]):
            self._tally.explanation = (
                "all boxes would lie inside their images if their numbers were the corners x1, y1, "
                "x2, y2, so write [x1, y1, x2 - x1, y2 - y1]"
            )
        self.reject_where(
            outside,
            Problem.BOX_OUTSIDE,
            lambda row: (
                f"has the box {_list(boxes[row])}, which extends beyond its "
                f"{size[row, 0]:g} x {size[row, 1]:g} image"
            ),
        )

    def _name(self, own: int, number: int) -> str:
        if self._name_box is not None:
            return self._name_box(number)
        return f"annotation number {number} of the list" if self.renumbered else f"annotation {own}"


def is_in(ids: np.ndarray, wanted: Iterable[int]) -> np.ndarray:
    """Bool `[ids]`: which ids are among those wanted."""
    return np.isin(ids, np.fromiter(wanted, np.int64))


def _list(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values.tolist()) + "]"
