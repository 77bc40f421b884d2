"""Reads long lists in large JSON files piece by piece, so that memory never holds a whole file.

iNat2017's training annotations are hundreds of megabytes of JSON, and a file of five million
detections is 700 MB; as Python objects they would take gigabytes.

- `iterate_lists` goes through the lists of one object, element by element, of any form.
- `iterate_list` goes through one list whose elements all have the same, known form, many at a time;
  that is several times as fast.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Generic, TextIO, TypeVar

import msgspec
import numpy as np
from tqdm import tqdm

from inatdet.errors import InputError, cannot_read
from inatdet.files import open_regular

_WINDOW = 1 << 20  # characters
_PIECE = 1 << 24  # bytes
# A detection with a mask takes some kilobytes, so a longer element is none.
_LONGEST_ELEMENT = 1 << 26
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = " \t\n\r"
_DELIMITERS = frozenset(" \t\n\r,:]}")

_T = TypeVar("_T")


@dataclass(frozen=True)
class Words:
    """What the messages about a list say.

    Attributes:
        element: what an element is called: "detection".
        form: what each element must be, as the end of a sentence.
        not_a_list: what is wrong with a file that is not a list, and what to do.
    """

    element: str
    form: str
    not_a_list: str


def iterate_lists(
    path: str | os.PathLike[str], keys: Collection[str], window: int = _WINDOW
) -> Iterator[tuple[str, Any]]:
    """Yields the elements of some of the lists in a JSON file that is one object.

    Args:
        path: the file, in UTF-8.
        keys: which values of the object to go through; each must be present and be a list.
        window: how many characters to read at a time.

    Yields:
        The key and one element of its list, in the order of the file. Other values of the object
        are checked to be JSON and dropped.

    Raises:
        InputError: the file cannot be read, is empty, truncated or not valid JSON, is not one
            object, or a key is missing, occurs twice, or does not hold a list. Elements yielded
            before the error are valid JSON, but the file as a whole is not.
    """
    path = os.fspath(path)
    try:
        with open_regular(path, "r", encoding="utf-8-sig") as file:
            yield from _ObjectReader(path, file, window).elements(frozenset(keys))
    except OSError as error:
        raise cannot_read(path, error) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not JSON text in UTF-8; check the file") from error
    except RecursionError as error:
        raise InputError(f"{path}: is JSON nested too deeply to be annotations") from error


def iterate_list(path: str, kind: type[_T], words: Words) -> Iterator[list[_T]]:
    """Yields the elements of a JSON file that is one list, many at a time.

    A progress bar appears if it takes long.

    Args:
        path: the file, in UTF-8.
        kind: the type of the elements, as msgspec decodes it.
        words: what to say about the list in messages.

    Yields:
        Lists of elements, in the order of the file; at least one list, perhaps empty.

    Raises:
        InputError: the file is not a list, is truncated or not valid JSON, or an element has
            another form.
    """
    with (
        open(path, "rb") as file,
        tqdm(
            total=os.path.getsize(path), unit="B", unit_scale=True, delay=2, disable=None
        ) as progress,
    ):
        yield from _ListReader(path, file, kind, progress, words).lists()


class _ObjectReader:
    """A window on JSON text that advances as values are taken from it."""

    def __init__(self, path: str, file: TextIO, window: int):
        self._path, self._file, self._window = path, file, window
        self._text, self._at, self._dropped, self._ended = "", 0, 0, False
        self._decoder = json.JSONDecoder()

    def elements(self, keys: frozenset[str]) -> Iterator[tuple[str, Any]]:
        first = self._peek()
        if not first:
            raise InputError(f"{self._path}: is empty; fetch the file again")
        if first != "{":
            raise self._fault("is not one JSON object")
        found: set[str] = set()
        for key in self._members():
            if key not in keys:
                self._value()
                continue
            if key in found:
                raise self._fault(f"has {key!r} twice")
            found.add(key)
            if self._peek() != "[":
                raise self._fault(f"has no list as its {key!r}")
            for _ in self._separated("[", "]"):
                yield key, self._value()
        if self._peek():
            raise self._fault("continues after the end of its JSON object")
        if missing := sorted(keys - found):
            raise self._fault(f"has no {missing[0]!r}")

    def _members(self) -> Iterator[str]:
        """Yields each key of an object; the caller takes its value."""
        for _ in self._separated("{", "}"):
            if self._peek() != '"':
                raise self._broken()
            key = self._value()
            self._expect(":")
            yield key

    def _separated(self, opening: str, closing: str) -> Iterator[None]:
        """Yields once before each element of an array or object; the caller takes the element."""
        self._expect(opening)
        if self._peek() == closing:
            self._at += 1
            return
        while True:
            yield
            if self._peek() == closing:
                self._at += 1
                return
            self._expect(",")

    def _expect(self, character: str) -> None:
        if self._peek() != character:
            raise self._broken()
        self._at += 1

    def _peek(self) -> str:
        """The next character that is not white space; empty at the end of the file."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more(self._window):
                return ""

    def _value(self) -> Any:
        """Takes one whole JSON value."""
        self._peek()
        size = self._window
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                # Perhaps the window merely ends inside the value. It grows by doubling, so that a
                # long value is parsed only a few times.
                if self._more(size):
                    size *= 2
                    continue
                raise self._broken(error) from error
            except ValueError as error:  # Python converts no more digits than this
                raise self._fault(
                    "has a number of thousands of digits", "write it again"
                ) from error
            # A number may continue after the window: the 1 of 1.5e3 looks complete.
            if self._text[end : end + 1] not in _DELIMITERS and self._more(self._window):
                continue
            self._at = end
            return value

    def _more(self, size: int) -> bool:
        """Advances the window by `size` characters; False at the end of the file."""
        if self._ended:
            return False
        new = self._file.read(size)
        if not new:
            self._ended = True
            return False
        self._dropped += self._at
        self._text, self._at = self._text[self._at :] + new, 0
        return True

    def _broken(self, error: json.JSONDecodeError | None = None) -> InputError:
        """The error where something else was expected; perhaps the file just ends there."""
        rest = self._text[self._at :].strip()
        cut = error and (error.pos >= len(self._text.rstrip()) or "Unterminated" in error.msg)
        if self._ended and (cut or not rest):
            return self._fault("ends too early, as if truncated", "fetch or write it again")
        return self._fault("is not valid JSON", "fetch or write it again")

    def _fault(self, what: str, advice: str = "it must be one COCO-style object") -> InputError:
        return InputError(
            f"{self._path}: {what} (at character {self._dropped + self._at}); {advice}"
        )


