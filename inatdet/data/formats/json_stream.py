"""Goes through one large JSON object piece by piece, so that memory never holds a whole file.

iNat2017's training annotations are hundreds of megabytes of JSON; as Python objects they would take
gigabytes. Elements of its lists may have any form; `json_list` reads lists of elements that all
have the same form, which is several times as fast.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Collection, Iterator
from typing import Any, TextIO

from inatdet.errors import InputError, cannot_read
from inatdet.files import open_regular

_WINDOW = 1 << 20  # characters
# The mask of a large crowd takes a megabyte, so a longer value is none.
_LONGEST_VALUE = 1 << 25
_SPACE = re.compile(r"[ \t\n\r]*")
_DELIMITERS = frozenset(" \t\n\r,:]}")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


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
    with _opened(os.fspath(path), window) as reader:
        yield from reader.elements(frozenset(keys))


def iterate_beginnings(path: str) -> Iterator[tuple[str, Any]]:
    """Yields each key of a JSON file that is one object, with the beginning of its value.

    Who stops early reads no more of the file than that.

    Args:
        path: the file, in UTF-8.

    Yields:
        The key, and the first element if the value is a list (None if it is empty), otherwise the
        value.

    Raises:
        InputError: the file cannot be read, or is not such JSON as far as it was read.
    """
    with _opened(path, _WINDOW) as reader:
        yield from reader.beginnings()


@contextlib.contextmanager
def _opened(path: str, window: int) -> Iterator[_ObjectReader]:
    """A reader of a file; what goes wrong inside the block is an `InputError`."""
    try:
        with open_regular(path, "r", encoding="utf-8-sig") as file:
            yield _ObjectReader(path, file, window)
    except OSError as error:
        raise cannot_read(path, error) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not JSON text in UTF-8; save it as UTF-8") from error
    except RecursionError as error:
        raise InputError(
            f"{path}: is JSON nested too deeply to be annotations; write it again"
        ) from error


class _ObjectReader:
    """A window on JSON text that advances as values are taken from it."""

    def __init__(self, path: str, file: TextIO, window: int):
        self._path, self._file, self._window = path, file, window
        self._text, self._at, self._dropped, self._ended = "", 0, 0, False
        self._windows = 0
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
                self._drop()
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

    def beginnings(self) -> Iterator[tuple[str, Any]]:
        for key in self._members():
            if self._peek() != "[":
                yield key, self._value()
                continue
            none = True
            for value in self._first_element():
                none = False
                yield key, value
            if none:
                yield key, None

    def _drop(self) -> None:
        """Takes one value that nobody wants; a list, which may be long, piece by piece."""
        if self._peek() != "[":
            self._value()
            return
        for _ in self._first_element():
            pass

    def _first_element(self) -> Iterator[Any]:
        """Takes a list, and yields its first element before it goes through the others."""
        tried = -1
        first = True
        for _ in self._separated("[", "]"):
            if first:
                first = False
                yield self._value()
                continue
            if self._windows != tried:
                tried = self._windows
                self._skip_elements()
            self._value()

    def _skip_elements(self) -> None:
        """Takes the elements in the window that a comma follows, at once if that is easy."""
        cut = self._text.rfind("},", self._at) + 1 or self._text.rfind(",", self._at)
        if cut <= self._at:
            return
        # If this is no JSON, the cut is inside of an element, or going one by one will tell.
        with contextlib.suppress(ValueError, RecursionError):
            if json.loads(f"[{self._text[self._at : cut]}]"):
                self._at = cut + 1

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
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
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
                if self._may_go_on(error) and self._more(size):
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
            if _SURROGATE.search(self._text, self._at, end):
                self._check_characters(value)
            self._at = end
            return value

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        """Whether what follows the window may mend the text of a value."""
        if len(self._text) - self._at > _LONGEST_VALUE:
            raise self._fault(
                f"has a value of more than {_LONGEST_VALUE:,} characters", "write it again"
            )
        # What is wrong only because it is cut off is a string, a word, or not there yet.
        cut_off = error.pos + len("-Infinity") >= len(self._text)
        return cut_off or "Unterminated" in error.msg or error.pos >= len(self._text.rstrip())

    def _check_characters(self, value: Any) -> None:
        """Refuses half of a pair of surrogates, which no file and no terminal can take."""
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise self._fault(
                "has half of a surrogate pair, which is no character", "write it again as UTF-8"
            ) from error

    def _more(self, size: int) -> bool:
        """Advances the window by `size` characters; False at the end of the file."""
        if self._ended:
            return False
        new = self._file.read(size)
        if not new:
            self._ended = True
            return False
        self._dropped += self._at
        self._windows += 1
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
