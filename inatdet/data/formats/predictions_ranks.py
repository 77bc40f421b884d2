"""Tables of ranks: an image, and the ids of its best categories, separated by spaces."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute

from inatdet.data.entries import short
from inatdet.data.formats.image_tables import Found, ImageTable
from inatdet.data.formats.parquet_arrays import as_numpy
from inatdet.data.formats.text_tables import TEXT
from inatdet.data.granularity import Granularity
from inatdet.data.guesses import rank_categories
from inatdet.data.prediction_checks import check_lengths, shown
from inatdet.errors import InputError

_WHOLE_NUMBER = r"^-?[0-9]{1,18}$"


def read_ranks(table: ImageTable) -> Found:
    """Reads such a table.

    Raises:
        InputError: an image comes twice or has no category; or one is unknown, comes twice for an
            image or is no whole number.
    """
    (predicted,) = table.columns
    names: list[str] = []
    lengths, numbers = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for of_images, of_ids in table.table.batches({table.image: TEXT, predicted: TEXT}):
        more = table.names_of(of_images)
        if of_ids.null_count:
            raise InputError(
                f"{table.path}: column {short(predicted)} has empty cells; write at least the best "
                "category of each image, or leave the image out"
            )
        words, row = _words(of_ids)
        is_id = _flags(compute.match_substring_regex(words, _WHOLE_NUMBER))
        if not is_id.all():
            at = int(np.argmin(is_id))
            raise InputError(
                f"{table.path}: row {len(names) + row[at] + 1} (image {shown(more[row[at]])}) has "
                f"{short(words[at].as_py())} in place of a category id; write ids of categories, "
                "separated by spaces"
            )
        numbers.append(as_numpy(words.cast(pa.int64())))
        lengths.append(np.bincount(row, minlength=len(more)))
        names += more
    ids, notes = table.image_ids(names)
    count = np.concatenate(lengths)
    check_lengths(table.path, names, count)
    categories = filled(np.concatenate(numbers), count, table.keep)
    kept = np.minimum(count, table.keep)
    own, more_notes = rank_categories(table.path, names, categories, kept, None, table.taxonomy)
    return Found(ids, {Granularity.SPECIES: own}, (*notes, *more_notes))


def filled(values: np.ndarray, lengths: np.ndarray, keep: int) -> np.ndarray:
    """Lists that stand one after another as the rows of a matrix, cut off after `keep`."""
    place = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    kept = place < keep
    row = np.repeat(np.arange(len(lengths)), lengths)[kept]
    matrix = np.zeros((len(lengths), min(int(lengths.max()), keep)), values.dtype)
    matrix[row, place[kept]] = values[kept]
    return matrix


def _words(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The words of all cells, and int64 `[words]`, the row of each."""
    words = compute.utf8_split_whitespace(compute.utf8_trim_whitespace(column))
    flat = words.flatten()
    row = np.repeat(np.arange(len(column)), as_numpy(words.value_lengths()))
    # An empty cell has one empty word. A comparison with "" would import pandas; see `as_arrow`.
    is_word = compute.utf8_length(flat).cast(pa.bool_())
    return flat.filter(is_word), row[_flags(is_word)]


def _flags(column: pa.Array) -> np.ndarray:
    return as_numpy(column.cast(pa.int8())).astype(bool)
