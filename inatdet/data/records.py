"""One entry of a COCO-style annotation file: an image, a category or a box, read or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inatdet.data.annotations import Image
from inatdet.data.categories import Category
from inatdet.data.entries import (
    file_name_fault,
    folded,
    is_number,
    name_fault,
    short,
    whole_number,
)
from inatdet.data.problems import BadEntry, Problem

_LARGEST_SIDE = 2**31


@dataclass(frozen=True, slots=True)
class Box:
    """A box of an image. `numbers` are x, y, width, height and area; see `Annotations`."""

    image_id: int
    category_id: int
    numbers: tuple[float, float, float, float, float]
    is_crowd: bool


def image_of(entry: Any, files_needed: bool, sizes_needed: bool = True) -> Image:
    """Reads an entry of `images`.

    Args:
        entry: what the file has.
        files_needed: whether the image files will be opened, so that their names must be safe.
        sizes_needed: whether an entry that says nothing of its size is bad.

    Raises:
        BadEntry: it cannot be used.
    """
    image_id = _id(entry, "id", Problem.IMAGE_MALFORMED)
    file_name, *size = (entry.get(key) for key in ("file_name", "width", "height"))
    if not isinstance(file_name, str):
        raise BadEntry(Problem.IMAGE_MALFORMED, "has no file_name")
    if files_needed and (fault := file_name_fault(file_name)):
        what, _, advice = fault.partition(": ")
        raise BadEntry(
            Problem.FILE_NAME, f"has the file_name {short(file_name)}, which {what}", advice
        )
    if size == [None, None] and not sizes_needed:
        return Image(image_id, file_name, 0, 0)
    width, height = map(whole_number, size)
    if not (width and height and 0 < width < _LARGEST_SIDE and 0 < height < _LARGEST_SIDE):
        raise BadEntry(
            Problem.IMAGE_SIZE, f"has the width {short(size[0])} and the height {short(size[1])}"
        )
    return Image(image_id, file_name, width, height)


def category_of(entry: Any) -> Category:
    """Reads an entry of `categories`; raises `BadEntry` if it cannot be used."""
    number = _id(entry, "id", Problem.CATEGORY_MALFORMED)
    if name_fault(entry.get("supercategory")) == "no" and not name_fault(entry.get("name")):
        raise BadEntry(Problem.CATEGORY_SUPER, f"({short(folded(entry['name']))})")
    try:
        return Category.from_entry({**entry, "id": number})
    except ValueError as error:
        raise BadEntry(Problem.CATEGORY_MALFORMED, str(error)) from error


def label_of(entry: Any) -> tuple[int, int]:
    """Reads an entry of `annotations` that says what an image shows, not where.

    Returns:
        Its image_id and category_id.

    Raises:
        BadEntry: it cannot be used.
    """
    return (
        _id(entry, "image_id", Problem.BOX_MALFORMED),
        _id(entry, "category_id", Problem.BOX_MALFORMED),
    )


def box_of(entry: Any) -> Box:
    """Reads an entry of `annotations`; its id is not looked at, as nothing refers to it.

    Raises:
        BadEntry: it cannot be used.
    """
    image_id, category_id = label_of(entry)
    box = entry.get("bbox")
    if box is None or box == []:
        raise BadEntry(Problem.BOX_ABSENT)
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        raise BadEntry(Problem.BOX_MALFORMED, f"has the bbox {short(box)}", _box_advice(box))
    x, y, width, height = box
    area = entry.get("area")
    if isinstance(area, list) and len(area) == 1:
        area = area[0]
    if area is None:
        area = width * height / 2
    if not is_number(area):
        raise BadEntry(Problem.BOX_MALFORMED, f"has no number as its area, but {short(area)}")
    crowd = entry.get("iscrowd")
    if crowd not in (None, 0, 1):
        raise BadEntry(
            Problem.BOX_MALFORMED, f"has neither 0 nor 1 as its iscrowd, but {short(crowd)}"
        )
    return Box(image_id, category_id, (x, y, width, height, area), bool(crowd))


def readable_id(entry: Any, key: str) -> int | None:
    """The id that an entry has in a field, even if the rest of it is bad; None without one."""
    return whole_number(entry.get(key)) if isinstance(entry, Mapping) else None


def _id(entry: Any, key: str, malformed: Problem) -> int:
    if not isinstance(entry, Mapping):
        raise BadEntry(malformed, "is not an object")
    number = whole_number(entry.get(key))
    if number is None:
        value = entry.get(key)
        if isinstance(value, str) and value:
            raise BadEntry(Problem.TEXT_ID, f"has the {key} {short(value)}")
        raise BadEntry(malformed, f"has no whole number as its {key}")
    return number


def _box_advice(box: Any) -> str:
    if isinstance(box, list) and len(box) == 4 and any(isinstance(number, str) for number in box):
        return "write the numbers of bbox without quotation marks"
    return "write bbox as four numbers [x, y, width, height]"
