"""Whether results can be written, found out before the work for them begins."""

from __future__ import annotations

import os
import shutil
import tempfile

from inatdet.errors import InputError

_PROBE = b"\0" * 4096  # a full disk may still have room for the name of an empty file


def check_file(path: str | os.PathLike[str]) -> None:
    """Checks that a file can be written, by writing another one where it will be.

    Args:
        path: the file to be; what is missing of its folder is not created.

    Raises:
        InputError: it is a folder or a device, a file is in the way of its folder, or nothing can
            be written there.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        raise InputError(f"{path}: this is a folder; name a file")
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{path}: this is no ordinary file; name another path")
    _check_name(path)
    _check_below(path, os.path.dirname(path) or ".")


def check_folder(path: str | os.PathLike[str]) -> None:
    """Checks that files can be written in a folder, by writing one.

    Args:
        path: the folder, which need not exist; it is not created.

    Raises:
        InputError: it is a file, a file is in its way, or nothing can be written there.
    """
    path = os.fspath(path)
    _check_name(path)
    _check_below(path, path)


def free_space(folder: str) -> int:
    """The bytes that are free on the disk of a folder, which need not exist."""
    while not os.path.exists(folder):
        folder = os.path.dirname(os.path.abspath(folder))
    return shutil.disk_usage(folder).free


def gigabytes(size: int) -> str:
    """A size as people read it: in GB, or in MB if it is small."""
    return f"{size / 1e9:,.0f} GB" if size >= 1e10 else f"{size / 1e6:,.0f} MB"


def _check_name(path: str) -> None:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _cannot_write(path, error) from error


def _check_below(path: str, folder: str) -> None:
    """Writes a file in the folder, or in the nearest one above it that exists, and removes it."""
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder.rstrip(os.sep)) or ("/" if os.path.isabs(folder) else ".")
    if not os.path.isdir(folder):
        raise InputError(
            f"{path}: cannot be written, because {folder} is not a folder; choose another path"
        )
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(_PROBE)
            file.flush()
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: str, error: OSError) -> InputError:
    return InputError(
        f"{path}: cannot be written ({error.strerror}); change its permissions, free space, or "
        "choose another path"
    )
