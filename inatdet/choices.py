"""Base of the settings that are one of a few words."""

from __future__ import annotations

import enum


class Choice(str, enum.Enum):
    """Base of the enumerations whose values appear in flags, settings and files.

    A member equals its string value and prints as it.
    """

    def __str__(self) -> str:
        return str(self.value)
