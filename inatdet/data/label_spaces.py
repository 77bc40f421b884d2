"""Whether label spaces are those of some annotations."""

from __future__ import annotations

from collections.abc import Iterable

from inatdet.data.categories import Category
from inatdet.data.entries import short
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError


def check_label_spaces(
    taxonomy: Taxonomy,
    source: str,
    categories: Iterable[Category],
    path: str,
    having: str = "boxes",
) -> None:
    """Refuses label spaces of another dataset, or of another version of the same.

    Categories with boxes must be listed there under the same id, name and super-class. Whether they
    have a species label is not asked: of a category without a box in training, the boxes in
    validation have none, and are counted.

    Args:
        taxonomy: the label spaces.
        source: where they come from, for the message.
        categories: those that have boxes in the annotations.
        path: the annotations, for the message.
        having: what these categories have there, for the message.

    Raises:
        InputError: a category is not listed or differs; the first is named.
    """
    known = taxonomy.category_of_id
    differing = [c for c in categories if known.get(c.id) != c]
    if not differing:
        return
    first = differing[0]
    other = known.get(first.id)
    there = f"is {_described(other)}" if other else "is not listed"
    same_name = any(c.name == first.name for c in known.values() if other is None or c is not other)
    advice = (
        "the ids differ, so use the taxonomy of the same dataset or, for VOC and YOLO, --names "
        "with all classes in the order of training"
        if same_name
        else "use the taxonomy of the same dataset"
    )
    raise InputError(
        f"{path}: category {first.id} ({_described(first)}) {there} in the label spaces of "
        f"{source}, and so for {len(differing)} categor{'y' if len(differing) == 1 else 'ies'} "
        f"with {having}; {advice}"
    )


def _described(category: Category) -> str:
    return f"{short(category.name)}, {short(category.supercategory)}"
