"""Files: opened if regular, written completely or not at all, of a known format version; hashes."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any, BinaryIO, Literal, TextIO, overload

from inatdet.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_BLOCK = 1 << 20  # bytes read at a time
_LONGEST_BEGINNING = 200  # bytes; a name may have 255
_TEMPORARY = ".inatdet-unfinished"  # what temporary names end with, so that they are ours
_UMASK = threading.Lock()  # it is the process', and can be read only by setting it
_SEEN_FOLDERS: set[str] = set()  # where this process has looked for what others left


@overload
def open_regular(path: str | os.PathLike[str]) -> BinaryIO: ...


@overload
def open_regular(
    path: str | os.PathLike[str], mode: Literal["r"], *, encoding: str = ...
) -> TextIO: ...


def open_regular(
    path: str | os.PathLike[str], mode: Literal["rb", "r"] = "rb", *, encoding: str = "utf-8"
) -> IO[Any]:
    """Opens a file that the user named for reading; pipes and devices are refused.

    A pipe that nobody writes to would be waited for without end, a device may have no end, and
    neither can be read twice, as hashing does.

    Args:
        path: the file.
        mode: `rb` for bytes, `r` for text.
        encoding: of text.

    Raises:
        OSError: it cannot be opened, as with `open`.
        InputError: it is not a regular file.
    """
    file = open(  # noqa: SIM115
        path,
        mode,
        encoding=None if mode == "rb" else encoding,
        opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)),
    )
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise InputError(
            f"{os.fspath(path)}: is a pipe or a device, not a file; write its content to a file "
            "and give that"
        )
    return file


def matching(pattern: str) -> list[str]:
    """The files and folders that match a pattern, sorted.

    Args:
        pattern: may contain `*`, `?`, `[abc]` and `**`, but as far as it names an existing folder
            it is taken literally, so that `records [2017]/train-*` means what it says.
    """
    folder, rest = pattern, ""
    while folder and not os.path.isdir(folder):
        folder, part = os.path.split(folder)
        rest = os.path.join(part, rest) if rest else part
    literal = glob.escape(folder)
    return sorted(glob.glob(os.path.join(literal, rest) if rest else literal, recursive=True))


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yields a temporary path that is renamed to `path` when the block succeeds.

    Args:
        path: the file to write; its folder is created if missing.

    Yields:
        The path to write to, in the same folder, so that the rename is atomic. If the block
        raises, the temporary file is removed and `path` is left as it was. An error of the
        system that names no file, as that of a full disk, names `path`.
    """
    path = os.fspath(path)
    folder = os.path.dirname(path) or "."
    os.makedirs(folder, exist_ok=True)
    with _temporary(path, folder, tempfile.mkstemp) as temporary:
        try:
            yield temporary
            # mkstemp makes the file readable by its owner only, but results are meant to be shared.
            with _UMASK:
                umask = os.umask(0)
                os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, path)
        except BaseException as error:
            with contextlib.suppress(FileNotFoundError):
                os.remove(temporary)
            if isinstance(error, OSError) and error.errno is not None:
                error.filename = path if error.filename in (None, temporary) else error.filename
            raise


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yields a temporary folder that is renamed to `path` when the block succeeds.

    Args:
        path: the folder to create, which does not exist, or no longer when the block ends; its
            parent is created if missing.

    Yields:
        The folder to write to, beside `path`. If the block raises, it is removed.
    """
    path = os.path.abspath(path)
    parent = os.path.dirname(path)
    os.makedirs(parent, exist_ok=True)
    with _temporary(path, parent, tempfile.mkdtemp) as temporary:
        try:
            yield temporary
            shutil.copymode(parent, temporary)  # mkdtemp makes it accessible to its owner only
            os.rename(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def beginning_of_name(path: str) -> str:
    """As much of the name of a file as the longer name of a hidden file beside it begins with."""
    return os.fsencode(os.path.basename(path))[:_LONGEST_BEGINNING].decode("utf-8", "ignore")


@contextlib.contextmanager
def _temporary(path: str, folder: str, make: Callable[..., Any]) -> Iterator[str]:
    """Makes a temporary file or folder for `path` in `folder`, locked while the block runs.

    A process that is killed leaves it behind, but not the lock. The first time that a process
    writes into a folder, it therefore removes those that nobody has locked.
    """
    _remove_abandoned(folder)
    name = beginning_of_name(path)
    while True:
        made = make(prefix=f".{name}.", suffix=_TEMPORARY, dir=folder)
        if isinstance(made, tuple):  # mkstemp opens its file
            os.close(made[0])
        temporary: str = made[1] if isinstance(made, tuple) else made
        with _lock(temporary, wait=True) as owned:
            # Another process may have removed it before it was locked.
            if owned:
                yield temporary
                return


def _remove_abandoned(folder: str) -> None:
    """Removes what killed processes left in a folder, once in the life of this process."""
    folder = os.path.realpath(folder)
    if folder in _SEEN_FOLDERS:
        return
    _SEEN_FOLDERS.add(folder)
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if not (name.startswith(".") and name.endswith(_TEMPORARY)):
                continue
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError), _lock(path, wait=False) as owned:
                if owned and os.path.isdir(path):
                    shutil.rmtree(path, ignore_errors=True)
                elif owned:
                    os.remove(path)


@contextlib.contextmanager
def _lock(path: str, wait: bool) -> Iterator[bool]:
    """Locks a file or folder against other processes; the system unlocks it when this one ends.

    Args:
        path: what to lock.
        wait: whether to wait for another process; then a file system without locks will do too.

    Yields:
        Whether `path` is locked and still there.
    """
    if fcntl is None:
        yield wait
        return
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            owned = wait
        else:
            with contextlib.suppress(FileNotFoundError):
                owned = False
                owned = os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
        yield owned
    finally:
        os.close(handle)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file in UTF-8, line ends as they are; see `atomic_path`."""
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as file,
    ):
        file.write(text)


