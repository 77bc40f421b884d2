"""Settings that are one of several words."""

from __future__ import annotations

import enum


class Choice(str, enum.Enum):
    """Base of the enumerations whose values stand in flags, settings and files.

    A member is its value: it compares equal to the string and is printed as it.
    """

    def __str__(self) -> str:
        return str(self.value)
