"""Turns the records of an annotation file into columns, and collects what is wrong with them."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from inatdet.choices import Choice
from inatdet.data.annotations import Annotations, Image, positions
from inatdet.data.taxonomy import Category
from inatdet.errors import InputError

BOX_TOLERANCE = 1.0
"""Pixels by which a box may reach over the image's edge, as boxes rounded to pixels do."""

_NAMED_OFFENDERS = 5


class RecordReader:
    """Collects records into columns, and what is wrong with them.

    The lists of the file may come in any order, so what ties them together is checked at the end.

    Args:
        name_box: what to call the box with an id; by default `annotation 7`.
    """

    def __init__(self, name_box: Callable[[int], str] | None = None) -> None:
        self._name_box = name_box or (lambda box_id: f"annotation {box_id}")
        self.problems: Counter[Problem] = Counter()
        self._offenders: list[str] = []
        self._images: dict[int, Image] = {}
        self._categories: dict[int, Category] = {}
        self._ids = array("q")  # annotation, image, category
        self._numbers = array("d")  # x, y, width, height, area
        self._crowd = bytearray()
        self._seen: Counter[str] = Counter()

    def add(self, key: str, record: Any) -> None:
        """Takes one element of the list `key`: `images`, `categories` or `annotations`."""
        self._seen[key] += 1
        {"images": self._image, "categories": self._category, "annotations": self._box}[key](record)

    def _bad(self, problem: Problem, who: str, why: str) -> None:
        self.problems[problem] += 1
        if len(self._offenders) < _NAMED_OFFENDERS:
            self._offenders.append(f"{who} {why}")

    def _name(self, key: str, record: Any) -> str:
        """What to call a record: by its id, or by its place in the list if it has none."""
        word = {"images": "image", "categories": "category", "annotations": "annotation"}[key]
        if isinstance(record, Mapping) and type(record.get("id")) is int:
            return f"{word} {record['id']}"
        return f"{word} number {self._seen[key]} of the list"

    def _image(self, record: Any) -> None:
        who = self._name("images", record)
        if not isinstance(record, Mapping) or not is_id(record.get("id")):
            self._bad(Problem.IMAGE_MALFORMED, who, "has no whole number as its id")
        elif not isinstance(name := record.get("file_name"), str):
            self._bad(Problem.IMAGE_MALFORMED, who, "has no file_name")
        elif not safe_file_name(name):
            self._bad(Problem.FILE_NAME, who, f"has the unsafe file_name {name[:80]!r}")
        elif not (is_size(width := record.get("width")) and is_size(record.get("height"))):
            size = f"width {short(width)}, height {short(record.get('height'))}"
            self._bad(Problem.IMAGE_SIZE, who, f"has no proper size ({size})")
        elif record["id"] in self._images:
            self._bad(Problem.IMAGE_REPEATED, who, "has the id of an image before it")
        else:
            image = Image(record["id"], name, width, record["height"])
            self._images[image.id] = image

    def _category(self, record: Any) -> None:
        who = self._name("categories", record)
        try:
            category = Category.from_record(record)
        except ValueError as error:
            self._bad(Problem.CATEGORY_MALFORMED, who, str(error))
            return
        if category.id in self._categories:
            self._bad(Problem.CATEGORY_REPEATED, who, "has the id of a category before it")
        else:
            self._categories[category.id] = category

    def _box(self, record: Any) -> None:
        if why := malformed_box(record):
            self._bad(Problem.BOX_MALFORMED, self._name("annotations", record), why)
            return
        x, y, width, height = record["bbox"]
        self._ids.extend((record["id"], record["image_id"], record["category_id"]))
        self._numbers.extend((x, y, width, height, record.get("area", width * height / 2)))
        self._crowd.append(int(record.get("iscrowd", 0)))

    def finish(self) -> dict[str, Any]:
        """Checks what ties boxes to images and categories, and drops the bad boxes.

        Returns:
            The fields of `Annotations`, without the path.
        """
        ids = np.frombuffer(self._ids, np.int64).reshape(-1, 3)
        numbers = np.frombuffer(self._numbers, np.float64).reshape(-1, 5)
        boxes, areas = numbers[:, :4].copy(), numbers[:, 4]
        good = np.ones(len(ids), bool)

        def reject(bad: np.ndarray, problem: Problem, why: Callable[[int], str]) -> None:
            rows = np.flatnonzero(bad & good)
            for row in rows.tolist():
                if len(self._offenders) >= _NAMED_OFFENDERS:
                    break
                self._offenders.append(f"{self._name_box(int(ids[row, 0]))} {why(row)}")
            if rows.size:
                self.problems[problem] += rows.size
                good[rows] = False

        repeated = np.ones(len(ids), bool)
        repeated[np.unique(ids[:, 0], return_index=True)[1]] = False
        reject(repeated, Problem.BOX_REPEATED, lambda row: "has the id of one before it")

        images = tuple(self._images.values())
        count = len(images)
        image_ids = np.fromiter((image.id for image in images), np.int64, count)
        position = positions(image_ids, ids[:, 1])
        reject(
            position < 0,
            Problem.BOX_IMAGE,
            lambda row: f"has the image {ids[row, 1]}, which is missing or bad",
        )
        known = np.fromiter(self._categories, np.int64, len(self._categories))
        reject(
            ~np.isin(ids[:, 2], known),
            Problem.BOX_CATEGORY,
            lambda row: f"has the category {ids[row, 2]}, which is missing or bad",
        )
        finite = np.isfinite(numbers).all(axis=1)
        reject(
            ~(finite & (boxes[:, 2] > 0) & (boxes[:, 3] > 0) & (areas >= 0)),
            Problem.BOX_SIZE,
            lambda row: f"has the box {_list(boxes[row])} and the area {areas[row]:g}",
        )
        sizes = np.array([(i.width, i.height) for i in images], np.float64).reshape(-1, 2)
        # A box without an image is rejected already; any size will do for it.
        size = sizes[position] if count else np.zeros((len(ids), 2))
        with np.errstate(invalid="ignore", over="ignore"):
            low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
            over = np.maximum(-low, high - size).max(axis=1, initial=0)
            clipped_low, clipped_high = np.maximum(low, 0), np.minimum(high, size)
            empty = (clipped_high <= clipped_low).any(axis=1)
        reject(
            (over > BOX_TOLERANCE) | empty,
            Problem.BOX_OUTSIDE,
            lambda row: (
                f"has the box {_list(boxes[row])}, which reaches outside its "
                f"{size[row, 0]:g} x {size[row, 1]:g} image"
            ),
        )
        # Boxes inside stay as they are to the last digit.
        edge = good & (over > 0)
        boxes[edge, :2] = clipped_low[edge]
        boxes[edge, 2:] = (clipped_high - clipped_low)[edge]
        return {
            "images": images,
            "categories": tuple(self._categories.values()),
            "box_ids": ids[good, 0],
            "image_ids": ids[good, 1],
            "category_ids": ids[good, 2],
            "boxes": boxes[good],
            "areas": areas[good],
            "is_crowd": np.frombuffer(bytes(self._crowd), np.uint8).astype(bool)[good],
            "skipped": {str(problem): count for problem, count in self.problems.items()},
        }

    def summary(self) -> str:
        """One sentence on everything that is wrong."""
        total = sum(self.problems.values())
        kinds = "; ".join(f"{problem}: {count}" for problem, count in self.problems.most_common())
        return (
            f"{total} bad record{'s' if total > 1 else ''} ({kinds}), "
            f"{'first' if total > len(self._offenders) else 'namely'} "
            f"{', '.join(self._offenders)}; mend the file, or leave them out with --on_bad=skip"
        )


