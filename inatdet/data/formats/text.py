"""Text files with one box per line, as YOLO and the VOC devkit write them, and folders of files."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from inatdet.errors import InputError, cannot_read
from inatdet.files import open_regular

_PIECE = 1 << 22  # bytes read at a time; no line is longer


@dataclass(frozen=True, eq=False)
class Lines:
    """Some lines of a file.

    Attributes:
        path: the file.
        numbers: the number of each line, from 1.
        fields: the fields of each line, which white space separates.
    """

    path: str
    numbers: Sequence[int]
    fields: Sequence[Sequence[bytes]]

    def __len__(self) -> int:
        return len(self.numbers)

    def fault(self, row: int, what: str) -> InputError:
        """An error about one of the lines; `what` follows its number in the message."""
        return InputError(f"{self.path}, line {self.numbers[row]}: {what}")

    def check_fields(self, names: str) -> None:
        """Raises `InputError` unless every line has as many fields as `names` has words."""
        count = len(names.split())
        for row, fields in enumerate(self.fields):
            if len(fields) != count:
                raise self.fault(
                    row, f"has {len(fields)} fields; each line must have these {count}: {names}"
                )

    def floats(self, first: int = 0) -> np.ndarray:
        """The fields from position `first` on as numbers; all lines must have equally many.

        Returns:
            float64 `[lines, fields - first]`, all finite.

        Raises:
            InputError: a field is not a finite number.
        """
        rows = [fields[first:] for fields in self.fields] if first else self.fields
        try:
            values = np.fromiter(map(float, itertools.chain.from_iterable(rows)), np.float64)
            good = bool(np.isfinite(values).all())
        except ValueError:
            good = False
        if not good:
            for row, fields in enumerate(rows):
                for field in fields:
                    if not _is_finite(field):
                        word = field[:40].decode("utf-8", "backslashreplace")
                        raise self.fault(row, f"has {word!r} instead of a finite number")
        return values.reshape(len(rows), len(rows[0]) if rows else 0)


def iterate_lines(path: str) -> Iterator[Lines]:
    """Yields the lines of a file that are not blank, a few megabytes at a time.

    Raises:
        InputError: the file cannot be read, or has an endless line.
    """
    try:
        with open_regular(path) as file:
            number, rest = 1, b""
            while piece := file.read(_PIECE):
                whole, newline, rest = (rest + piece).rpartition(b"\n")
                if not newline and len(rest) > _PIECE:
                    raise InputError(
                        f"{path}, line {number}: is longer than {_PIECE:,} bytes; this is not a "
                        "text file of boxes"
                    )
                if newline:
                    lines = _split(path, whole.split(b"\n"), number)
                    number += whole.count(b"\n") + 1
                    yield lines
            yield _split(path, [rest], number)
    except OSError as error:
        raise cannot_read(path, error) from error


def files_in(folder: str, suffix: str) -> list[str]:
    """The names of the files in a folder with a suffix, sorted.

    Args:
        folder: the folder; its subfolders are not searched.
        suffix: in lower case; names may be in upper case.


    Raises:
        InputError: the folder cannot be read.
    """
    try:
        return sorted(name for name in os.listdir(folder) if name.lower().endswith(suffix))
    except OSError as error:
        raise cannot_read(folder, error) from error


def files_below(folder: str, suffixes: Sequence[str]) -> list[str]:
    """The files with one of several suffixes in a folder and its subfolders.

    Args:
        folder: the folder.
        suffixes: in lower case; names may be in upper case.

    Returns:
        Their paths relative to the folder, with forward slashes, sorted.

    Raises:
        InputError: the folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise cannot_read(error.filename, error) from error

    found = []
    for parent, _, names in os.walk(folder, onerror=refuse):
        inside = os.path.relpath(parent, folder)
        for name in names:
            if name.lower().endswith(tuple(suffixes)):
                path = name if inside == "." else os.path.join(inside, name)
                found.append(path.replace(os.sep, "/"))
    return sorted(found)


def _split(path: str, lines: list[bytes], first: int) -> Lines:
    numbers, rows = [], []
    for number, line in enumerate(lines, first):
        if fields := line.split():
            numbers.append(number)
            rows.append(fields)
    return Lines(path, numbers, rows)


def _is_finite(field: bytes) -> bool:
    try:
        return bool(np.isfinite(float(field)))
    except ValueError:
        return False
