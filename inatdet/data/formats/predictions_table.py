"""Predictions in tables that other programs write, text or Parquet.

Three kinds are told apart by the names of their columns:

- ranks: an image and the ids of its best categories, separated by spaces, as Kaggle's competition
  of 2017 had them: `id,predicted`;
- long: one row per guess, with `image_id`, `category_id` and `probability` or `score`;
- wide: one row per image, with a column for each category, called by its id or its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inatdet.data.annotations import Image
from inatdet.data.entries import short, whole_number
from inatdet.data.formats.image_tables import Found, ImageTable
from inatdet.data.formats.predictions_long import CATEGORY_COLUMN, SCORE_COLUMNS, read_long
from inatdet.data.formats.predictions_ranks import read_ranks
from inatdet.data.formats.predictions_wide import read_wide
from inatdet.data.formats.text_tables import Table
from inatdet.data.granularity import Granularity
from inatdet.data.predictions import Predictions
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

_IMAGE_COLUMNS = ("image_id", "id", "image", "file_name")
FORMS = (
    "write image_id and the ids of its best categories separated by spaces; or image_id, "
    "category_id and probability or score; or image_id and a column for each category"
)
"""What to write instead of a table of another form."""

_SHOWN = 5  # of the columns


def read_table_predictions(
    path: str, taxonomy: Taxonomy, images: Sequence[Image], keep: int
) -> Predictions:
    """Reads one of the three kinds of tables.

    Args:
        path: the file.
        taxonomy: the label spaces to express the labels in.
        images: those of the truth, by whose names images that are called so are found.
        keep: how many of the best labels of an image are kept.

    Raises:
        InputError: the file is damaged or none of these tables, a category is unknown, an image
            comes twice, or probabilities are none.
    """
    table = Table(path)
    image = next((name for name in _IMAGE_COLUMNS if name in table.names), None)
    others = tuple(name for name in table.names if name != image)
    if image is None or not others:
        some = ", ".join(map(short, table.names[:_SHOWN]))
        more = f" and {len(table.names) - _SHOWN:,} more" if len(table.names) > _SHOWN else ""
        what = "no column image_id" if image is None else "only one column"
        raise InputError(f"{path}: is a table with {what}: it has {some}{more}; {FORMS}")
    found = _reader(others)(ImageTable(table, image, others, taxonomy, tuple(images), keep))
    return Predictions(
        path=path,
        trained_on=Granularity.SPECIES,
        image_ids=found.image_ids,
        ranked=found.ranked,
        taxonomy=taxonomy,
        notes=found.notes,
    )


def _reader(columns: Sequence[str]) -> Callable[[ImageTable], Found]:
    """What reads a table with these columns besides that of images."""
    if CATEGORY_COLUMN in columns and any(name in columns for name in SCORE_COLUMNS):
        return read_long
    if len(columns) == 1 and whole_number(columns[0]) is None:
        return read_ranks
    return read_wide
