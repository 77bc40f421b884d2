"""A table with a column of images: its cells checked, and what was found in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from inatdet.data.annotations import Image
from inatdet.data.entries import short
from inatdet.data.formats.image_ids import ids_of_text
from inatdet.data.formats.parquet_arrays import as_numpy
from inatdet.data.formats.text_tables import Table
from inatdet.data.granularity import Granularity
from inatdet.data.prediction_checks import check_image_ids
from inatdet.data.ranking import Ranked
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError


@dataclass(frozen=True, eq=False)
class Found:
    """What a table says.

    Attributes:
        image_ids: int64 `[images]`.
        ranked: the best labels by level.
        notes: what to tell about it.
    """

    image_ids: np.ndarray
    ranked: Mapping[Granularity, Ranked]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ImageTable:
    """A table with a column of images, and what its reader needs to know.

    Attributes:
        table: the table.
        image: the name of the column of images.
        columns: the names of the others.
        taxonomy: the label spaces to express the labels in.
        images: those of the truth.
        keep: how many of the best labels of an image are kept.
    """

    table: Table
    image: str
    columns: tuple[str, ...]
    taxonomy: Taxonomy
    images: tuple[Image, ...]
    keep: int

    @property
    def path(self) -> str:
        """The file."""
        return self.table.path

    def names_of(self, column: pa.Array) -> list[str]:
        """What images are called.

        Raises:
            InputError: a cell is empty.
        """
        names: list[str] = column.to_pylist()
        if None in names or "" in names:
            raise InputError(f"{self.path}: column {short(self.image)} has empty cells; fill them")
        return names

    def numbers_of(self, name: str, column: pa.Array) -> np.ndarray:
        """The numbers in a column, float64, not all of them finite.

        Raises:
            InputError: a cell is empty.
        """
        if column.null_count:
            raise InputError(
                f"{self.path}: column {short(name)} has {column.null_count:,} or more empty cells; "
                "fill them or leave those rows out"
            )
        return as_numpy(column)

    def image_ids(self, names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
        """The ids of images, int64, and what to tell about them.

        Raises:
            InputError: there are none, one comes twice, or is called by the name of no file.
        """
        ids, notes = ids_of_text(self.path, names, self.images)
        check_image_ids(self.path, ids, names)
        return ids, notes
