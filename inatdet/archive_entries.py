"""The entries of tar and zip archives, one after the other, each header looked at.

`tarfile` unpacks what archives hold more readily than it should, takes damage behind the first
entry for the end, and reads headers of any length; so only its parsing of one header is used.
Nothing is written here, and no entry makes this process use much memory.
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import functools
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

from inatdet.errors import InputError, cannot_read, reason_of
from inatdet.files import open_regular

_BLOCK = 512  # bytes; a tar archive consists of such blocks
_PIECE = 1 << 20  # bytes of a file at a time
_LONGEST_HEADER = 1 << 16  # bytes of a long name or of a header's extension
_MOST_EXTENSIONS = 16  # of the header of one entry
_LONGEST_END = 1 << 20  # bytes of zeros after the last entry
_ENCODING = ("utf-8", "surrogateescape")

_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_EXTENSIONS = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_WITHOUT_CONTENT = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}
_WITH_HOLES = "a file with holes"
# Where the header of such a file says that another block of it follows, and where that block does.
_MORE_HOLES, _STILL_MORE_HOLES = 482, 504
_DAMAGED = (
    EOFError,
    OverflowError,
    UnicodeDecodeError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
_OPENERS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
_LOCKED = 1  # the bit of a zip entry's flags
_ZIP_OTHERS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True)
class Entry:
    """One entry of an archive.

    Attributes:
        name: as the archive has it; not to be trusted.
        size: bytes of the content, as announced.
        is_folder: whether it is a folder.
        oddity: what it is if it is neither a folder nor a regular file that can be read, in words:
            a symbolic link, a device, locked with a password, ...; otherwise empty.
        crc: CRC-32 of the content; None in a tar archive, which has none.
        pieces: the content, `size` bytes in all, to be read before the next entry, or not at all.
            Raises `InputError` if the archive is damaged.
    """

    name: str
    size: int
    is_folder: bool
    oddity: str
    crc: int | None
    pieces: Callable[[], Iterator[bytes]]


def iterate_entries(
    path: str, advance: Callable[[int], object] = lambda size: None
) -> Iterator[Entry]:
    """Yields the entries of an archive in its order.

    Args:
        path: a tar, which may be compressed by gzip, bzip2 or xz, or a zip, whatever its name.
        advance: called with the bytes of the archive that were gone through since the last call.

    Raises:
        InputError: the archive cannot be read, or is damaged.
    """
    with _readable(path), open_regular(path) as file:
        beginning = file.read(8)
        file.seek(0)
        if beginning.startswith(b"PK"):
            yield from _zip_entries(path, file, advance)
            return
        content: IO[bytes] = file
        for magic, opener in _OPENERS.items():
            if beginning.startswith(magic):
                content = opener(file)
        yield from _TarReader(path, content, file, advance).entries()


@contextlib.contextmanager
def _readable(path: str) -> Iterator[None]:
    """Makes what decompression finds wrong with a file an `InputError`."""
    try:
        yield
    except _DAMAGED as error:
        raise _damaged(path, reason_of(error)) from error
    except NotImplementedError as error:  # a compression that zipfile does not know
        raise InputError(
            f"{path}: cannot be unpacked here ({reason_of(error)}); unpack it with another program"
        ) from error
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # of bz2; a position before the file's beginning
            raise _damaged(path, reason_of(error)) from error
        raise cannot_read(path, error) from error


def _damaged(path: str, why: str) -> InputError:
    return InputError(f"{path}: is damaged, or no archive ({why}); delete it and fetch it again")


def _zip_entries(path: str, file: BinaryIO, advance: Callable[[int], object]) -> Iterator[Entry]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            is_locked = bool(info.flag_bits & _LOCKED)
            yield Entry(
                info.orig_filename,
                0 if info.is_dir() else info.file_size,
                info.is_dir(),
                _ZIP_OTHERS.get(kind, "locked with a password" if is_locked else ""),
                info.CRC,
                functools.partial(_zip_pieces, path, archive, info),
            )
            advance(info.compress_size)


def _zip_pieces(path: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    left = info.file_size
    with _readable(path), archive.open(info) as content:
        while piece := content.read(_PIECE):
            left -= len(piece)
            yield piece
    if left:
        raise _damaged(path, "an entry is shorter than announced")


class _TarReader:
    """Goes through a tar archive block by block.

    Args:
        path: the archive, for messages.
        content: its content, decompressed.
        file: the archive itself, whose position is the progress.
        advance: see `iterate_entries`.
    """

    def __init__(
        self, path: str, content: IO[bytes], file: IO[bytes], advance: Callable[[int], object]
    ):
        self._path, self._content, self._file, self._advance = path, content, file, advance
        self._left = 0  # bytes of the current entry that are still to be read
        self._told = 0

    def entries(self) -> Iterator[Entry]:
        while (found := self._header()) is not None:
            info, oddity = found
            if info.size < 0:
                raise _damaged(self._path, "an entry has a negative size")
            size = 0 if info.isdir() or info.type in _WITHOUT_CONTENT else info.size
            self._left = -(-size // _BLOCK) * _BLOCK
            pieces = functools.partial(self._pieces, size)
            yield Entry(info.name, size, info.isdir(), oddity, None, pieces)
            self._skip()
            self._tell()
        self._finish()

    def _pieces(self, size: int) -> Iterator[bytes]:
        with _readable(self._path):
            while size:
                piece = self._read(min(size, _PIECE))
                size -= len(piece)
                self._left -= len(piece)
                yield piece

    def _skip(self) -> None:
        while self._left:
            self._left -= len(self._read(min(self._left, _PIECE)))

    def _header(self) -> tuple[tarfile.TarInfo, str] | None:
        """The header of the next entry, extensions taken in, and its oddity; None at the end."""
        name: str | None = None
        records: dict[str, str] = {}
        for _ in range(_MOST_EXTENSIONS):
            block = self._read(_BLOCK)
            if not any(block):
                if name is not None or records:
                    raise _damaged(self._path, "it ends behind the name of an entry")
                return None
            try:
                info = tarfile.TarInfo.frombuf(block, *_ENCODING)
            except tarfile.HeaderError as error:
                raise _damaged(self._path, reason_of(error)) from error
            if info.type == tarfile.GNUTYPE_LONGNAME:
                name = self._extension(info).rstrip(b"\0").decode(*_ENCODING)
            elif info.type == tarfile.GNUTYPE_LONGLINK or info.type == tarfile.XGLTYPE:
                self._extension(info)  # of links, which nothing follows; comments
            elif info.type in _EXTENSIONS:
                records.update(self._records(self._extension(info)))
            else:
                if info.type == tarfile.GNUTYPE_SPARSE:
                    self._skip_holes(block)
                return self._with(info, name, records), _oddity_of(info, records)
        raise _damaged(self._path, "a header does not end")

    def _with(
        self, info: tarfile.TarInfo, name: str | None, records: dict[str, str]
    ) -> tarfile.TarInfo:
        """A header with what its extensions say."""
        info.name = records.get("path", name if name is not None else info.name)
        if "size" in records:
            if not (records["size"].isascii() and records["size"].isdigit()):
                raise _damaged(self._path, "the size of an entry is no number")
            info.size = int(records["size"][:30])
        return info

    def _extension(self, info: tarfile.TarInfo) -> bytes:
        if not 0 <= info.size <= _LONGEST_HEADER:
            raise _damaged(self._path, f"a header has {info.size:,} bytes")
        return self._read(-(-info.size // _BLOCK) * _BLOCK)[: info.size]

    def _skip_holes(self, header: bytes) -> None:
        """Goes on to the content of a file with holes, which may have many."""
        has_more = header[_MORE_HOLES]
        while has_more:
            has_more = self._read(_BLOCK)[_STILL_MORE_HOLES]

    def _records(self, data: bytes) -> Iterator[tuple[str, str]]:
        """The records of an extended header: `LENGTH KEY=VALUE`, each with a line break."""
        while data.rstrip(b"\0"):
            length, blank, _ = data[:20].partition(b" ")
            if not (blank and length.isdigit() and len(length) < int(length) <= len(data)):
                raise _damaged(self._path, "an extended header is malformed")
            key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
            yield key.decode(*_ENCODING), value.decode(*_ENCODING)
            data = data[int(length) :]

    def _finish(self) -> None:
        """Reads what follows the last entry, so that the hash of the compression is checked."""
        for _ in range(_LONGEST_END // _BLOCK):
            if not self._content.read(_BLOCK):
                self._tell()
                return
        raise _damaged(self._path, "it goes on behind its end")

    def _read(self, size: int) -> bytes:
        data = self._content.read(size)
        if len(data) < size:
            raise _damaged(self._path, "its end is missing")
        return data

    def _tell(self) -> None:
        at = self._file.tell()
        self._advance(at - self._told)
        self._told = at


def _oddity_of(info: tarfile.TarInfo, records: dict[str, str]) -> str:
    """See `Entry`.

    Args:
        info: the header.
        records: of its extensions.
    """
    if info.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse") for key in records):
        return _WITH_HOLES
    if info.isdir() or info.type in _FILES:
        return ""
    return _WITHOUT_CONTENT.get(info.type, f"of the unknown type {info.type!r}")
