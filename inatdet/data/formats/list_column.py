"""A column of lists in a Parquet file, read block by block into a matrix."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from inatdet.data.formats.parquet_arrays import as_numpy
from inatdet.errors import InputError


class ListColumn:
    """A column of lists as a matrix, which grows wider where a list is longer.

    Args:
        path: the file, for messages.
        name: of the column.
        kind: its type.
        rows: how many rows it has.
        most: how many cells the matrix may have.

    Attributes:
        values: `[rows, k]`, 0 behind the end of a list.
        lengths: int64 `[rows]`, of the lists.
    """

    def __init__(self, path: str, name: str, kind: pa.DataType, rows: int, most: int):
        self._path, self._name, self._kind, self._most = path, name, kind, most
        self.values = np.zeros((rows, 0), kind.value_type.to_pandas_dtype())
        self.lengths = np.zeros(rows, np.int64)

    def put(self, start: int, column: pa.Array) -> None:
        """Fills rows from `start` on."""
        items = column.flatten()
        if column.null_count or items.null_count:
            raise InputError(
                f"{self._path}: column {self._name!r} has empty cells; fill or remove those rows"
            )
        if pa.types.is_fixed_size_list(column.type):
            lengths = np.full(len(column), column.type.list_size)
        else:
            lengths = as_numpy(column.value_lengths())
        values = as_numpy(items.cast(self._kind.value_type))
        stop = start + len(column)
        self._widen(start, int(lengths.max(initial=0)))
        self.lengths[start:stop] = lengths
        width = self.values.shape[1]
        if (lengths == width).all():
            self.values[start:stop] = values.reshape(-1, width)
        else:
            self.values[start:stop][np.arange(width) < lengths[:, None]] = values

    def _widen(self, filled: int, width: int) -> None:
        rows, before = self.values.shape
        if width <= before:
            return
        if rows * width > self._most:
            raise InputError(
                f"{self._path}: column {self._name!r} has a list of {width:,} elements, too many "
                f"for {rows:,} images; keep the best 100 of each image"
            )
        wider = np.zeros((rows, width), self.values.dtype)
        wider[:filled, :before] = self.values[:filled]
        self.values = wider

    def check_lengths(self, other: ListColumn, image_ids: np.ndarray) -> None:
        """Raises `InputError` unless the lists of another column are as long as these."""
        differ = self.lengths != other.lengths
        if differ.any():
            row = int(np.argmax(differ))
            raise InputError(
                f"{self._path}: image {image_ids[row]} has {self.lengths[row]} {self._name} but "
                f"{other.lengths[row]} {other._name}; write a probability for each label"
            )
