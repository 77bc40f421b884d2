"""Super-classes: the order of their labels, and whether given ones fit the categories."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from inatdet.data.entries import short
from inatdet.errors import InputError

PAPER_SUPER_CLASSES: tuple[str, ...] = (
    "Insecta",
    "Aves",
    "Reptilia",
    "Mammalia",
    "Amphibia",
    "Mollusca",
    "Animalia",
    "Arachnida",
    "Actinopterygii",
)
"""The nine super-classes with boxes, in the order of the paper's Table 5."""


def in_order(found: Iterable[str]) -> list[str]:
    """Super-classes in the order of their labels unless another is given.

    Args:
        found: each once, in order of first appearance: the order that stays, but for the paper's if
            all are among the paper's nine.
    """
    ordered = list(found)
    if set(ordered) <= set(PAPER_SUPER_CLASSES):
        ordered.sort(key=PAPER_SUPER_CLASSES.index)
    return ordered


def check_super_classes(
    given: Sequence[str], boxed: Iterable[str], listed: Collection[str]
) -> None:
    """Raises `InputError` unless super-classes are distinct, known and cover all boxes.

    Args:
        given: the super-classes in the order of their labels.
        boxed: those that have a box.
        listed: those of all categories.
    """
    if len(set(given)) != len(given):
        raise InputError(f"the super-classes {_listed(given)} have a repeat; name each once")
    for name in given:
        if name not in listed:
            raise InputError(f"no category has the super-class {short(name)}; check the spelling")
    for name in boxed:
        if name not in given:
            raise InputError(
                f"the super-class {short(name)} has boxes but is not among those given "
                f"({_listed(given)}); add it, or leave its boxes out of the annotations"
            )


def _listed(names: Sequence[str]) -> str:
    """The first few names, for messages."""
    return ", ".join(map(short, names[:9])) + (", ..." if names[9:] else "")
