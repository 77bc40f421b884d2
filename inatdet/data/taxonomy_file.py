"""Files of label spaces: JSON with the species in the order of their labels."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from inatdet.data.categories import Category
from inatdet.data.entries import folded, name_fault
from inatdet.errors import InputError, cannot_read
from inatdet.files import check_version, open_regular, write_text

TAXONOMY_FILE = "taxonomy.json"
"""The name of the file of label spaces that lies beside TFRecords and checkpoints."""

IMAGE_TAXONOMY_FILE = "image_taxonomy.json"
"""The name of the file of the label spaces of whole images, where TFRecords have image labels."""

_FORMAT = "inatdet taxonomy"
_VERSION = 2  # added the ranks of categories
_WRITE_AGAIN = "write the file again with `inatdet tfrecords`"


class SavedTaxonomy(NamedTuple):
    """What such a file says; the fields are those of `Taxonomy`."""

    super_classes: tuple[str, ...]
    species: tuple[Category, ...]
    unboxed: tuple[Category, ...]


def write(path: str | os.PathLike[str], taxonomy: SavedTaxonomy) -> None:
    """Writes label spaces, for `read`."""
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "super_classes": list(taxonomy.super_classes),
        "species": [{"label": i + 1, **_entry(c)} for i, c in enumerate(taxonomy.species)],
        "unboxed": [_entry(category) for category in taxonomy.unboxed],
    }
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def read(path: str | os.PathLike[str]) -> SavedTaxonomy:
    """Reads what `write` wrote. Whether its parts fit each other is not checked.

    Raises:
        InputError: the file is missing or is not a taxonomy, or its format version is newer than
            this code.
    """
    path = os.fspath(path)
    try:
        with open_regular(path, "r") as file:
            content = json.load(file)
    except OSError as error:
        raise cannot_read(path, error) from error
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({error}); {_WRITE_AGAIN}") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(
            f"{path}: is not a taxonomy (its format is not {_FORMAT!r}); {_WRITE_AGAIN}"
        )
    check_version(path, content.get("version"), _VERSION, _WRITE_AGAIN)
    try:
        return _from_content(content)
    except ValueError as error:
        raise unusable(path, error) from error


def unusable(path: str | os.PathLike[str], error: ValueError) -> InputError:
    """The error for a file of which `error` says in words what is wrong with it."""
    return InputError(f"{os.fspath(path)}: {error}; {_WRITE_AGAIN}")


def _from_content(content: Mapping[str, Any]) -> SavedTaxonomy:
    super_classes = content.get("super_classes")
    if not isinstance(super_classes, list) or any(map(name_fault, super_classes)):
        raise ValueError("has no list of names as its super_classes")
    lists: dict[str, tuple[Category, ...]] = {}
    for key in ("species", "unboxed"):
        entries = content.get(key)
        if not isinstance(entries, list):
            raise ValueError(f"has no list of {key}")
        categories = []
        for i, entry in enumerate(entries):
            try:
                categories.append(_category(entry))
            except ValueError as error:
                raise ValueError(f"entry {i + 1} of {key} {error}") from error
            if key == "species" and entry.get("label") != i + 1:
                raise ValueError(f"entry {i + 1} of species does not have label {i + 1}")
        lists[key] = tuple(categories)
    return SavedTaxonomy(tuple(map(folded, super_classes)), **lists)


def _category(entry: Any) -> Category:
    """A category of a saved file.

    Raises:
        ValueError: as `Category.from_entry`.
    """
    category = Category.from_entry(entry)
    ranks = entry.get("ranks", {})
    if not isinstance(ranks, dict) or any(map(name_fault, ranks.values())):
        raise ValueError("has no mapping of names as its ranks")
    return category.with_ranks({rank: folded(name) for rank, name in ranks.items()})


def _entry(category: Category) -> dict[str, Any]:
    """A category as it is saved."""
    fields = {"id": category.id, "name": category.name, "supercategory": category.supercategory}
    return fields | ({"ranks": dict(category.ranks)} if category.ranks else {})
