"""Downloads one file, whole or absent, its hash checked; an interrupted download goes on."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

import requests
from tqdm import tqdm

from inatdet import web
from inatdet.errors import InputError
from inatdet.locks import only_writer_of
from inatdet.unfinished import PART, Part, length_of


def download(
    url: str,
    path: str | os.PathLike[str],
    *,
    what: str,
    md5: str | None = None,
    size: int | None = None,
    by_hand: str = "",
    folder_hint: str = "free space, or choose another path",
    attempts: int = web.ATTEMPTS,
    wait: bool = False,
) -> None:
    """Downloads a file that is not there yet.

    Until it is complete, what came so far is in `PATH.part`, and `PATH.part.json` says which
    version of the file it is the beginning of. After a cut connection, in this run or in the next,
    only the rest is asked for. If the server has another version by then, or cannot send a part,
    the download begins again.

    Args:
        url: its address.
        path: where it goes.
        what: what it is, for the progress bar.
        md5: its hash, if it is known.
        size: its bytes, if they are known; other files are refused before they are downloaded.
        by_hand: what may be done instead, as the end of an error message, such as "or give a path".
        folder_hint: what to do if `path` cannot be written, as the end of an error message.
        attempts: how many failures in a row end it; any byte more than before starts a new row.
        wait: whether to wait for another process that writes `path`, instead of an error.

    Raises:
        InputError: the file cannot be downloaded or written, or its size or hash is wrong.
        KeyboardInterrupt: with words on how much is kept.
    """
    path = os.fspath(path)
    try:
        with only_writer_of(path, wait), contextlib.ExitStack() as stack:
            if os.path.exists(path):
                return
            part = Part.beside(path, url, md5)
            session = stack.enter_context(web.open_session())
            _complete(session, part, _Goal(url, what, md5, size, by_hand, attempts))
            os.replace(part.path, path)
            part.forget()
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be written ({reason}); {folder_hint}") from error


def bytes_there(path: str | os.PathLike[str]) -> int:
    """How many bytes of a file are there, in itself or in the part of it that was downloaded."""
    for name in (os.fspath(path), os.fspath(path) + PART):
        with contextlib.suppress(OSError):
            return os.path.getsize(name)
    return 0


@dataclass(frozen=True)
class _Goal:
    """What is to be downloaded; see `download`."""

    url: str
    what: str
    md5: str | None
    size: int | None
    by_hand: str
    attempts: int

    def failed(self, what: str, advice: str) -> InputError:
        end = f", {self.by_hand}" if self.by_hand else ""
        return InputError(f"{self.url}: {what}; {advice}{end}")


def _complete(session: requests.Session, part: Part, goal: _Goal) -> None:
    """Downloads the rest of a part and checks its hash."""
    with tqdm(
        total=part.record.total or goal.size,
        initial=part.position,
        unit="B",
        unit_scale=True,
        desc=goal.what,
        disable=None,
    ) as bar:
        try:
            _persevere(session, part, goal, bar)
            if goal.md5 not in (None, part.digest.hexdigest()) and part.is_resumed:
                # The parts may be of two versions, or the first damaged since.
                part.clear()
                _persevere(session, part, goal, bar)
        except KeyboardInterrupt as error:
            if part.position and part.can_go_on:
                raise KeyboardInterrupt(
                    f"{part.position:,} bytes are kept in {part.path}; the same command goes on "
                    "from there"
                ) from error
            raise
    found = part.digest.hexdigest()
    if goal.md5 not in (None, found):
        part.forget()
        raise goal.failed(
            f"what was downloaded has the MD5 {found}, not {goal.md5}, and was thrown away",
            "try again",
        )


def _persevere(session: requests.Session, part: Part, goal: _Goal, bar: tqdm) -> None:
    """Attempts the download until it is complete."""
    furthest, failures = part.position, 0
    while not part.is_complete:
        try:
            _attempt(session, part, goal, bar)
            return
        except web.PassingError as error:
            if part.position > furthest:
                furthest, failures = part.position, 0
            failures += 1
            if failures < goal.attempts:
                pause = web.pause_before(failures, error.asked)
                bar.set_postfix_str(f"{error}; trying again in {pause:.0f} s")
                web.sleep(pause)
                bar.set_postfix_str("")
                continue
            if not part.position:
                raise goal.failed(f"cannot be downloaded ({error})", "check the network") from error
            total = f" of {part.record.total:,}" if part.record.total else ""
            raise goal.failed(
                f"the download broke off after {part.position:,}{total} bytes ({error})",
                "try again",
            ) from error
        except web.LastingError as error:
            raise goal.failed(
                f"cannot be downloaded ({error})", "check the address and the network"
            ) from error


def _attempt(session: requests.Session, part: Part, goal: _Goal, bar: tqdm) -> None:
    """Asks once for what is missing."""
    headers = part.headers()
    with web.ask(session, goal.url, headers) as answer:
        if headers and part.goes_on_with(answer):
            part.is_resumed = True
        elif answer.status_code == 200:
            length = length_of(answer)
            if goal.size is not None and length not in (None, goal.size):
                # What is there of the right file stays.
                raise goal.failed(
                    f"has {length:,} bytes, not {goal.size:,}, so it is another file",
                    "check the address",
                )
            part.begin(answer)
            bar.reset(part.record.total)
        elif headers:  # a range that does not fit what is there
            part.clear()
            bar.reset(None)
            raise web.PassingError("the server sent another part of the file")
        else:
            raise web.LastingError(f"{answer.status_code} instead of the whole file")
        for size in part.take(answer):
            bar.update(size)
    total = part.record.total
    if total is not None and part.position != total:
        what = "the connection ended too early"
        if part.position > total:
            part.clear()
            what = "the server sent more than it announced"
        raise web.PassingError(what)
