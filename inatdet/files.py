"""Files that are whole or absent, written under a temporary name and then renamed; their hashes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator

_BLOCK = 1 << 20  # bytes read at a time


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yields a temporary name beside `path` that becomes `path` when the block ends well.

    Args:
        path: the file to make; its folder is made when missing.

    Yields:
        The name to write to, in the same folder, so that the rename is atomic. When the block
        raises, the temporary file is removed and `path` is left as it was.
    """
    path = os.fspath(path)
    folder = os.path.dirname(path) or "."
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=folder)
    os.close(handle)
    try:
        yield temporary
        # mkstemp makes files that only their owner reads; results are meant to be shared.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        raise


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
    """
    path = os.fspath(path)
    digest = hashlib.sha256()
    if os.path.isdir(path):
        files = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
        by_name = {os.path.relpath(file, path).replace(os.sep, "/"): file for file in files}
        for name in sorted(by_name):
            digest.update(f"{name}\0{sha256_of(by_name[name])}\n".encode())
        return digest.hexdigest()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