def check_version(path: str | os.PathLike[str], version: object, newest: int, remedy: str) -> None:
    """Refuses a file of a format version that this code does not know.

    Args:
        path: the file, for the message.
        version: what the file says: a whole number from 1; None if it says nothing, as files
            written before formats had versions do, which is accepted.
        newest: the newest version that is read; all older ones are read too.
        remedy: the command that writes the file again, for the end of the message.

    Raises:
        InputError: the version is newer, or not a version at all.
    """
    if version is None or (type(version) is int and 1 <= version <= newest):
        return
    raise InputError(
        f"{os.fspath(path)}: has format version {repr(version)[:40]}, but this version of inatdet "
        f"reads versions up to {newest}; update inatdet, or {remedy}"
    )


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's content, or of a folder's.

    A folder's hash covers the relative name and the hash of every file below it, in the order of
    the names, which have forward slashes on every system.

    Args:
        path: a file or folder.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: it cannot be read.
        InputError: it is not a regular file, or one in the folder is not.
    """
    path = os.fspath(path)
    if not os.path.isdir(path):
        return digest_of(path, "sha256")
    digest = hashlib.sha256()
    files = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    by_name = {os.path.relpath(file, path).replace(os.sep, "/"): file for file in files}
    for name in sorted(by_name):
        digest.update(f"{name}\0{sha256_of(by_name[name])}\n".encode())
    return digest.hexdigest()


def digest_of(
    path: str, algorithm: str, advance: Callable[[int], object] = lambda size: None
) -> str:
    """The hash of a file's content, in hexadecimal digits.

    Args:
        path: the file.
        algorithm: as `hashlib` calls it; it checks files and protects nothing.
        advance: called with the bytes that were read since the last call.

    Raises:
        OSError: it cannot be read.
        InputError: it is not a regular file.
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open_regular(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            advance(len(block))
    return digest.hexdigest()
