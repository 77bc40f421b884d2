"""Reads one long JSON list whose elements all have the same, known form, many at a time.

A file of five million detections is 700 MB; as Python objects they would take gigabytes, and going
through them one by one, as `json_stream` does, would take minutes.

- `iterate_list` reads a file that is one list.
- `iterate_lines` reads a file with one element per line (JSON Lines).

Numbers may be written as strings and whole numbers as 1.0, as some programs do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Generic, TypeVar

import msgspec
import numpy as np
from tqdm import tqdm

from inatdet.errors import InputError
from inatdet.files import open_regular

_PIECE = 1 << 24  # bytes
# A detection with a mask takes some kilobytes, so a longer element is none.
_LONGEST_ELEMENT = 1 << 26
_MANY_BLANKS = 1 << 20
_SCANNED_AT_ONCE = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_T = TypeVar("_T")


@dataclass(frozen=True)
class Form:
    """What is known about the elements of a list, beyond their type.

    Attributes:
        element: what an element is called: "detection".
        needs: what each element must have, as the end of a sentence.
        not_a_list: what is wrong with a file that is not a list, and what to do.
        mended: makes an element of another form, as JSON has it, one of the type; what it does not
            know it returns as it is.
        fault: what is wrong with an element, as JSON has it: "has no score"; empty if unknown.
    """

    element: str
    needs: str
    not_a_list: str
    mended: Callable[[Any], Any]
    fault: Callable[[Any], str]


def iterate_list(path: str, kind: type[_T], form: Form) -> Iterator[list[_T]]:
    """Yields the elements of a JSON file that is one list, many at a time.

    A progress bar appears if it takes long.

    Args:
        path: the file, in UTF-8.
        kind: the type of the elements, as msgspec decodes it.
        form: what else is known about them.

    Yields:
        Lists of elements, in the order of the file; at least one list, perhaps empty.

    Raises:
        InputError: the file is not a list, is truncated or not valid JSON, or an element has
            another form.
    """
    yield from _read(path, kind, form, lambda reader: reader.lists())


def iterate_lines(path: str, kind: type[_T], form: Form) -> Iterator[list[_T]]:
    """Yields the elements of a file with one JSON element per line, as `iterate_list` does."""
    yield from _read(path, kind, form, lambda reader: reader.lines())


def converted(path: str, entries: Sequence[Any], kind: type[_T], form: Form, before: int) -> list:
    """Elements that were decoded without regard to their form, as `kind`.

    Args:
        path: the file, for the message.
        entries: the elements, as JSON has them.
        kind: the type, as msgspec decodes it.
        form: what else is known about them.
        before: how many elements of the file precede them.

    Raises:
        InputError: one has another form.
    """
    mended = [form.mended(entry) for entry in entries]
    try:
        return msgspec.convert(mended, list[kind], strict=False)  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        where = re.search(r"\[(\d+)\](\S*)`$", str(error))
        position = int(where[1]) if where else 0
        fault = form.fault(entries[position])
        if not fault:
            at = f" in its {where[2].lstrip('.')}" if where and where[2] else ""
            fault = f"is malformed ({str(error).partition(' - at ')[0]}{at})"
        raise InputError(
            f"{path}: {form.element} {before + position + 1} {fault}; {form.needs}"
        ) from error


def _read(
    path: str,
    kind: type[_T],
    form: Form,
    pieces: Callable[[_Reader[_T]], Iterator[list[_T]]],
) -> Iterator[list[_T]]:
    with open_regular(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        with tqdm(total=size, unit="B", unit_scale=True, delay=2, disable=None) as progress:
            yield from pieces(_Reader(path, file, kind, progress, form))


class _Reader(Generic[_T]):
    """Cuts text between elements, and decodes the pieces."""

    def __init__(self, path: str, file: BinaryIO, kind: type[_T], progress: tqdm, form: Form):
        self._path, self._file, self._progress, self._form = path, file, progress, form
        self._kind = kind
        self._decoder: msgspec.json.Decoder[list[_T]] = msgspec.json.Decoder(
            list[kind],  # type: ignore[valid-type]
            strict=False,
        )
        self._count = 0  # elements before the current text
        self._offset = 0  # bytes before it

    def lists(self) -> Iterator[list[_T]]:
        text, scanner = self._opened(), _Scanner()
        while more := self._read():
            text += more
            cut = text.rfind(b"},") + 1
            elements = self._decoded(text[:cut]) if cut else None
            if elements is None:
                # There is no whole element, or the cut is inside of one.
                cut = scanner.last_comma(text)
                elements = self._decoded(text[:cut]) if cut else None
                if cut and elements is None:
                    raise self._broken(text[:cut] + b"]")
            if elements is None:
                text = scanner.without_blanks(text)
                self._check_length(text)
                continue
            yield elements
            self._count += len(elements)
            self._offset += cut + 1
            text, scanner = text[cut + 1 :], _Scanner()
        end = text.rstrip()
        elements = self._decoded(end[:-1]) if end.endswith(b"]") else None
        if elements is None or (self._count and not elements):
            raise self._broken(end)
        yield elements

    def lines(self) -> Iterator[list[_T]]:
        rest = self._file.read(len(_BYTE_ORDER_MARK)).removeprefix(_BYTE_ORDER_MARK)
        while more := self._read():
            whole, newline, rest = (rest + more).rpartition(b"\n")
            self._check_length(rest)
            if newline:
                yield self._of_lines(whole)
        yield self._of_lines(rest)

    def _of_lines(self, text: bytes) -> list[_T]:
        text = re.sub(rb"\n\s+", b"\n", text)  # a file may be blank lines all over
        lines = [line for line in text.split(b"\n") if line.strip()]
        elements = self._decoded(b",".join(lines))
        if elements is None or len(elements) != len(lines):
            raise InputError(
                f"{self._path}: {self._form.element} {self._count + self._good(lines) + 1} is not "
                "valid JSON on one line, or truncated; write it again"
            )
        self._count += len(elements)
        return elements

    def _good(self, lines: Sequence[bytes]) -> int:
        """How many lines are valid before the first that is not."""
        for number, line in enumerate(lines):
            elements = self._decoded(line)
            if elements is None or len(elements) != 1:
                return number
        return len(lines)

    def _opened(self) -> bytes:
        """The first bytes after the opening bracket."""
        start = self._file.read(len(_BYTE_ORDER_MARK))
        body = start.removeprefix(_BYTE_ORDER_MARK).lstrip()
        self._offset = len(start) - len(body)
        while not body and (more := self._read()):
            body = more.lstrip()
            self._offset += len(more) - len(body)
        if not body.startswith(b"["):
            raise InputError(f"{self._path}: {self._form.not_a_list}")
        self._offset += 1
        return body[1:]

    def _read(self) -> bytes:
        piece = self._file.read(_PIECE)
        self._progress.update(len(piece))
        return piece

    def _check_length(self, text: bytes) -> None:
        if len(text) > _LONGEST_ELEMENT:
            raise InputError(
                f"{self._path}: {self._form.element} {self._count + 1} does not end within "
                f"{_LONGEST_ELEMENT:,} bytes; {self._form.needs}"
            )

    def _decoded(self, text: bytes) -> list[_T] | None:
        """The elements of a text between brackets; None if it is not valid JSON."""
        try:
            return self._decode(b"[%b]" % text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _decode(self, text: bytes) -> list[_T]:
        try:
            return self._of_any_form(text)
        except RecursionError as error:
            raise InputError(
                f"{self._path}: is nested too deeply after {self._form.element} {self._count}; "
                f"{self._form.needs}"
            ) from error

    def _of_any_form(self, text: bytes) -> list[_T]:
        try:
            return self._decoder.decode(text)
        except msgspec.ValidationError as error:
            try:
                entries = msgspec.json.decode(text)
            except msgspec.ValidationError:  # a number that no float can hold
                where = re.search(r"\[(\d+)\]", str(error))
                number = self._count + (int(where[1]) + 1 if where else 1)
                raise InputError(
                    f"{self._path}: {self._form.element} {number} has a number that is too large; "
                    f"{self._form.needs}"
                ) from error
            return converted(self._path, entries, self._kind, self._form, self._count)

    def _broken(self, text: bytes) -> InputError:
        """Why a text after an opening bracket, up to its end, is not valid JSON."""
        why, place = "an extra comma", len(text)
        try:
            self._decode(b"[%b" % text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            why = re.sub(r"JSON is malformed: |\s*\(byte \d+\)", "", str(error))
            byte = re.search(r"\(byte (\d+)\)", str(error))
            place = int(byte[1]) - 1 if byte else len(text)
        return InputError(
            f"{self._path}: is not valid JSON, or truncated, at byte {self._offset + place} "
            f"({why}); NaN and Infinity are not JSON numbers; write it again without them"
        )


class _Scanner:
    """Follows quotes and brackets through a growing text, the inside of a list.

    Every byte is looked at once, in blocks, so that neither the time nor the memory of a long
    element is out of proportion to its length.
    """

    def __init__(self) -> None:
        self._at = 0  # how far the text was looked at
        self._comma = 0
        self._depth, self._quoted = 0, False
        self._backslashes = 0  # just before `_at`, modulo 2

    def last_comma(self, text: bytes) -> int:
        """Where the last comma between elements is; 0 if there is none."""
        while self._at < len(text):
            block = text[self._at : self._at + _SCANNED_AT_ONCE]
            self._look_at(np.frombuffer(block, np.uint8))
            self._at += len(block)
        return self._comma

    def without_blanks(self, text: bytes) -> bytes:
        """The text, all of it looked at, without a long run of blanks at its end."""
        short = text if self._quoted else text.rstrip()
        if len(text) - len(short) < _MANY_BLANKS:
            return text
        self._at = len(short) + 1
        return short + b" "  # what follows is another word

    def _look_at(self, characters: np.ndarray) -> None:
        quotes = characters == ord('"')
        if self._backslashes or (characters == ord("\\")).any():
            quotes &= ~self._escaped(characters)
        quoted = (np.cumsum(quotes, dtype=np.uint8) & 1).astype(bool) ^ self._quoted
        steps = ((characters == ord("{")) | (characters == ord("["))).astype(np.int8)
        steps -= (characters == ord("}")) | (characters == ord("]"))
        steps[quoted] = 0
        depth = np.cumsum(steps, dtype=np.int32) + self._depth
        commas = np.flatnonzero((characters == ord(",")) & (depth == 0) & ~quoted)
        if len(commas):
            self._comma = self._at + int(commas[-1])
        self._depth, self._quoted = int(depth[-1]), bool(quoted[-1])

    def _escaped(self, characters: np.ndarray) -> np.ndarray:
        """Which characters an odd number of backslashes precedes; carries the rest on."""
        place = np.arange(len(characters), dtype=np.int32)
        others = np.where(characters == ord("\\"), np.int32(-1 - self._backslashes), place)
        run = place - np.maximum.accumulate(others)  # backslashes up to and including each place
        escaped = np.empty(len(characters), bool)
        escaped[0] = self._backslashes
        escaped[1:] = run[:-1] & 1
        self._backslashes = int(run[-1]) & 1
        return escaped
