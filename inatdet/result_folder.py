"""A folder of results whose files all come from one run."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import shutil
from collections.abc import Collection, Iterator

from inatdet.locks import only_writer

_UNFINISHED = ".unfinished"


@contextlib.contextmanager
def files_of_one_run(
    folder: str | os.PathLike[str], known: Collection[str] = ()
) -> Iterator[pathlib.Path]:
    """Yields a folder to write to; its files replace those of an earlier run when the block ends.

    If the block raises, the earlier files stay as they are. What a killed process left is removed
    by the next one.

    Args:
        folder: the folder of the results; it is created if missing. Files of other names stay.
        known: the names of files that an earlier run may have written; those that this one has not
            written are removed, lest they pass for a part of it.

    Raises:
        InputError: another process is writing there.
        OSError: something cannot be written; it names the place in `folder`.
    """
    folder = pathlib.Path(folder)
    unfinished = folder / _UNFINISHED  # inside, because a rename needs the same file system
    try:
        with only_writer(unfinished):
            files = unfinished / "files"
            shutil.rmtree(files, ignore_errors=True)
            files.mkdir()
            try:
                yield files
                _move(files, folder, known)
            except OSError as error:
                name = pathlib.Path(os.fsdecode(error.filename or ""))
                if name.parent == files:
                    error.filename = str(folder / name.name)
                raise
            finally:
                shutil.rmtree(files, ignore_errors=True)
    finally:
        with contextlib.suppress(OSError):
            unfinished.rmdir()


def _move(files: pathlib.Path, folder: pathlib.Path, known: Collection[str]) -> None:
    written = sorted(file.name for file in files.iterdir())
    for name in written:  # before the first one moves
        if (folder / name).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(folder / name))
    for name in written:
        os.replace(files / name, folder / name)
    for name in set(known).difference(written):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError, PermissionError):
            (folder / name).unlink()
