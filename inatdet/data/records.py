"""Single records of an annotation file, and what can be wrong with one."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Problem(str, enum.Enum):
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

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Image:
    """An image of the dataset.

    Attributes:
        id: the dataset's number.
        file_name: path of the file inside the images' folder, with forward slashes.
        width: in pixels.
        height: in pixels.
    """

    id: int
    file_name: str
    width: int
    height: int


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
