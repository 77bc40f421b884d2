"""A server on this machine that answers as a test wants, also as badly as networks do."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import math
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from inatdet import web


@dataclasses.dataclass
class Server:
    """What the server has, what it answers instead, and what it was asked.

    Attributes:
        base_url: its address, with a slash at the end.
        files: content by path, without a slash at the beginning.
        answers: taken one by one before files are served; each gets the handler, and sends all of
            an answer, or nothing and returns True, whereupon the file is served.
        always: what answers every request that none of `answers` took; by default, `send_file`.
        requests: path and `Range` of each request, in their order.
        headers: all headers of the last request.
    """

    base_url: str
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    answers: list[Callable] = dataclasses.field(default_factory=list)
    always: Callable | None = None
    requests: list[tuple[str, str | None]] = dataclasses.field(default_factory=list)
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def content_of(self, handler) -> bytes | None:
        return self.files.get(handler.path.lstrip("/"))


def tag_of(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'


def md5_of(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def send_file(handler):
    """Answers as S3 does: with an entity tag, and with a part if that is still of this version."""
    send_part(handler)


def send_part(handler, most=None, tag=None, ranges=True, extra=()):
    """Sends a file or the part that is asked for.

    Args:
        most: bytes after which the connection ends, if any.
        tag: the entity tag instead of the content's; an empty one is left out.
        ranges: whether parts are sent.
        extra: more headers.
    """
    content = handler.state.content_of(handler)
    if content is None:
        send_status(404)(handler)
        return
    tag = tag_of(content) if tag is None else tag
    asked = handler.headers.get("Range")
    condition = handler.headers.get("If-Range")
    start = 0
    if asked and ranges and condition in (None, tag):
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            send_status(416)(handler)
            return
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    else:
        handler.send_response(200)
    handler.send_header("Content-Length", str(len(content) - start))
    if tag:
        handler.send_header("ETag", tag)
    for name, value in extra:
        handler.send_header(name, value)
    handler.end_headers()
    if most is None:
        handler.wfile.write(content[start:])
        return
    handler.wfile.write(content[start : start + most])
    hang_up(handler)


def hang_up(handler):
    """Ends the connection early, after what was sent has arrived."""
    handler.wfile.flush()
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_WR)


def reset(handler):
    """Resets the connection, as a machine on the way does; what was sent may be lost."""
    handler.wfile.flush()
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()


def cut_after(most, **options):
    return lambda handler: send_part(handler, most=most, **options)


def send_status(status, extra=(), content=b"no"):
    def answer(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        for name, value in extra:
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True  # which makes every small answer wait
    state: Server

    def do_GET(self):
        with self.state.lock:
            self.state.requests.append((self.path, self.headers.get("Range")))
            self.state.headers = dict(self.headers)
            answer = self.state.answers.pop(0) if self.state.answers else self.state.always
        (answer or send_file)(self)

    def log_message(self, *_):
        pass


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """The pauses between attempts, which last no time."""
    made: list[float] = []
    monkeypatch.setattr(web, "sleep", lambda seconds, told=None: made.append(seconds))
    monkeypatch.setattr(web, "clock", lambda: math.fsum(made))
    return made


@pytest.fixture
def server(monkeypatch, pauses) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = type("Answering", (Handler,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.daemon_threads = True
        handler.state = state = Server(f"http://127.0.0.1:{running.server_port}/")
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield state
        running.shutdown()
        thread.join()
