"""Wide tables: an image and the scores of all categories, one column each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inatdet.data.entries import folded, short, whole_number
from inatdet.data.formats.image_tables import Found, ImageTable
from inatdet.data.formats.text_tables import NUMBER, TEXT
from inatdet.data.ranking import Ranker, Scores
from inatdet.data.score_columns import ScoreColumns
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

_NAMED = 3  # of the columns that are none


def read_wide(table: ImageTable) -> Found:
    """Reads such a table.

    Raises:
        InputError: an image comes twice, a column is no category, or a score is not finite.
    """
    path, columns = table.path, table.columns
    categories = _categories(path, columns, table.taxonomy)
    known = ScoreColumns.of_categories(path, categories, len(columns), table.taxonomy)
    ranker = Ranker(path, Scores.ANY, known, table.keep)
    names: list[str] = []
    wanted = {table.image: TEXT, **dict.fromkeys(columns, NUMBER)}
    for of_images, *of_columns in table.table.batches(wanted):
        more = table.names_of(of_images)
        scores = np.empty((len(more), len(columns)))
        for at, (name, column) in enumerate(zip(columns, of_columns, strict=True)):
            scores[:, at] = table.numbers_of(name, column)
        ranker.add(more, scores)
        names += more
    ids, notes = table.image_ids(names)
    ranked, more_notes = ranker.finish()
    return Found(ids, ranked, (*notes, *more_notes))


def _categories(path: str, columns: Sequence[str], taxonomy: Taxonomy) -> np.ndarray:
    """The category ids, int64, of columns that are called by id, or else by name."""
    ids: dict[str, int | None] = {}
    for category in taxonomy.categories:
        ids[category.name] = None if category.name in ids else category.id
    numbers = [whole_number(name) for name in columns]
    found = [
        ids.get(folded(name)) if number is None else number
        for name, number in zip(columns, numbers)
    ]
    lost = [name for name, category_id in zip(columns, found) if category_id is None]
    if lost:
        several = any(folded(name) in ids for name in lost)
        raise InputError(
            f"{path}: {len(lost):,} of its columns, "
            f"{'such as' if len(lost) > _NAMED else 'namely'} "
            f"{', '.join(map(short, lost[:_NAMED]))}, have no category's id or name as theirs"
            f"{', or that of several' if several else ''}; call the columns by category ids, and "
            "leave out those that are no scores"
        )
    return np.array(found, np.int64)