class _ListReader(Generic[_T]):
    """Cuts the text of a JSON list between elements, and decodes the pieces."""

    def __init__(self, path: str, file: BinaryIO, kind: type[_T], progress: tqdm, words: Words):
        self._path, self._file, self._progress, self._words = path, file, progress, words
        self._decoder: msgspec.json.Decoder[list[_T]] = msgspec.json.Decoder(
            list[kind]  # type: ignore[valid-type]
        )
        self._count = 0  # elements before the current text
        self._offset = 0  # bytes before it

    def lists(self) -> Iterator[list[_T]]:
        text = self._opened()
        while more := self._read():
            text += more
            cut = text.rfind(b"},") + 1
            elements = self._decoded(text[:cut]) if cut else None
            if elements is None:
                # There is no whole element, or the cut is inside of one.
                cut = _end_of_elements(text)
                elements = self._decoded(text[:cut]) if cut else None
                if cut and elements is None:
                    raise self._broken(text[:cut] + b"]")
            if elements is None:
                if len(text) > _LONGEST_ELEMENT:
                    raise InputError(
                        f"{self._path}: {self._words.element} {self._count + 1} does not end "
                        f"within {_LONGEST_ELEMENT:,} bytes; {self._words.form}"
                    )
                continue
            yield elements
            self._count += len(elements)
            self._offset += cut + 1
            text = text[cut + 1 :]
        end = text.rstrip()
        elements = self._decoded(end[:-1]) if end.endswith(b"]") else None
        if elements is None or (self._count and not elements):
            raise self._broken(end)
        yield elements

    def _opened(self) -> bytes:
        """The first bytes after the opening bracket."""
        text = self._read()
        body = text.removeprefix(_BYTE_ORDER_MARK).lstrip()
        if not body.startswith(b"["):
            raise InputError(f"{self._path}: {self._words.not_a_list}")
        self._offset = len(text) - len(body) + 1
        return body[1:]

    def _read(self) -> bytes:
        piece = self._file.read(_PIECE)
        self._progress.update(len(piece))
        return piece

    def _decoded(self, text: bytes) -> list[_T] | None:
        """The elements of a text between brackets; None if it is not valid JSON."""
        try:
            return self._decode(b"[%b]" % text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _decode(self, text: bytes) -> list[_T]:
        try:
            return self._decoder.decode(text)
        except msgspec.ValidationError as error:
            where = re.search(r"\[(\d+)\](\S*)`$", str(error))
            number = self._count + int(where[1]) + 1 if where else self._count + 1
            what = str(error).partition(" - at ")[0]
            at = f" in its {where[2].lstrip('.')}" if where and where[2] else ""
            raise InputError(
                f"{self._path}: {self._words.element} {number} is malformed ({what}{at}); "
                f"{self._words.form}"
            ) from error
        except RecursionError as error:
            raise InputError(
                f"{self._path}: is nested too deeply after {self._words.element} {self._count}; "
                f"{self._words.form}"
            ) from error

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
            f"({why}); NaN and Infinity are not JSON numbers; write it again"
        )


def _end_of_elements(text: bytes) -> int:
    """Where the last complete element of a list ends that a comma follows; 0 if there is none.

    Args:
        text: the inside of a list, from the start of an element.
    """
    # A character after a backslash is not a quotation mark, whatever it is.
    plain = re.sub(rb"\\.", b"__", text, flags=re.DOTALL) if b"\\" in text else text
    characters = np.frombuffer(plain, np.uint8)
    quoted = np.cumsum(characters == ord('"'), dtype=np.uint8) & 1
    opening = (characters == ord("{")) | (characters == ord("["))
    closing = (characters == ord("}")) | (characters == ord("]"))
    steps = opening.astype(np.int8) - closing.astype(np.int8)
    depth = np.cumsum(np.where(quoted, 0, steps), dtype=np.int32)
    commas = np.flatnonzero((characters == ord(",")) & (depth == 0) & (quoted == 0))
    return int(commas[-1]) if len(commas) else 0
