"""The beginning of a file that is being downloaded, and what can be told of the whole by it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator

import msgspec
import requests
from tqdm import tqdm

from inatdet import web
from inatdet.files import open_regular, write_text

PART = ".part"
"""What follows the name of a file of which only the beginning is there yet."""

_RECORD = ".part.json"
_VERSION = 1
_BLOCK = 1 << 20  # bytes of a file read at a time
_LONG = 1 << 28  # bytes whose hash takes a while


class _Record(msgspec.Struct):
    """Which file a part is the beginning of.

    Attributes:
        url: its address.
        validator: its entity tag or the date of its last change; empty if the server has neither.
        total: its bytes; None if the server does not say.
        md5: its hash, if it is known.
        version: of this record.
    """

    url: str = ""
    validator: str = ""
    total: int | None = None
    md5: str | None = None
    version: int = _VERSION


class Part:
    """The beginning of a file.

    Attributes:
        path: where it is.
        record: what it is the beginning of.
        position: how many bytes there are.
        digest: their MD5.
        is_resumed: whether they came by more than one answer.
    """

    def __init__(self, path: str, record_path: str, record: _Record):
        self.path, self._record_path, self.record = path, record_path, record
        self.position, self.is_resumed = 0, False
        self.digest = hashlib.md5(usedforsecurity=False)

    @classmethod
    def beside(cls, path: str, url: str, md5: str | None) -> Part:
        """The part of a file that is there; an empty one if it cannot be gone on with."""
        part = cls(path + PART, path + _RECORD, _Record(url, md5=md5))
        try:
            with open_regular(path + _RECORD) as file:
                record = msgspec.json.decode(file.read(), type=_Record)
        except (OSError, msgspec.DecodeError):
            return part
        if record.version == _VERSION:
            # From another address the file is the same if its hash will be.
            if record.url != url:
                record.validator = ""
            if record.md5 != md5:
                record.md5 = None
            old = cls(part.path, part._record_path, record)
            if old.can_go_on:
                record.url, record.md5 = url, md5
                old._read()
                return old
        return part

    def _read(self) -> None:
        """Takes over the bytes that are there."""
        if not os.path.isfile(self.path):
            return
        size = os.path.getsize(self.path)
        with (
            open_regular(self.path) as file,
            tqdm(
                total=size,
                unit="B",
                unit_scale=True,
                desc=f"reading {os.path.basename(self.path)}",
                disable=True if size < _LONG else None,
            ) as bar,
        ):
            while block := file.read(_BLOCK):
                self.digest.update(block)
                self.position += len(block)
                bar.update(len(block))
        self.is_resumed = self.position > 0

    @property
    def is_complete(self) -> bool:
        """Whether all bytes are there, as far as the server said how many there are."""
        return self.position > 0 and self.position == self.record.total

    @property
    def can_go_on(self) -> bool:
        """Whether it would be noticed if the rest were that of another version."""
        return bool(self.record.validator or self.record.md5)

    def headers(self) -> dict[str, str]:
        """What to ask for: the rest of the file, if it is still the same; or the whole of it."""
        if not self.position or not self.can_go_on:
            return {}
        headers = {"Range": f"bytes={self.position}-"}
        if self.record.validator:
            headers["If-Range"] = self.record.validator
        return headers

    def goes_on_with(self, answer: requests.Response) -> bool:
        """Whether an answer is the rest of the same file."""
        span = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", "").strip()
        )
        if answer.status_code != 206 or span is None or int(span[1]) != self.position:
            return False
        if self.record.total is not None and span[2] != str(self.record.total):
            return False
        tag = answer.headers.get("ETag")
        if tag and self.record.validator.startswith('"') and tag != self.record.validator:
            return False
        if span[2] != "*":
            self.record.total = int(span[2])
        return True

    def begin(self, answer: requests.Response) -> None:
        """Starts over with an answer that is the whole file."""
        self.clear()
        self.record = _Record(
            self.record.url, _validator_of(answer), length_of(answer), self.record.md5
        )
        write_text(self._record_path, msgspec.json.encode(self.record).decode())

    def clear(self) -> None:
        """Throws away what is there."""
        with open(self.path, "wb"):
            pass
        self.position, self.is_resumed = 0, False
        self.digest = hashlib.md5(usedforsecurity=False)

    def take(self, answer: requests.Response) -> Iterator[int]:
        """Writes the content of an answer behind what is there; yields the bytes of each piece."""
        with open(self.path, "ab") as file:
            for piece in web.pieces(answer):
                file.write(piece)
                self.digest.update(piece)
                self.position += len(piece)
                yield len(piece)
            file.flush()
            os.fsync(file.fileno())

    def forget(self) -> None:
        """Removes what is left of the part."""
        for path in (self.path, self._record_path):
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)


def length_of(answer: requests.Response) -> int | None:
    """The bytes that an answer announces; None if it does not."""
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isascii() and length.isdigit() else None


def _validator_of(answer: requests.Response) -> str:
    """What tells versions of a file apart: a strong entity tag, or the date of its last change."""
    tag = str(answer.headers.get("ETag", ""))
    return tag if tag.startswith('"') else str(answer.headers.get("Last-Modified", ""))
