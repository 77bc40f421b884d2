"""Tables of text, plain or gzipped: their columns, and how many records they really have.

DuckDB guesses what it is not told, quotes above all, from the first lines. Here nothing is guessed,
and the records are counted a second time.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np

from inatdet.data.similar_names import similar_name
from inatdet.datasets.database import Database, literal
from inatdet.errors import InputError, cannot_read
from inatdet.files import open_regular

_BLOCK = 1 << 22  # bytes
_LONGEST_HEADER = 1 << 16  # bytes
_QUOTE, _NEWLINE, _RETURN = b'"\n\r'
_NULLS = "['', '\\N']"  # empty cells; PostgreSQL's own word for NULL
_NAMES_OF_DELIMITERS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}


@dataclass(frozen=True)
class Delimited:
    """A table of text.

    Attributes:
        path: the file, gzipped if it ends in .gz.
        columns: their names, in order.
        delimiter: what stands between cells.
        is_quoted: whether cells may stand in quotes; if not, quotes are letters like others.
        has_header: whether its first record names the columns.
        end: of a record: `\\n` or `\\r\\n`.
    """

    path: str
    columns: tuple[str, ...]
    delimiter: str
    is_quoted: bool
    has_header: bool = True
    end: str = "\n"

    def check(self, needed: Sequence[str]) -> None:
        """Checks that columns are there.

        Raises:
            InputError: one is missing.
        """
        missing = [column for column in needed if column not in self.columns]
        if not missing:
            return
        if len(self.columns) == 1:
            others = {d: n for d, n in _NAMES_OF_DELIMITERS.items() if d in self.columns[0]}
            other = max(others, key=self.columns[0].count, default=None)
            if other:
                raise InputError(
                    f"{self.path}: its first line is separated by {others[other]}, but "
                    f"{_NAMES_OF_DELIMITERS[self.delimiter]} are expected; write the file with "
                    "those"
                )
        shown = ", ".join(self.columns)
        near = similar_name(missing[0], self.columns)
        raise InputError(
            f"{self.path}: has no column {', '.join(missing)}, only {shown[:200]}; "
            + (f"perhaps {near} is meant: rename it" if near else "add it, or give another file")
        )

    def source(self, types: Mapping[str, str]) -> str:
        """The table function of SQL that reads the file.

        Args:
            types: SQL's types of some columns; all others are text.
        """
        columns = ", ".join(
            f"{literal(column)}: {literal(types.get(column, 'VARCHAR'))}" for column in self.columns
        )
        mark = '"' if self.is_quoted else ""
        return (
            f"read_csv({literal(self.path)}, auto_detect=false, header={self.has_header}, "
            f"delim={literal(self.delimiter)}, quote={literal(mark)}, escape={literal(mark)}, "
            f"new_line={literal(repr(self.end)[1:-1])}, nullstr={_NULLS}, columns={{{columns}}})"
        )


def open_delimited(
    path: str, delimiter: str | None = None, is_quoted: bool = True, has_header: bool = True
) -> Delimited:
    """Reads the names of the columns.

    Args:
        path: the file.
        delimiter: what stands between cells; by default whichever of tab, comma and semicolon the
            first line has most of.
        is_quoted: whether cells may stand in quotes.
        has_header: whether its first record names the columns; if not, they are called after it
            all the same, for their number.

    Raises:
        InputError: the file cannot be read, or its first line does not name columns.
    """
    with _opened(path) as file:
        text = io.TextIOWrapper(file, "utf-8-sig", newline="")
        try:
            first = text.readline(_LONGEST_HEADER)
            delimiter = delimiter or max("\t,;", key=first.count)
            last = first
            if is_quoted:
                # The first record may have further lines inside of quotes, with other ends: DuckDB
                # would take the first of them for the end of a record.
                lines = [first]
                reader = csv.reader(
                    _kept(itertools.chain([first], text), lines), delimiter=delimiter
                )
                columns = next(reader, [])
                last = lines[-1]
            else:
                columns = first.rstrip("\r\n").split(delimiter)
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(
                f"{path}: is not a table of text in UTF-8; check that it is the right file"
            ) from error
        finally:
            text.detach()
    if not any(columns) or len(first) == _LONGEST_HEADER:
        raise InputError(f"{path}: its first line does not name columns; check the file")
    if has_header and len(set(columns)) < len(columns):
        raise InputError(f"{path}: its first line names a column twice; rename one of them")
    end = "\r\n" if last.endswith("\r\n") else "\n"
    return Delimited(path, tuple(columns), delimiter, is_quoted, has_header, end)


def _kept(lines: Iterable[str], kept: list[str]) -> Iterator[str]:
    """The lines, each of which is also kept once it is read."""
    for line in lines:
        kept.append(line)
        yield line


def read_checked(database: Database, table: Delimited, query: str, count: str) -> None:
    """Runs a query that reads a file, while its records are counted once more.

    Args:
        database: what runs the query.
        table: the file.
        query: the statement.
        count: a query for the number of rows that it read.

    Raises:
        InputError: the file is damaged, or DuckDB found other rows than there are, as it does where
            quotes are not what they seem.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as counter:
        expected = counter.submit(count_records, table)
        try:
            database.run(query, f"reading {table.path}", table.path)
        except InputError:
            expected.result()  # that the file is damaged says more than which line looks wrong
            raise
        (found,) = database.row(count)
        if found != expected.result():
            raise InputError(
                f"{table.path}: has {expected.result():,} records, but {found:,} were read; its "
                'quotes are not balanced: write " inside of cells as "" and quote such cells'
            )


def count_records(table: Delimited) -> int:
    """How many records a file has below its header, empty lines not counted.

    Raises:
        InputError: the file is damaged.
    """
    records, is_inside, before = 0, False, _NEWLINE
    with _opened(table.path) as file:
        while block := file.read(_BLOCK):
            data = np.frombuffer(block, np.uint8)
            data = data[data != _RETURN]
            if not len(data):
                continue
            ends = data == _NEWLINE
            if table.is_quoted:
                # A doubled quote inside of quotes closes and opens them again.
                inside = (np.cumsum(data == _QUOTE) + is_inside) % 2 == 1
                is_inside = bool(inside[-1])
                ends &= ~inside
            previous = np.concatenate([[before], data[:-1]])
            records += int(np.count_nonzero(ends & (previous != _NEWLINE)))
            before = data[-1]
    records += int(before != _NEWLINE)
    return records - int(table.has_header)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """Opens a file, unpacked; what goes wrong while it is read becomes a sentence."""
    try:
        with open_regular(path) as file:
            if path.endswith(".gz"):
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield cast(BinaryIO, unpacked)
            else:
                yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: is damaged or cut off ({error}); fetch it again") from error
    except OSError as error:
        raise cannot_read(path, error) from error
