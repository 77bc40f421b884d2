"""One writer at a time: a lock that ends with its process, however that ends."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator

from inatdet.errors import InputError
from inatdet.files import beginning_of_name

try:
    import fcntl
except ImportError:  # no such locks on this system
    fcntl = None  # type: ignore[assignment]

_FILE = ".inatdet.lock"


@contextlib.contextmanager
def only_writer(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keeps other processes from writing to a folder while the block runs; reading goes on.

    The lock is the operating system's, on a file in the folder that names the process. A killed
    process may leave the file behind, but not the lock. Where the file system has no locks, as some
    network file systems, nothing is locked.

    Args:
        folder: the folder; it is created if missing, and removed if nothing is written there.

    Raises:
        InputError: another process has the lock.
        OSError: the folder cannot be written to; see `inatdet.outputs`.
    """
    folder = os.fspath(folder)
    is_new = not os.path.isdir(folder)
    os.makedirs(folder, exist_ok=True)
    try:
        with _lock(os.path.join(folder, _FILE), folder):
            yield
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # it is not empty
                os.rmdir(folder)


def writer_in(folder: str | os.PathLike[str]) -> str | None:
    """Which process has the lock of `only_writer` on a folder; nothing is written there.

    Args:
        folder: the folder, which need not exist.

    Returns:
        `process 7 on HOST`; None if there is none, or where the file system has no locks.
    """
    if fcntl is None:
        return None
    try:
        handle = os.open(os.path.join(folder, _FILE), os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(handle)
    except OSError:
        return None
    finally:
        os.close(handle)
    return None


@contextlib.contextmanager
def only_writer_of(path: str | os.PathLike[str], wait: bool = False) -> Iterator[None]:
    """Keeps other processes from writing a file or folder that appears when it is complete.

    See `only_writer`; the lock is on a hidden file beside it.

    Args:
        path: what is written; the folder that it lies in is created if missing.
        wait: whether to wait for another process that has the lock.

    Raises:
        InputError: another process has the lock.
        OSError: the folder cannot be written to; see `inatdet.outputs`.
    """
    path = os.path.abspath(path)
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    with _lock(os.path.join(folder, f".{beginning_of_name(path)}.lock"), path, wait):
        yield


@contextlib.contextmanager
def only_writer_in_turn(
    path: str | os.PathLike[str], before_waiting: Callable[[], None]
) -> Iterator[None]:
    """As `only_writer_of`, but another process that has the lock is waited for.

    Args:
        path: what is written; the folder that it lies in is created if missing.
        before_waiting: is called if there is another process.

    Raises:
        OSError: the folder cannot be written to; see `inatdet.outputs`.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(only_writer_of(path))
        except InputError:
            before_waiting()
            stack.enter_context(only_writer_of(path, wait=True))
        yield


@contextlib.contextmanager
def _lock(path: str, what: str, wait: bool = False) -> Iterator[None]:
    handle = _locked(path, what, wait)
    try:
        yield
    finally:
        # Removed before the lock ends, so that whoever waits for the next one finds out.
        if handle is not None:
            with contextlib.suppress(OSError):
                os.remove(path)
            os.close(handle)


def _locked(path: str, what: str, wait: bool) -> int | None:
    """The descriptor of a locked file; None where there are no locks.

    Args:
        path: the file.
        what: what is written, for the message.
        wait: whether to wait for another process.
    """
    if fcntl is None:
        return None
    while True:
        # Open for writing, because NFS locks no file that is open for reading.
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            holder = _holder(handle)
            os.close(handle)
            raise InputError(
                f"{what}: {holder} is writing there; wait until it ends, or name another path"
            ) from error
        except OSError:
            os.close(handle)
            return None
        # The process that had the lock may have removed the file between the two calls.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(handle)):
                os.ftruncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
                return handle
        os.close(handle)


def _holder(handle: int) -> str:
    """The process that a lock's file names."""
    return os.read(handle, 200).decode("utf-8", "replace").strip() or "another process"