def _list(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values.tolist()) + "]"


class OnBad(Choice):
    """What to do with a record that is wrong."""

    ERROR = "error"
    SKIP = "skip"


def collect(
    path: str,
    records: Iterable[tuple[str, Any]],
    on_bad: OnBad,
    name_box: Callable[[int], str] | None = None,
) -> Annotations:
    """Checks records in COCO's form and makes columns of them.

    Args:
        path: where they come from.
        records: which list each belongs to, `images`, `categories` or `annotations`, and itself;
            in any order.
        on_bad: see `read_annotations`.
        name_box: what to call the box with an id, where that is not in the file.

    Raises:
        InputError: a record is bad and `on_bad` is `ERROR`.
    """
    reader = RecordReader(name_box)
    for key, record in records:
        reader.add(key, record)
    fields = reader.finish()
    if reader.problems and on_bad is OnBad.ERROR:
        raise InputError(f"{path}: {reader.summary()}")
    return Annotations(path=path, **fields)


class Problem(Choice):
    """What can be wrong with a record; the values are the words that people read."""

    CATEGORY_MALFORMED = "category is malformed"
    CATEGORY_REPEATED = "category id is repeated"
    IMAGE_MALFORMED = "image is malformed"
    IMAGE_REPEATED = "image id is repeated"
    IMAGE_SIZE = "image has no proper size"
    FILE_NAME = "image has an unsafe file name"
    BOX_MALFORMED = "annotation is malformed"
    BOX_REPEATED = "annotation id is repeated"
    BOX_IMAGE = "annotation's image is missing"
    BOX_CATEGORY = "annotation's category is missing"
    BOX_SIZE = "box has no proper size"
    BOX_OUTSIDE = "box reaches outside its image"


def safe_file_name(name: str) -> bool:
    """Whether a file name can only lead to a file inside the folder it is joined to.

    Absolute paths, `..`, backslashes, Windows drives and control characters are refused, on every
    system, because a dataset is shared between systems.
    """
    return not (
        name.startswith("/")
        or name.endswith("/")
        or "\\" in name
        or re.match("[A-Za-z]:", name)
        or ".." in name.split("/")
        or not name.strip()
        or any(ord(character) < 32 or ord(character) == 127 for character in name)
    )


def malformed_box(record: Any) -> str:
    """What is wrong with the form of an annotation, or an empty string."""
    if not isinstance(record, Mapping):
        return "is not an object"
    for key in ("id", "image_id", "category_id"):
        if not is_id(record.get(key)):
            return f"has no whole number as its {key}"
    box = record.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        return f"has no list of four numbers as its bbox, but {short(box)}"
    if not is_number(record.get("area", 0)):
        return f"has no number as its area, but {short(record['area'])}"
    if record.get("iscrowd", 0) not in (0, 1):
        return f"has neither 0 nor 1 as its iscrowd, but {short(record['iscrowd'])}"
    return ""


def is_id(value: Any) -> bool:
    """Whether it is a whole number that fits into 64 bits."""
    return type(value) is int and -(2**63) <= value < 2**63


def is_number(value: Any) -> bool:
    """Whether it is a number; NaN and infinity are."""
    # Whole numbers that no float can hold are as little a coordinate as a word is.
    return type(value) is float or (type(value) is int and abs(value) < 2**63)


def is_size(value: Any) -> bool:
    """Whether it can be an image's width or height in pixels."""
    return type(value) is int and 0 < value < 2**31


def short(value: Any) -> str:
    """A value as it is shown in a message."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
