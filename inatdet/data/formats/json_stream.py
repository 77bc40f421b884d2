"""Reads the long lists of a large JSON object one element at a time.

iNat2017's training file is hundreds of megabytes of JSON; as Python dicts it would take gigabytes.
Here only a window of the file and one element are in memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from typing import Any, TextIO

from inatdet.errors import InputError, cannot_read

LISTS = ("images", "categories", "annotations")
"""The lists of a COCO-style file of annotations."""

_WINDOW = 1 << 20
_SPACE = " \t\n\r"
_DELIMITERS = frozenset(" \t\n\r,:]}")


def iterate_lists(
    path: str | os.PathLike[str], keys: Collection[str], window: int = _WINDOW
) -> Iterator[tuple[str, Any]]:
    """Yields the elements of some of the lists of a JSON file that is one object.

    Args:
        path: the file, in UTF-8.
        keys: which of the object's values to go through; each must be there and be a list.
        window: how many characters to read at a time.

    Yields:
        The key and one element of its list, in the order of the file. Other values of the object
        are checked to be JSON and dropped.

    Raises:
        InputError: the file cannot be read, is empty, cut short or no JSON, is not one object, or
            a key is missing, is there twice, or does not hold a list. Elements yielded before the
            fault are good JSON, but the file as a whole is not.
    """
    path = os.fspath(path)
    try:
        with open(path, encoding="utf-8-sig") as file:
            yield from _Reader(path, file, window).elements(frozenset(keys))
    except OSError as error:
        raise cannot_read(path, error) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not a JSON text in UTF-8; check the file") from error
    except RecursionError as error:
        raise InputError(f"{path}: is JSON nested too deeply to be annotations") from error


class _Reader:
    """A window on a JSON text that moves as values are taken from it."""

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
            raise self._fault("goes on after the end of its JSON object")
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
        """The next character that is no white space; empty at the end of the file."""
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
                # Perhaps the window only ends within the value. It grows by doubling, so that a
                # long value is parsed few times over.
                if self._more(size):
                    size *= 2
                    continue
                raise self._broken(error) from error
            # A number may go on behind the window, or look whole where it is not: 1 of 1.5e3.
            if self._text[end : end + 1] not in _DELIMITERS and self._more(self._window):
                continue
            self._at = end
            return value

    def _more(self, size: int) -> bool:
        """Moves the window on by `size` characters; False at the end of the file."""
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
        """The fault of a place where something else should be; the file may just end there."""
        rest = self._text[self._at :].strip()
        cut = error and (error.pos >= len(self._text.rstrip()) or "Unterminated" in error.msg)
        if self._ended and (cut or not rest):
            return self._fault("ends too early, as if cut short", "fetch or write it again")
        return self._fault("is not valid JSON", "fetch or write it again")

    def _fault(self, what: str, advice: str = "it must be one COCO-style object") -> InputError:
        return InputError(
            f"{self._path}: {what} (at character {self._dropped + self._at}); {advice}"
        )
