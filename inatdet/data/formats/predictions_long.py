"""Long tables: one row per guess, with an image, a category and its probability or score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from inatdet.data.formats.image_tables import Found, ImageTable
from inatdet.data.formats.parquet_arrays import as_numpy
from inatdet.data.formats.predictions_ranks import filled
from inatdet.data.formats.text_tables import NUMBER, TEXT
from inatdet.data.granularity import Granularity
from inatdet.data.guesses import rank_categories
from inatdet.data.prediction_checks import ROUNDING, SUM_ROUNDING, shown, so_many
from inatdet.data.ranking import ONLY_RANKS, Ranker, Scores
from inatdet.data.score_columns import ScoreColumns
from inatdet.errors import InputError

CATEGORY_COLUMN = "category_id"
SCORE_COLUMNS = {"probability": Scores.PROBABILITIES, "score": Scores.ANY}
"""What scores are by the name of their column; the first one that a table has is taken."""

_EXACT = 2.0**53  # whole numbers above it are not all different as floats


@dataclass(frozen=True, eq=False)
class _Guesses:
    """The rows of a table.

    Attributes:
        images: int32 `[rows]`, the number of each row's image, from 0, in order of appearance.
        categories: float64 `[rows]`, category ids.
        scores: float64 `[rows]`.
    """

    images: np.ndarray
    categories: np.ndarray
    scores: np.ndarray

    def taken(self, rows: np.ndarray) -> _Guesses:
        """Only these rows, in this order."""
        return _Guesses(self.images[rows], self.categories[rows], self.scores[rows])


def read_long(table: ImageTable) -> Found:
    """Reads such a table.

    Raises:
        InputError: a category is unknown or comes twice for an image, a score is not finite, or
            what is called a probability is none.
    """
    score = next(name for name in SCORE_COLUMNS if name in table.columns)
    names, guesses = _read(table, score)
    ids, notes = table.image_ids(names)
    _check_finite(table.path, guesses, names, score)
    are_probabilities = _check_probabilities(table.path, guesses, names, SCORE_COLUMNS[score])
    if not are_probabilities:
        notes = (*notes, ONLY_RANKS.format(table.path))
    guesses = _sorted(guesses)
    lengths = np.bincount(guesses.images, minlength=len(names))
    categories = guesses.categories.astype(np.int64)
    if are_probabilities and (space := _complete(guesses, lengths, categories)) is not None:
        columns = ScoreColumns.of_categories(table.path, space, len(space), table.taxonomy)
        every = np.zeros((len(names), len(space)))
        every[guesses.images, np.searchsorted(space, categories)] = guesses.scores
        ranker = Ranker(table.path, Scores.PROBABILITIES, columns, table.keep)
        ranker.add(names, every)
        ranked, more_notes = ranker.finish()
        return Found(ids, ranked, (*notes, *more_notes))
    probabilities = None
    if are_probabilities:
        probabilities = filled(guesses.scores.astype(np.float32), lengths, table.keep)
    own, more_notes = rank_categories(
        table.path,
        names,
        filled(categories, lengths, table.keep),
        np.minimum(lengths, table.keep),
        probabilities,
        table.taxonomy,
    )
    return Found(ids, {Granularity.SPECIES: own}, (*notes, *more_notes))


def _read(table: ImageTable, score: str) -> tuple[list[str], _Guesses]:
    """The names of the images in order of appearance, and the rows."""
    seen: dict[str, int] = {}
    none = np.zeros(0)
    images, categories, scores = [none.astype(np.int32)], [none], [none]
    wanted = {table.image: TEXT, CATEGORY_COLUMN: NUMBER, score: NUMBER}
    for of_images, of_categories, of_scores in table.table.batches(wanted):
        coded = of_images.dictionary_encode(null_encoding="encode")
        names = table.names_of(coded.dictionary)
        codes = np.array([seen.setdefault(name, len(seen)) for name in names], np.int32)
        images.append(codes[as_numpy(coded.indices.cast(pa.int32()))])
        categories.append(table.numbers_of(CATEGORY_COLUMN, of_categories))
        scores.append(table.numbers_of(score, of_scores))
    joined = [np.concatenate(parts) for parts in (images, categories, scores)]
    return list(seen), _Guesses(*joined)


def _check_finite(path: str, guesses: _Guesses, names: list[str], score: str) -> None:
    """Raises `InputError` where a category is no whole number, or a score not finite."""
    categories = guesses.categories
    whole = (categories == np.floor(categories)) & (np.abs(categories) < _EXACT)
    for what, values, good in (
        (CATEGORY_COLUMN, categories, whole),
        (score, guesses.scores, np.isfinite(guesses.scores)),
    ):
        if not good.all():
            row = int(np.argmin(good))
            raise InputError(
                f"{path}: row {row + 1} (image {shown(names[guesses.images[row]])}) has the {what} "
                f"{values[row]:g}; {so_many(int((~good).sum()), 'row')} like this; category "
                "ids are whole numbers, and scores finite"
            )


def _check_probabilities(path: str, guesses: _Guesses, names: list[str], kind: Scores) -> bool:
    """Whether scores are probabilities; raises `InputError` if they are not but should be."""
    scores = guesses.scores
    outside = (scores < 0) | (scores > 1 + ROUNDING)
    with np.errstate(over="ignore"):
        totals = np.bincount(guesses.images, scores, len(names))
    too_much = totals > 1 + SUM_ROUNDING
    if kind is Scores.ANY or not (outside.any() or too_much.any()):
        return not (outside.any() or too_much.any())
    advice = "call the column score if these are no probabilities"
    if outside.any():
        row = int(np.argmax(outside))
        raise InputError(
            f"{path}: row {row + 1} (image {shown(names[guesses.images[row]])}) has the "
            f"probability {scores[row]:g}; {so_many(int(outside.sum()), 'row')} like this; {advice}"
        )
    at = int(np.argmax(too_much))
    raise InputError(
        f"{path}: image {shown(names[at])} has probabilities that sum to {totals[at]:.4g}; "
        f"{so_many(int(too_much.sum()))} like this; {advice}"
    )


def _sorted(guesses: _Guesses) -> _Guesses:
    """Image by image, the best first; equal ones stay in the order of the table."""
    images, scores = guesses.images, guesses.scores
    same = images[1:] == images[:-1]
    if np.all((images[1:] > images[:-1]) | (same & (scores[1:] <= scores[:-1]))):
        return guesses  # as most programs write them
    return guesses.taken(np.lexsort((-scores, images)))


def _complete(guesses: _Guesses, lengths: np.ndarray, categories: np.ndarray) -> np.ndarray | None:
    """The ids of all categories, int64, if each image has the probability of each; or None."""
    if (lengths != lengths[0]).any():
        return None
    space = np.unique(categories)
    totals = np.bincount(guesses.images, guesses.scores, len(lengths))
    cells = guesses.images.astype(np.int64) * len(space) + np.searchsorted(space, categories)
    if len(space) != lengths[0] or (totals < 1 - SUM_ROUNDING).any():
        return None
    return space if len(np.unique(cells)) == len(cells) else None  # a repeated one is told later
