"""What our Parquet files have in common: columns as arrays, and files written piece by piece."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inatdet.errors import InputError, reason_of
from inatdet.files import atomic_path

MAGIC = b"PAR1"
"""The first bytes of every Parquet file."""

_COARSE_FLOATS = (pa.float16(), pa.float32())
_COARSEST_ID = 1 << 24  # from here on, whole numbers are not all different as 32-bit floats

_Writer = TypeVar("_Writer", bound="PiecewiseWriter")


class PiecewiseWriter:
    """Writes a Parquet file piece by piece.

    The file appears under its name only when the `with` block succeeds. It is the same however its
    rows were divided into pieces.

    Args:
        path: the file.
        schema: its columns and metadata.
        rows_per_group: how many rows to collect before they are written to the disk.
        encoding: options of `pyarrow.parquet.ParquetWriter`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        schema: pa.Schema,
        rows_per_group: int,
        encoding: Mapping[str, Any] | None = None,
    ):
        self._path = path
        self._schema = schema
        self._rows_per_group = rows_per_group
        self._encoding = dict(encoding or {})
        self._waiting: list[pa.RecordBatch] = []

    def __enter__(self: _Writer) -> _Writer:
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self._path))
            self._writer = pq.ParquetWriter(
                temporary,
                self._schema,
                compression="zstd",
                write_page_checksum=True,
                **self._encoding,
            )
            stack.callback(self._writer.close)
            self._stack = stack.pop_all()
        return self

    def _add(self, columns: list[pa.Array]) -> None:
        self._waiting.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        rows = sum(len(batch) for batch in self._waiting)
        if rows >= self._rows_per_group:
            self._flush(rows - rows % self._rows_per_group)

    def _flush(self, rows: int) -> None:
        """Writes the first rows of those that wait, in groups of `rows_per_group`."""
        # In one piece, because Arrow may begin a page where a piece begins.
        table = pa.Table.from_batches(self._waiting, self._schema).combine_chunks()
        self._writer.write_table(table.slice(0, rows), row_group_size=self._rows_per_group)
        self._waiting = table.slice(rows).to_batches()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._stack.__exit__(kind, error, traceback)
            return
        with self._stack:  # so that the temporary file goes if the last piece does not fit
            self._flush(sum(len(batch) for batch in self._waiting))


@contextlib.contextmanager
def open_parquet(path: str, content: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file; whatever goes wrong with it inside the block is an `InputError`.

    Args:
        path: the file.
        content: what it should hold, for the message.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: names not in UTF-8
        raise InputError(
            f"{path}: is damaged or not a Parquet file of {content} ({reason_of(error)}); write "
            "it again"
        ) from error


def check_coarse_ids(path: str, kind: pa.DataType, image_ids: np.ndarray) -> None:
    """Raises `InputError` where ids were written as floats too coarse to tell them apart."""
    if kind in _COARSE_FLOATS and np.abs(image_ids).max(initial=0) >= _COARSEST_ID:
        raise InputError(
            f"{path}: column 'image_id' contains small floats, which cannot tell ids as large as "
            f"{np.abs(image_ids).max()} apart; write it as int64"
        )


# Arrow's own conversions from and to NumPy import pandas the first time, half a second in which
# Ctrl-C is lost, because an exception cannot leave the C code that waits for it.


def as_arrow(column: np.ndarray, name: str, kind: pa.DataType) -> pa.Array:
    """A column of numbers as an Arrow array of a type.

    Raises:
        ValueError: the type is a whole number, but a value is not.
    """
    given = np.asarray(column)
    with np.errstate(invalid="ignore", over="ignore"):
        values = np.ascontiguousarray(given, kind.to_pandas_dtype())
    if pa.types.is_integer(kind) and (values != given).any():
        raise ValueError(f"{name} must be whole numbers that fit {kind}")
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def as_numpy(column: pa.Array) -> np.ndarray:
    """An Arrow array of numbers without empty cells as a NumPy array, without a copy."""
    dtype = np.dtype(column.type.to_pandas_dtype())
    if not len(column):
        return np.empty(0, dtype)
    start = column.offset * dtype.itemsize
    return np.frombuffer(column.buffers()[1], dtype, len(column), start)
