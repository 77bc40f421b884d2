"""Asks for photographs of iNaturalist's Open Data, or of a mirror of it, one at a time.

Photographs lie at `photos/ID/SIZE.EXTENSION`: see https://github.com/inaturalist/inaturalist-open-data.
Few connections at a time and a pause for all of them whenever the server asks for one keep it
usable for others.
"""

from __future__ import annotations

import posixpath
import threading
from dataclasses import dataclass

import requests

from inatdet import web
from inatdet.choices import Choice
from inatdet.datasets.photograph_lists import Photograph
from inatdet.datasets.shrinking import LONG_EDGE, NoPictureError, Picture, shrink
from inatdet.unfinished import length_of

BASE_URL = "https://inaturalist-open-data.s3.amazonaws.com/"
PAGE_URL = "https://www.inaturalist.org/photos/"
"""Where people look at a photograph, its number at the end."""

_LARGEST = 1 << 28  # bytes of a photograph
_ATTEMPTS = 6


class Size(Choice):
    """The sizes that the bucket has, by the longer side: 2048, 1024, 500, 240 and 100 pixels."""

    ORIGINAL = "original"
    LARGE = "large"
    MEDIUM = "medium"
    SMALL = "small"
    THUMB = "thumb"


PIXELS = {
    Size.ORIGINAL: 2048,
    Size.LARGE: 1024,
    Size.MEDIUM: 500,
    Size.SMALL: 240,
    Size.THUMB: 100,
}


@dataclass(frozen=True)
class Source:
    """Where photographs come from, and how.

    Attributes:
        base_url: the address that `photos/` follows.
        size: which of the sizes to get.
        long_edge: pixels of the longer side to which larger photographs are shrunk; 0 for no
            shrinking.
        connections: how many photographs to ask for at the same time.
    """

    base_url: str = BASE_URL
    size: Size = Size.LARGE
    long_edge: int = LONG_EDGE
    connections: int = 8

    def url_of(self, photograph: Photograph) -> str:
        """The address of a photograph."""
        suffix = posixpath.splitext(photograph.file_name)[1]
        return f"{self.base_url.rstrip('/')}/photos/{photograph.id}/{self.size}{suffix}"


@dataclass(frozen=True)
class Missing:
    """A photograph that could not be had.

    Attributes:
        photograph: which.
        url: its address.
        reason: why, in words.
        is_lasting: whether another run would not get it either.
    """

    photograph: Photograph
    url: str
    reason: str
    is_lasting: bool


class Gate:
    """Lets requests through, or makes all of them wait when the server asks for a pause."""

    def __init__(self) -> None:
        self._opens = web.clock()
        self._lock = threading.Lock()
        self._told = threading.Event()

    def wait(self) -> None:
        """Waits until requests may be made again, or work has ended."""
        while not self._told.is_set():
            with self._lock:
                left = self._opens - web.clock()
            if left <= 0:
                return
            web.sleep(left, self._told)

    def close_for(self, seconds: float) -> None:
        """Makes all requests wait."""
        with self._lock:
            self._opens = max(self._opens, web.clock() + seconds)

    def pause(self, seconds: float) -> None:
        """Waits without making others wait."""
        web.sleep(seconds, self._told)

    @property
    def is_over(self) -> bool:
        """Whether work has ended."""
        return self._told.is_set()

    def end(self) -> None:
        """Ends all waiting, and with it all work."""
        self._told.set()


def get(
    session: requests.Session, gate: Gate, photograph: Photograph, source: Source
) -> Picture | Missing:
    """Gets one photograph.

    Args:
        session: shared by all requests.
        gate: shared by all requests.
        photograph: which.
        source: where it comes from.

    Returns:
        The photograph, shrunk; or why it could not be had.
    """
    url, reason = source.url_of(photograph), ""
    for attempt in range(1, _ATTEMPTS + 1):
        gate.wait()
        if gate.is_over:
            break
        try:
            with web.ask(session, url) as answer:
                return shrink(_content(answer), source.long_edge)
        except web.PassingError as error:
            reason = str(error)
            pause = web.pause_before(attempt, error.asked)
            if error.is_busy:
                gate.close_for(pause)
            elif attempt < _ATTEMPTS:
                gate.pause(pause)
        except web.LastingError as error:
            return Missing(photograph, url, str(error), is_lasting=True)
        except NoPictureError as error:
            return Missing(photograph, url, str(error), is_lasting=True)
    return Missing(photograph, url, f"{reason}, {_ATTEMPTS} times", is_lasting=False)


def _content(answer: requests.Response) -> bytes:
    """All of an answer.

    Raises:
        web.PassingError: it ended too early.
        NoPictureError: it is too long.
    """
    content = bytearray()
    for piece in web.pieces(answer):
        content += piece
        if len(content) > _LARGEST:
            raise NoPictureError(f"has more than {_LARGEST:,} bytes")
    if length_of(answer) not in (None, len(content)):
        raise web.PassingError("the connection ended too early")
    return bytes(content)
