"""Finds the name that somebody probably meant, for messages."""

from __future__ import annotations

from collections.abc import Iterable


def similar_name(name: str, names: Iterable[str]) -> str:
    """The first of some names that differs in letter case, blanks and underscores only, or none."""
    wanted = _folded(name)
    return next((other for other in names if _folded(other) == wanted), "")


def _folded(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())
