"""Which shards of a split one process writes, so that several write the whole."""

from __future__ import annotations

import re

from inatdet.errors import InputError

_PART = re.compile(r"(\d{1,9})/(\d{1,9})")
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


def check_part(text: str) -> None:
    """Checks the form of `shards_of_part`'s text, without knowing how many shards there are.

    Raises:
        InputError: it is not of that form.
    """
    part = _PART.fullmatch(text)
    if text and not part and not _RANGE.fullmatch(text):
        raise InputError(
            f"--shards={text} must be a part, as in 3/16 (parts are counted from 0 to 15), or "
            "shards, as in 40-59 or 7"
        )
    if part and int(part[1]) >= int(part[2]):
        raise InputError(
            f"--shards={text}: parts are counted from 0, so the last is "
            f"{max(int(part[2]) - 1, 0)}/{part[2]}"
        )


def shards_of_part(text: str, count: int) -> range:
    """The numbers of the shards that a part has.

    Args:
        text: `3/16` is the fourth of 16 parts as equal as can be, some of which are empty if there
            are fewer shards; `40-59` and `7` are shards; an empty text is all of them.
        count: the number of all shards.

    Raises:
        InputError: it is not of that form, or there are no such shards.
    """
    check_part(text)
    if not text:
        return range(count)
    if part := _PART.fullmatch(text):
        number, parts = int(part[1]), int(part[2])
        return range(number * count // parts, (number + 1) * count // parts)
    ends = _RANGE.fullmatch(text)
    assert ends
    first, last = int(ends[1]), int(ends[2] or ends[1])
    if not first <= last < count:
        raise InputError(f"--shards={text}: there are {count} shards, 0 to {count - 1}")
    return range(first, last + 1)
