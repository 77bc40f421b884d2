"""Granularities: the names of the levels at which animals are told apart."""

from __future__ import annotations

import re
from typing import ClassVar

_FORM = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Granularity(str):
    """How finely animals are told apart: the name of a level of labels.

    `SPECIES`, `SUPER` and `GENERIC` exist in every taxonomy; others are ranks, such as `genus`,
    that a taxonomy may have besides. There is one object per name, so `is` compares names.

    Args:
        name: lower-case letters, digits and underscores, as it appears in flags, settings and
            files.

    Raises:
        ValueError: the name has another form.

    Example:
        >>> Granularity("genus")
        Granularity('genus')
        >>> Granularity("super") is Granularity.SUPER
        True
    """

    SPECIES: ClassVar[Granularity]
    SUPER: ClassVar[Granularity]
    GENERIC: ClassVar[Granularity]
    _known: ClassVar[dict[str, Granularity]] = {}

    def __new__(cls, name: str) -> Granularity:
        """The granularity of a name."""
        known = cls._known.get(name)
        if known is None:
            if not _FORM.fullmatch(name):
                raise ValueError(
                    f"{name[:60]!r} cannot name a granularity; use lower-case letters, digits and _"
                )
            known = cls._known.setdefault(str(name), super().__new__(cls, name))
        return known

    def __repr__(self) -> str:
        return f"Granularity({str(self)!r})"

    def __str__(self) -> str:
        return "".join(self)  # a plain string, which YAML and JSON write as such


Granularity.SPECIES = Granularity("species")
Granularity.SUPER = Granularity("super")
Granularity.GENERIC = Granularity("generic")

ALWAYS: tuple[Granularity, ...] = (
    Granularity.SPECIES,
    Granularity.SUPER,
    Granularity.GENERIC,
)
"""The levels that every taxonomy has, and the defaults of every command, from fine to coarse."""

ORDER = (
    "species",
    "subgenus",
    "genus",
    "subtribe",
    "tribe",
    "subfamily",
    "family",
    "superfamily",
    "infraorder",
    "suborder",
    "order",
    "superorder",
    "subclass",
    "class",
    "super",
    "subphylum",
    "phylum",
    "kingdom",
    "generic",
)
"""Ranks from fine to coarse; iNaturalist's super-classes are classes at the finest."""


def place_in_order(level: str) -> int:
    """Where a level stands among others with the same labels.

    Ranks that are not in `ORDER` stand before the super-classes.
    """
    return 2 * ORDER.index(level) if level in ORDER else 2 * ORDER.index("super") - 1
