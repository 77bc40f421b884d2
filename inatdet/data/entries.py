"""The form that entries of annotation files must have, each looked at alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeGuard


def is_safe_file_name(name: str) -> bool:
    """Whether a file name leads to a file inside the folder that it is joined to.

    Absolute paths, `..`, backslashes, Windows drives and control characters are refused on every
    system, because datasets are shared between systems.
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


def malformed_box(entry: Any) -> str:
    """What is wrong with the form of an entry of `annotations`; an empty string if nothing is."""
    if not isinstance(entry, Mapping):
        return "is not an object"
    for key in ("id", "image_id", "category_id"):
        if not is_id(entry.get(key)):
            return f"has no whole number as its {key}"
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        return f"has no list of four numbers as its bbox, but {short(box)}"
    if not is_number(entry.get("area", 0)):
        return f"has no number as its area, but {short(entry['area'])}"
    if entry.get("iscrowd", 0) not in (0, 1):
        return f"has neither 0 nor 1 as its iscrowd, but {short(entry['iscrowd'])}"
    return ""


def is_id(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number that fits into 64 bits."""
    return type(value) is int and -(2**63) <= value < 2**63


def is_number(value: Any) -> bool:
    """Whether a value is a number, NaN and infinity included."""
    # A whole number too large for a float is no more a coordinate than a word is.
    return type(value) is float or (type(value) is int and abs(value) < 2**63)


def is_size(value: Any) -> TypeGuard[int]:
    """Whether a value can be the width or height of an image in pixels."""
    return type(value) is int and 0 < value < 2**31


def short(value: Any) -> str:
    """A value as messages show it, at most 40 characters long."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
