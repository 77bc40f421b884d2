"""Ranks of categories that their annotation file does not name: from a table, or from binomials."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from inatdet.data.annotations import Annotations
from inatdet.data.categories import MOST_RANKS, Category
from inatdet.data.entries import folded, name_fault, short
from inatdet.data.formats.names import read_text
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.data.image_labels import ImageLabels
from inatdet.errors import InputError

_BINOMIAL = re.compile(r"(?:[x×] ?)?(?P<genus>[A-Z][a-zë]+(?:-[a-z]+)?) (?:[x×] ?)?[a-zë][\w.'-]*")
_DELIMITERS = ",;\t"
_KEYS = ("id", "name")
_NAMED = 3  # names that are told at most

_Ranked = TypeVar("_Ranked", Annotations, ImageLabels)

Ranks = Mapping[int, Mapping[str, str]]
"""Names at ranks by category id: `{17: {"genus": "Parus"}}`."""


def read_ranks(path: str | os.PathLike[str], categories: Sequence[Category]) -> Ranks:
    """Reads a table of ranks.

    Args:
        path: a CSV file with a header and one row per category: its `id` or its `name`, and a
            column for each rank, such as `genus` and `family`. Empty cells are ranks that a
            category lacks. Rows of other categories are passed over.
        categories: those of the dataset.

    Returns:
        The ranks of the categories that have a row.

    Raises:
        InputError: the file is not such a table, a row contradicts an earlier one or names several
            categories, or no row is of a category of the dataset.
    """
    path = os.fspath(path)
    rows = _rows(path)
    header = [_column(path, title) for title in next(rows, [])]
    keys = [title for title in _KEYS if title in header]
    ranks = [title for title in header if title not in _KEYS]
    if not keys or not ranks or len(set(header)) < len(header):
        raise InputError(
            f"{path}: its first line is {', '.join(header)[:200]!r}, but must name the columns: id "
            "or name, then different ranks such as genus and family"
        )
    if len(ranks) > MOST_RANKS:
        raise InputError(
            f"{path}: names {len(ranks):,} ranks, more than the {MOST_RANKS} allowed; keep those "
            "that are to be levels"
        )
    ids = _ids(keys[0], categories)
    found: dict[int, dict[str, str]] = {}
    for number, row in enumerate(rows, 2):
        if not any(row):
            continue
        if len(row) != len(header):
            raise InputError(
                f"{path}, row {number}: has {len(row)} cells, but the header has {len(header)}; "
                "put cells that contain commas into quotes"
            )
        cells = dict(zip(header, row))
        for rank in ranks:
            if cells[rank] and (fault := name_fault(cells[rank])):
                raise InputError(f"{path}, row {number}: has {fault} {rank}; correct it")
        category_ids = ids.get(cells[keys[0]], [])
        if len(category_ids) > 1:
            raise InputError(
                f"{path}, row {number}: several categories are called {cells[keys[0]][:80]!r}; "
                "tell them apart by a column id"
            )
        for category_id in category_ids:
            named = {rank: cells[rank] for rank in ranks if cells[rank]}
            if found.setdefault(category_id, named) != named:
                raise InputError(
                    f"{path}, row {number}: category {category_id} has other ranks in an earlier "
                    "row; keep one of them"
                )
    if not found:
        raise InputError(
            f"{path}: no row has the {keys[0]} of a category of the dataset; check that both "
            "belong together"
        )
    return found


def genera_of_names(categories: Sequence[Category]) -> tuple[Ranks, tuple[str, ...]]:
    """The genera that the categories' names begin with.

    Args:
        categories: those of the dataset, such as `Parus major`.

    Returns:
        The genus by category id, and the names that do not look like binomials.
    """
    found, others = {}, []
    for category in categories:
        match = _BINOMIAL.match(category.name)
        if match:
            found[category.id] = {"genus": match["genus"]}
        else:
            others.append(category.name)
    return found, tuple(others)


def with_ranks(
    annotations: _Ranked, path: str | os.PathLike[str] | None, genus_from_names: bool = False
) -> _Ranked:
    """Annotations whose categories, and given label spaces, have names at more ranks.

    Args:
        annotations: of a dataset; boxes or labels of images.
        path: a table of ranks for `read_ranks`, which takes precedence over names; or None.
        genus_from_names: whether to take genera from names that are binomials; a note of the
            annotations tells the others.

    Raises:
        InputError: the table cannot be read, or gives a rank that cannot be a level.
    """
    if genus_from_names:
        found, others = genera_of_names(annotations.categories)
        annotations = annotations.with_ranks(found)
        if others:
            named = ", ".join(map(short, others[:_NAMED])) + (", ..." if others[_NAMED:] else "")
            note = (
                f"{annotations.path}: {len(others)} of {len(annotations.categories)} names are no "
                f"binomials and give no genus ({named})"
            )
            annotations = replace(annotations, notes=(*annotations.notes, note))
    if path is not None:
        annotations = annotations.with_ranks(read_ranks(path, annotations.categories))
    return annotations


def _rows(path: str) -> Iterator[list[str]]:
    """The rows of a CSV file, white space in their cells folded.

    Raises:
        InputError: it cannot be read as text or as CSV.
    """
    text = read_text(path)
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in rows:
            yield [folded(cell) for cell in row]
    except csv.Error as error:
        raise InputError(f"{path}, row {rows.line_num}: is not CSV ({error}); fix it") from error


def _column(path: str, title: str) -> str:
    """The name of a column, as a rank has it.

    Raises:
        InputError: no rank can be called so.
    """
    name = title.lower()
    if name == "category_id":
        return "id"
    if name in _KEYS:
        return name
    try:
        rank = Granularity(name)
    except ValueError as error:
        raise InputError(f"{path}: its column {error}") from error
    if rank in (*ALWAYS, "supercategory"):
        raise InputError(
            f"{path}: has a column {name!r}, which is a level of its own; leave it out"
        )
    return name


def _ids(key: str, categories: Sequence[Category]) -> dict[str, list[int]]:
    """The ids of the categories by what a cell says."""
    ids: dict[str, list[int]] = {}
    for category in categories:
        cell = str(category.id) if key == "id" else folded(category.name)
        ids.setdefault(cell, []).append(category.id)
    return ids
