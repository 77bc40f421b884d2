"""Tables of text or Parquet with a column of images, read batch by batch."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.csv as pc

from inatdet.data.entries import short
from inatdet.data.formats.parquet_arrays import MAGIC, open_parquet
from inatdet.errors import InputError, cannot_read, reason_of
from inatdet.files import open_regular

_LONGEST_HEADER = 8 << 20  # characters; ten thousand names take less than a tenth
_BLOCK = 1 << 24  # bytes of text, and so the longest line
_CELLS_AT_ONCE = 1 << 21
# A row takes more than a byte, as scores do not repeat; damaged Parquet may claim anything.
_FREE_ROWS = 1 << 20

TEXT, NUMBER = pa.string(), pa.float64()
"""What columns are read as."""


class Table:
    """A table in a file.

    Args:
        path: the file: Parquet, or text in UTF-8 with commas, semicolons or tabs, whose first line
            names the columns.

    Attributes:
        path: the file.
        names: of the columns.

    Raises:
        InputError: it cannot be read, is not such a table, or names a column twice.
    """

    def __init__(self, path: str):
        self.path = path
        with open_regular(path) as file:
            self._is_parquet = file.read(len(MAGIC)) == MAGIC
        self._delimiter = ","
        self.names = self._names_of_parquet() if self._is_parquet else self._names_of_text()
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise InputError(f"{path}: names the column {short(twice)} twice; rename one of them")

    def _names_of_parquet(self) -> tuple[str, ...]:
        with open_parquet(self.path, "predictions") as file:
            if file.metadata.num_rows > _FREE_ROWS + os.path.getsize(self.path):
                raise InputError(
                    f"{self.path}: claims to have {file.metadata.num_rows:,} rows, more than it "
                    "has bytes; it is damaged, so write it again"
                )
            return tuple(file.schema_arrow.names)

    def _names_of_text(self) -> tuple[str, ...]:
        with _readable(self.path), open_regular(self.path) as file:
            text = io.TextIOWrapper(file, "utf-8-sig", newline="")
            first = text.readline(_LONGEST_HEADER)
            if len(first) == _LONGEST_HEADER:
                raise InputError(
                    f"{self.path}: has a first line of {len(first):,} characters or more, which "
                    "should name its columns; check that it is the right file"
                )
            self._delimiter = max(",\t;", key=first.count)
            names = next(csv.reader([first], delimiter=self._delimiter), [])
        return tuple(name.strip() for name in names)

    def batches(self, columns: Mapping[str, pa.DataType]) -> Iterator[list[pa.Array]]:
        """Reads columns.

        Args:
            columns: `TEXT` or `NUMBER` by name. What is a number in Parquet becomes text as it is
                written in tables of text.

        Yields:
            An array of each column, all of the same length.

        Raises:
            InputError: the file is damaged, or a cell is not what it should be.
        """
        if self._is_parquet:
            yield from self._batches_of_parquet(columns)
        else:
            yield from self._batches_of_text(columns)

    def _batches_of_parquet(self, columns: Mapping[str, pa.DataType]) -> Iterator[list[pa.Array]]:
        rows = max(1, _CELLS_AT_ONCE // len(columns))
        with open_parquet(self.path, "predictions") as file:
            for name, kind in columns.items():
                _check_type(self.path, name, file.schema_arrow.field(name).type, kind)
            for batch in file.iter_batches(rows, columns=list(columns)):
                yield [_cast(batch.column(name), kind) for name, kind in columns.items()]

    def _batches_of_text(self, columns: Mapping[str, pa.DataType]) -> Iterator[list[pa.Array]]:
        with _readable(self.path), open_regular(self.path) as file:
            batches = pc.open_csv(
                file,
                pc.ReadOptions(block_size=_BLOCK, column_names=list(self.names), skip_rows=1),
                pc.ParseOptions(delimiter=self._delimiter),
                pc.ConvertOptions(
                    column_types=dict(columns),
                    include_columns=list(columns),
                    null_values=[""],
                    strings_can_be_null=False,
                ),
            )
            for batch in batches:
                yield [batch.column(name) for name in columns]


@contextlib.contextmanager
def _readable(path: str) -> Iterator[None]:
    """Whatever goes wrong with a table of text inside the block is an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, csv.Error, ValueError) as error:  # ValueError: not in UTF-8
        raise InputError(
            f"{path}: cannot be read as a table of text ({reason_of(error)}); check the columns, "
            "or write it again if it was cut off"
        ) from error
    except OSError as error:
        raise cannot_read(path, error) from error


def _check_type(path: str, name: str, found: pa.DataType, wanted: pa.DataType) -> None:
    """Checks the type of a column before any is read."""
    inner = found.value_type if pa.types.is_dictionary(found) else found
    is_number = pa.types.is_integer(inner) or pa.types.is_floating(inner)
    is_text = pa.types.is_string(inner) or pa.types.is_large_string(inner)
    if not (is_number or (wanted == TEXT and is_text)):
        raise InputError(
            f"{path}: column {short(name)} contains {str(found)[:80]}, not "
            f"{'numbers or text' if wanted == TEXT else 'numbers'}; write it as {wanted}"
        )


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if kind == TEXT and pa.types.is_floating(column.type):
        column = column.cast(pa.int64())  # pandas makes floats of ids; a fraction is an error
    return column.cast(kind)
