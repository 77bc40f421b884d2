"""The values that entries of annotation files may have, each looked at alone."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, TypeGuard

_LONGEST_PATH = 1000  # characters
_LONGEST_NAME = 255  # bytes, in all usual file systems
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_EXACT = 2**53  # the largest whole number up to which every one is a float of its own


def folded(name: str) -> str:
    """A name without white space around it, and with single blanks for that inside it."""
    return " ".join(name.split())


def name_fault(name: Any) -> str:
    """Why a value cannot be a name, in words that follow `has`; an empty string if it can."""
    if not isinstance(name, str) or not name.strip():
        return "no"
    return "" if _is_printable(folded(name)) else "a character that cannot be printed in its"


def file_name_fault(name: str) -> str:
    """Why a file name may lead out of the folder it is joined to, and what to do; or nothing.

    Absolute paths, `..`, backslashes, Windows drives and control characters are refused on every
    system, because datasets are shared between systems.
    """
    parts = name.split("/")
    fault = ""
    if not name.strip():
        fault = "is empty: write the file's name"
    elif not _is_printable(name):
        fault = "has characters that cannot be printed: rename the file"
    elif "\\" in name:
        fault = "has backslashes: write / instead"
    elif name.startswith("/") or re.match("[A-Za-z]:", name):
        fault = "is an absolute path: write it relative to the folder of the images"
    elif ".." in parts:
        fault = "leads out of the folder of the images: write it without .."
    elif not parts[-1]:
        fault = "is a folder: write the file's name"
    elif len(name) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_NAME for part in parts):
        fault = "is longer than file systems allow: rename the file"
    return fault


def is_safe_file_name(name: str) -> bool:
    """Whether a file name leads to a file inside the folder that it is joined to."""
    return not file_name_fault(name)


def whole_number(value: Any) -> int | None:
    """The whole number that a value can only mean: 7 for 7, 7.0 and "7"; None if there is none.

    Spreadsheets and pandas turn ids into floats, and programs that use them as keys into strings.
    Neither `True`, "07" nor a float that has lost digits is taken for a number.
    """
    if is_id(value):
        return value
    if type(value) is float and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    if isinstance(value, str) and re.fullmatch("0|-?[1-9][0-9]{0,18}", value):
        number = int(value)
        return number if is_id(number) else None
    return None


def is_id(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number that fits into 64 bits."""
    return type(value) is int and -(2**63) <= value < 2**63


def is_number(value: Any) -> bool:
    """Whether a value is a number, NaN and infinity included."""
    # A whole number too large for a float is no more a coordinate than a word is.
    return type(value) is float or (type(value) is int and abs(value) < 2**63)


def short(value: Any) -> str:
    """A value as messages show it, at most 40 characters long, all of them printable."""
    try:
        text = ascii(value) if isinstance(value, str) and not _is_printable(value) else repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or deep nesting
        text = f"a {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "..."


def _is_printable(text: str) -> bool:
    """Whether a text has no control characters, half surrogate pairs or turns of direction."""
    # These break terminals, tables and protobuf, or show another name than the one that is there;
    # letters of other scripts are left alone.
    return text.isprintable() or not any(
        unicodedata.category(c) in ("Cc", "Cs") or c in _DIRECTIONS for c in text
    )
