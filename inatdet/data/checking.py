"""Checks the entries of an annotation file and gathers the good ones into columns."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from inatdet.choices import Choice
from inatdet.data.annotations import Annotations, Image, positions
from inatdet.data.entries import is_id, is_safe_file_name, is_size, malformed_box, short
from inatdet.data.taxonomy import Category
from inatdet.errors import InputError

LISTS = ("images", "categories", "annotations")
"""The lists of a COCO-style annotation file, whose entries are checked here."""

BOX_TOLERANCE = 1.0
"""Pixels by which a box may extend beyond the image, as boxes rounded to whole pixels do."""

_SINGULAR = {"images": "image", "categories": "category", "annotations": "annotation"}
_NAMED_OFFENDERS = 5


class OnBad(Choice):
    """What to do about a bad entry."""

    ERROR = "error"
    SKIP = "skip"


class Problem(Choice):
    """What can be wrong with an entry; the values are the words that people read."""

    CATEGORY_MALFORMED = "category is malformed"
    CATEGORY_REPEATED = "category id is repeated"
    IMAGE_MALFORMED = "image is malformed"
    IMAGE_REPEATED = "image id is repeated"
    IMAGE_SIZE = "image has an invalid size"
    FILE_NAME = "image has an unsafe file name"
    BOX_MALFORMED = "annotation is malformed"
    BOX_REPEATED = "annotation id is repeated"
    BOX_IMAGE = "annotation's image is missing"
    BOX_CATEGORY = "annotation's category is missing"
    BOX_SIZE = "box has an invalid size"
    BOX_OUTSIDE = "box extends beyond its image"


def collect(
    path: str,
    entries: Iterable[tuple[str, Any]],
    on_bad: OnBad,
    name_box: Callable[[int], str] | None = None,
) -> Annotations:
    """Checks entries in COCO's form and makes columns of them.

    A box may extend beyond its image by at most `BOX_TOLERANCE`, and is then cut to the image; one
    that extends further is bad. Of entries with the same id the first is good and the others are
    bad. A box of an image or category that is missing or bad is bad too.

    Args:
        path: where they come from.
        entries: pairs of the list an entry belongs to, one of `LISTS`, and the entry; in any order.
        on_bad: with `ERROR` any bad entry is an error. With `SKIP` bad entries are left out and
            counted in `skipped`; note that an image may then have fewer boxes than it should.
        name_box: what to call the box with a given id, for files without ids of boxes; by default
            `annotation 7`.

    Raises:
        InputError: an entry is bad and `on_bad` is `ERROR`; the first few bad ones are named.
    """
    collector = _Collector(name_box)
    for key, entry in entries:
        collector.add(key, entry)
    annotations = collector.finish(path)
    if collector.problems and on_bad is OnBad.ERROR:
        raise InputError(f"{path}: {collector.summary()}")
    return annotations


class _Collector:
    """Collects entries into columns, and what is wrong with them.

    The lists of the file may come in any order, so references between them are checked at the end.

    Attributes:
        problems: the number of bad entries, by problem.
    """

    def __init__(self, name_box: Callable[[int], str] | None):
        self._name_box = name_box or (lambda box_id: f"annotation {box_id}")
        self.problems: Counter[Problem] = Counter()
        self._offenders: list[str] = []
        self._images: dict[int, Image] = {}
        self._categories: dict[int, Category] = {}
        self._ids = array("q")  # annotation, image, category
        self._numbers = array("d")  # x, y, width, height, area
        self._crowd = bytearray()
        self._seen: Counter[str] = Counter()
        self._add = {
            "images": self._add_image,
            "categories": self._add_category,
            "annotations": self._add_box,
        }

    def add(self, key: str, entry: Any) -> None:
        """Takes one entry of the list `key`, which is one of `LISTS`."""
        self._seen[key] += 1
        self._add[key](entry)

    def finish(self, path: str) -> Annotations:
        """Checks references and boxes, and drops the bad boxes."""
        ids = np.frombuffer(self._ids, np.int64).reshape(-1, 3)
        numbers = np.frombuffer(self._numbers, np.float64).reshape(-1, 5)
        is_crowd = np.frombuffer(bytes(self._crowd), np.uint8).astype(bool)
        good = np.ones(len(ids), bool)
        self._reject_bad_references(ids, good)
        boxes = self._reject_bad_boxes(ids, numbers, good)
        return Annotations(
            path=path,
            images=tuple(self._images.values()),
            categories=tuple(self._categories.values()),
            box_ids=ids[good, 0],
            image_ids=ids[good, 1],
            category_ids=ids[good, 2],
            boxes=boxes[good],
            areas=numbers[good, 4],
            is_crowd=is_crowd[good],
            skipped={str(problem): count for problem, count in self.problems.items()},
        )

    def summary(self) -> str:
        """One sentence on everything that is wrong."""
        total = sum(self.problems.values())
        kinds = "; ".join(f"{problem}: {count}" for problem, count in self.problems.most_common())
        return (
            f"{total} bad {'entries' if total > 1 else 'entry'} ({kinds}), "
            f"{'first' if total > len(self._offenders) else 'namely'} "
            f"{', '.join(self._offenders)}; fix the file, or leave them out with --on_bad=skip"
        )

    def _add_image(self, entry: Any) -> None:
        name = self._name("images", entry)
        if not isinstance(entry, Mapping) or not is_id(entry.get("id")):
            self._bad(Problem.IMAGE_MALFORMED, name, "has no whole number as its id")
            return
        file_name, width, height = (entry.get(key) for key in ("file_name", "width", "height"))
        if not isinstance(file_name, str):
            self._bad(Problem.IMAGE_MALFORMED, name, "has no file_name")
        elif not is_safe_file_name(file_name):
            self._bad(Problem.FILE_NAME, name, f"has the unsafe file_name {file_name[:80]!r}")
        elif not (is_size(width) and is_size(height)):
            size = f"width {short(width)}, height {short(height)}"
            self._bad(Problem.IMAGE_SIZE, name, f"has an invalid size ({size})")
        elif entry["id"] in self._images:
            self._bad(Problem.IMAGE_REPEATED, name, "has the id of an earlier image")
        else:
            self._images[entry["id"]] = Image(entry["id"], file_name, width, height)

    def _add_category(self, entry: Any) -> None:
        name = self._name("categories", entry)
        try:
            category = Category.from_entry(entry)
        except ValueError as error:
            self._bad(Problem.CATEGORY_MALFORMED, name, str(error))
            return
        if category.id in self._categories:
            self._bad(Problem.CATEGORY_REPEATED, name, "has the id of an earlier category")
        else:
            self._categories[category.id] = category

    def _add_box(self, entry: Any) -> None:
        if why := malformed_box(entry):
            self._bad(Problem.BOX_MALFORMED, self._name("annotations", entry), why)
            return
        x, y, width, height = entry["bbox"]
        self._ids.extend((entry["id"], entry["image_id"], entry["category_id"]))
        self._numbers.extend((x, y, width, height, entry.get("area", width * height / 2)))
        self._crowd.append(int(entry.get("iscrowd", 0)))

    def _reject_bad_references(self, ids: np.ndarray, good: np.ndarray) -> None:
        """Rejects boxes whose id is repeated, or whose image or category is missing or bad.

        Args:
            ids: int64 `[boxes, 3]`, of the box, its image and its category.
            good: bool `[boxes]`; it is changed.
        """
        repeated = np.ones(len(ids), bool)
        repeated[np.unique(ids[:, 0], return_index=True)[1]] = False
        self._reject(
            ids, good, repeated, Problem.BOX_REPEATED, lambda row: "has the id of an earlier one"
        )
        image_ids = np.fromiter(self._images, np.int64, len(self._images))
        self._reject(
            ids,
            good,
            positions(image_ids, ids[:, 1]) < 0,
            Problem.BOX_IMAGE,
            lambda row: f"has the image {ids[row, 1]}, which is missing or bad",
        )
        category_ids = np.fromiter(self._categories, np.int64, len(self._categories))
        self._reject(
            ids,
            good,
            ~np.isin(ids[:, 2], category_ids),
            Problem.BOX_CATEGORY,
            lambda row: f"has the category {ids[row, 2]}, which is missing or bad",
        )

    def _reject_bad_boxes(
        self, ids: np.ndarray, numbers: np.ndarray, good: np.ndarray
    ) -> np.ndarray:
        """Rejects boxes of invalid size and boxes beyond their image; cuts the others to it.

        Args:
            ids: int64 `[boxes, 3]`, of the box, its image and its category.
            numbers: float64 `[boxes, 5]`, x, y, width, height and area.
            good: bool `[boxes]`; it is changed.

        Returns:
            float64 `[boxes, 4]`, the boxes; those inside their image are not changed in any digit.
        """
        boxes: np.ndarray = numbers[:, :4].copy()
        areas = numbers[:, 4]
        finite = np.isfinite(numbers).all(axis=1)
        self._reject(
            ids,
            good,
            ~(finite & (boxes[:, 2] > 0) & (boxes[:, 3] > 0) & (areas >= 0)),
            Problem.BOX_SIZE,
            lambda row: f"has the box {_list(boxes[row])} and the area {areas[row]:g}",
        )
        images = self._images.values()
        image_ids = np.fromiter(self._images, np.int64, len(images))
        sizes = np.array([(i.width, i.height) for i in images], np.float64).reshape(-1, 2)
        # A box without an image is rejected already, so any size will do for it.
        size = sizes[positions(image_ids, ids[:, 1])] if images else np.zeros((len(ids), 2))
        with np.errstate(invalid="ignore", over="ignore"):
            low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
            over = np.maximum(-low, high - size).max(axis=1, initial=0)
            clipped_low, clipped_high = np.maximum(low, 0), np.minimum(high, size)
            empty = (clipped_high <= clipped_low).any(axis=1)
        self._reject(
            ids,
            good,
            (over > BOX_TOLERANCE) | empty,
            Problem.BOX_OUTSIDE,
            lambda row: (
                f"has the box {_list(boxes[row])}, which extends beyond its "
                f"{size[row, 0]:g} x {size[row, 1]:g} image"
            ),
        )
        edge = good & (over > 0)
        boxes[edge, :2] = clipped_low[edge]
        boxes[edge, 2:] = (clipped_high - clipped_low)[edge]
        return boxes

    def _reject(
        self,
        ids: np.ndarray,
        good: np.ndarray,
        bad: np.ndarray,
        problem: Problem,
        why: Callable[[int], str],
    ) -> None:
        """Counts and names the bad boxes among the good ones, which they then no longer are."""
        rows = np.flatnonzero(bad & good)
        for row in rows.tolist():
            if len(self._offenders) >= _NAMED_OFFENDERS:
                break
            self._offenders.append(f"{self._name_box(int(ids[row, 0]))} {why(row)}")
        if rows.size:
            self.problems[problem] += rows.size
            good[rows] = False

    def _bad(self, problem: Problem, name: str, why: str) -> None:
        self.problems[problem] += 1
        if len(self._offenders) < _NAMED_OFFENDERS:
            self._offenders.append(f"{name} {why}")

    def _name(self, key: str, entry: Any) -> str:
        """What to call an entry: by its id, or by its place in the list if it has none."""
        if isinstance(entry, Mapping) and type(entry.get("id")) is int:
            return f"{_SINGULAR[key]} {entry['id']}"
        return f"{_SINGULAR[key]} number {self._seen[key]} of the list"


def _list(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values.tolist()) + "]"
