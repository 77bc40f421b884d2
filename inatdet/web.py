"""Requests to web servers: which failures another attempt may mend, and when to make it."""

from __future__ import annotations

import email.utils
import http.cookiejar
import threading
import time
from collections.abc import Iterator, Mapping

import requests
import requests.adapters
import urllib3.exceptions

from inatdet.errors import reason_of
from inatdet.version import VERSION

ATTEMPTS = 8
"""How often a request is made that fails each time: with the pauses, for two minutes."""

TIMEOUT = 30.0  # seconds without a byte

_PIECE = 1 << 18  # bytes taken from a connection at a time
_LONGEST_PAUSE = 60.0  # seconds between two attempts, unless the server asks for more
_LONGEST_ASKED = 900.0  # seconds; a server that asks for more is one that will not serve
_MOST_REDIRECTS = 10
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_BUSY = frozenset({429, 503})
_NO_SUCH_RANGE = 416

# Answers and addresses that are the same the next time.
_LASTING = (
    requests.exceptions.SSLError,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidProxyURL,
    requests.exceptions.TooManyRedirects,
)


class PassingError(Exception):
    """A failure that the next attempt may not have, in words.

    Attributes:
        asked: the seconds that the server asks to wait; 0 if it does not say.
        is_busy: whether the server said that it has too much to do, for this client or at all.
    """

    def __init__(self, what: str, asked: float = 0.0, is_busy: bool = False):
        super().__init__(what)
        self.asked, self.is_busy = asked, is_busy


class LastingError(Exception):
    """A failure that every attempt will have, in words.

    Attributes:
        status: of the answer; 0 if there was none.
    """

    def __init__(self, what: str, status: int = 0):
        super().__init__(what)
        self.status = status


def open_session(connections: int = 1) -> requests.Session:
    """A session, to be closed, that keeps no cookies, so that threads may share it.

    Args:
        connections: how many requests are made at the same time.
    """
    session = requests.Session()
    session.max_redirects = _MOST_REDIRECTS
    session.headers["User-Agent"] = f"inatdet/{VERSION}"
    # The content is wanted as it is stored: compressed on its way it would have another length.
    session.headers["Accept-Encoding"] = "identity"
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    adapter = requests.adapters.HTTPAdapter(pool_connections=2, pool_maxsize=connections)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def ask(
    session: requests.Session, url: str, headers: Mapping[str, str] | None = None
) -> requests.Response:
    """Requests a file.

    Args:
        session: from `open_session`.
        url: the address; redirects are followed.
        headers: more of them.

    Returns:
        An answer whose content is still to be read (see `pieces`) and which is to be closed, with a
        status below 300, or 416 for a range that the file does not have.

    Raises:
        PassingError: there was no answer, or one that will change.
        LastingError: the file is not there, or the answer is a web page instead of a file.
    """
    try:
        answer = session.get(url, headers=dict(headers or {}), stream=True, timeout=TIMEOUT)
    except _LASTING as error:
        raise LastingError(_in_words(error)) from error
    except requests.RequestException as error:
        raise PassingError(_in_words(error)) from error
    status = answer.status_code
    what = f"{status} {answer.reason or ''}".strip()
    if status < 300 and answer.headers.get("Content-Type", "").startswith("text/html"):
        answer.close()
        raise LastingError("a web page came instead of the file", status)
    if status < 300 or status == _NO_SUCH_RANGE:
        return answer
    asked = _asked_for(answer)
    answer.close()
    if status in _PASSING and asked <= _LONGEST_ASKED:
        raise PassingError(what, asked, is_busy=asked > 0 or status in _BUSY)
    raise LastingError(what, status)


def pieces(answer: requests.Response) -> Iterator[bytes]:
    """The content of an answer, byte for byte as it was sent.

    Raises:
        PassingError: the connection ended before the content did.
    """
    try:
        yield from answer.raw.stream(_PIECE, decode_content=False)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise PassingError(_in_words(error)) from error


def sleep(seconds: float, told: threading.Event | None = None) -> None:
    """Waits.

    Args:
        seconds: how long.
        told: ends it early when it is set.
    """
    if told is None:
        time.sleep(seconds)
    else:
        told.wait(seconds)


def clock() -> float:
    """Seconds that only ever grow."""
    return time.monotonic()


def pause_before(attempt: int, asked: float = 0.0) -> float:
    """The seconds to wait before another attempt: 1, 2, 4, ..., or as many as the server asks for.

    Args:
        attempt: its number, from 1 for the first that follows a failure.
        asked: see `PassingError`.
    """
    return max(asked, min(2.0 ** (attempt - 1), _LONGEST_PAUSE))


def _asked_for(answer: requests.Response) -> float:
    """The seconds of a `Retry-After`, which is a number or a date; 0 without one."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return max(0.0, moment - time.time())


def _in_words(error: BaseException) -> str:
    """What happened to a connection: what the system says about it, below the libraries' layers."""
    if isinstance(
        error,
        (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError),
    ):
        return f"nothing came for {TIMEOUT:g} seconds"
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and below.strerror:
            return str(below.strerror)
        below = below.__cause__ or below.__context__
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "the connection ended too early"
    return reason_of(error) if isinstance(error, Exception) else type(error).__name__
