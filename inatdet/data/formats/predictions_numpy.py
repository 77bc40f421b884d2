"""Scores of all labels as NumPy's `savez` and `savez_compressed` write them.

The arrays are `image_ids` `[images]`; `logits` or `probabilities` `[images, labels]`; and, where
the columns are not the labels 1, 2, ... of the evaluation, `category_ids` `[labels]`. Scores are
read block by block: for iNat2017's validation images they take two gigabytes.
"""

from __future__ import annotations

import contextlib
import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

from inatdet.data.annotations import Image
from inatdet.data.entries import short
from inatdet.data.formats.image_ids import ids_of_text
from inatdet.data.granularity import Granularity
from inatdet.data.prediction_checks import check_image_ids
from inatdet.data.predictions import Predictions
from inatdet.data.ranking import Ranker, Scores
from inatdet.data.score_columns import ScoreColumns
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError, cannot_read, reason_of
from inatdet.files import open_regular

WRITE_NPZ = (
    "write numpy.savez(PATH, image_ids=..., logits=...) or probabilities=..., with a column for "
    "each label"
)

_IMAGES, _CATEGORIES = "image_ids", "category_ids"
_BLOCK = 1 << 22  # bytes of scores read at a time; few, for the reason in `ranking`
_MOST_DENSE = 1100  # Zlib makes at most 1,032 bytes of one


def read_numpy_predictions(
    path: str, taxonomy: Taxonomy, images: Sequence[Image], keep: int
) -> Predictions:
    """Reads an .npz file of scores.

    Args:
        path: the file.
        taxonomy: the label spaces to express the labels in.
        images: those of the truth, by whose names images that are called so are found.
        keep: how many of the best labels of an image are kept at each level.

    Raises:
        InputError: the file is damaged, lacks an array or has one of another shape or type; an
            image comes twice, a category is unknown, or a score is not finite or no probability.
    """
    with _archive(path) as archive:
        arrays = {name.removesuffix(".npy"): name for name in archive.namelist()}
        kinds = [kind for kind in (Scores.LOGITS, Scores.PROBABILITIES) if kind in arrays]
        if _IMAGES not in arrays or len(kinds) != 1:
            has = ", ".join(short(name) for name in list(arrays)[:5]) or "nothing"
            raise InputError(
                f"{path}: holds {has}, but not image_ids and one of logits and probabilities; "
                f"{WRITE_NPZ}"
            )
        names = list(map(str, _small(path, archive, arrays[_IMAGES], "iuU").tolist()))
        ids, notes = ids_of_text(path, names, images)
        check_image_ids(path, ids, names)
        scores = _Scores(path, archive, arrays[kinds[0]])
        if scores.rows != len(ids):
            raise InputError(
                f"{path}: has {len(ids):,} image_ids, but {kinds[0]} of {scores.rows:,} images; "
                "write one row for each image"
            )
        if _CATEGORIES in arrays:
            categories = _small(path, archive, arrays[_CATEGORIES], "iu").astype(np.int64)
            columns = ScoreColumns.of_categories(path, categories, scores.columns, taxonomy)
        else:
            columns = ScoreColumns.of_labels(path, scores.columns, Granularity.SPECIES, taxonomy)
        ranker, start = Ranker(path, kinds[0], columns, keep), 0
        for block in scores.blocks():
            ranker.add(names[start : start + len(block)], block)
            start += len(block)
    ranked, more_notes = ranker.finish()
    return Predictions(
        path=path,
        trained_on=Granularity.SPECIES,
        image_ids=ids,
        ranked=ranked,
        taxonomy=taxonomy,
        notes=(*notes, *more_notes),
    )


@contextlib.contextmanager
def _archive(path: str) -> Iterator[zipfile.ZipFile]:
    """An archive; whatever goes wrong with it inside the block is an `InputError`."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except InputError:
        raise
    # RuntimeError: a password; NotImplementedError: a compression; ValueError: no array.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{path}: is damaged or not an archive of NumPy's arrays ({reason_of(error)}); "
            f"{WRITE_NPZ}"
        ) from error
    except OSError as error:
        raise cannot_read(path, error) from error


def _header(path: str, file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """The shape of an array, whether columns come first, and its type."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise InputError(f"{path}: {short(name)} is in NumPy's format {version}; {WRITE_NPZ}")


def _check(
    path: str, archive: zipfile.ZipFile, name: str, kinds: str, dimensions: int
) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Reads and checks what an array claims to be, before there is any room made for it."""
    with archive.open(name) as file:
        shape, is_fortran, dtype = _header(path, file, name)
    if dtype.kind not in kinds or len(shape) != dimensions:
        wanted = "whole numbers" if "f" not in kinds else "numbers"
        wanted += " or names" if "U" in kinds else ""
        axes = "one axis" if dimensions == 1 else "two axes"
        raise InputError(
            f"{path}: {short(name)} has the shape {shape} and the type {dtype}, but should have "
            f"{axes} of {wanted}; {WRITE_NPZ}"
        )
    if math.prod(shape) * dtype.itemsize > _MOST_DENSE * archive.getinfo(name).compress_size:
        raise InputError(
            f"{path}: {short(name)} claims to be larger than it can be; write it again"
        )
    return shape, is_fortran, dtype


def _small(path: str, archive: zipfile.ZipFile, name: str, kinds: str) -> np.ndarray:
    _check(path, archive, name, kinds, 1)
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


class _Scores:
    """An array `[rows, columns]` in an archive.

    Raises:
        InputError: it is of another shape or type.
    """

    def __init__(self, path: str, archive: zipfile.ZipFile, name: str):
        self._path, self._archive, self._name = path, archive, name
        shape, self._is_fortran, self._dtype = _check(path, archive, name, "iuf", 2)
        self.rows, self.columns = shape

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields some rows at a time; all at once where columns come first in the file."""
        row = self.columns * self._dtype.itemsize
        at_once = max(1, _BLOCK // max(1, row))
        with self._archive.open(self._name) as file:
            if self._is_fortran:
                yield np.lib.format.read_array(file, allow_pickle=False)
                return
            _header(self._path, file, self._name)
            for start in range(0, self.rows, at_once):
                count = min(at_once, self.rows - start)
                data = file.read(count * row)
                if len(data) != count * row:
                    raise EOFError(f"{self._name} ends early")
                yield np.frombuffer(data, self._dtype).reshape(count, self.columns)
