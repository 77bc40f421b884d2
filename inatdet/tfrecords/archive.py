"""Image files out of an archive that is read once, from its beginning to its end.

No archive can be trusted: only the content of regular members whose names the annotations list is
taken, it never gets a name on the disk, and no member makes this process use much memory.
"""

from __future__ import annotations

import bz2
import collections
import contextlib
import gzip
import hashlib
import lzma
import os
import posixpath
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, BinaryIO, NamedTuple

from inatdet.data.annotations import Image
from inatdet.data.jpeg import LARGEST_FILE, BadFileError, FileProblem, Jpeg, jpeg_of
from inatdet.errors import InputError
from inatdet.files import open_regular
from inatdet.tfrecords.sources import Positions

_OPENERS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
_LARGEST_HEADER = 1 << 20  # bytes of what a header says beyond 512; long names need a few hundred
_COPIED = 1 << 20  # bytes at a time
_MOST_SPOOLS = 128  # files that are open at the same time
_DAMAGES = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)


class _Spooled(NamedTuple):
    """Where a file lies: in which spool, from which byte, how many."""

    spool: int
    start: int
    size: int


class ImagesArchive:
    """The files in an archive; see `sources.Source`.

    Their content is first copied into spools, files without names beside the shards, each with the
    images of some shards. When these are written, the spool's space is free again.

    Args:
        path: a tar, which may be compressed.
        images: all images.
        folder: where the spools are.
        advance: called with the number of bytes of the archive that were read.
    """

    def __init__(
        self,
        path: str,
        images: Sequence[Image],
        folder: str,
        advance: Callable[[int], object] = lambda count: None,
    ):
        self.place = path
        self._images, self._folder, self._advance = images, folder, advance
        self._spools: dict[int, BinaryIO] = {}
        self._shards_of_spool: collections.Counter[int] = collections.Counter()
        self._spool_of_shard: dict[str, int] = {}
        self._found: dict[int, _Spooled] = {}

    def stamp(self, positions: Positions) -> str:
        """A hash of the archive's size and of when it was last changed."""
        del positions
        found = os.stat(self.place)
        return hashlib.sha256(f"{found.st_size} {found.st_mtime_ns}".encode()).hexdigest()[:32]

    def fetch(self, shards: Mapping[str, Positions]) -> list[int]:
        """Reads the archive and keeps the files of these shards.

        Raises:
            InputError: it is no archive, or damaged.
            OSError: the files cannot be kept, as where the disk is full.
        """
        if not shards:
            return []
        wanted: dict[str, list[tuple[int, int]]] = collections.defaultdict(list)
        count = min(_MOST_SPOOLS, len(shards))
        for number, (shard, positions) in enumerate(shards.items()):
            spool = number * count // len(shards)
            self._spool_of_shard[shard] = spool
            self._shards_of_spool[spool] += 1
            for position in positions:
                name = posixpath.normpath(self._images[position].file_name)
                wanted[name].append((position, spool))
        for spool in self._shards_of_spool:
            self._spools[spool] = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        with _members(self.place, self._advance) as members:
            for member, content in members:
                places = wanted.get(posixpath.normpath(member.name))
                if places and member.isreg() and not member.issparse():
                    self._keep(content, member.size, places)
        return [
            position
            for positions in shards.values()
            for position in positions
            if position not in self._found
        ]

    def open(self, position: int) -> Jpeg:
        """Reads a file from its spool."""
        image = self._images[position]
        path = f"{self.place}: {image.file_name}"
        if position not in self._found:
            what, remedy = "is not in the archive", "check its file_name"
            raise BadFileError(FileProblem.MISSING, image, path, what, remedy)
        spool, start, size = self._found[position]
        if size > LARGEST_FILE:
            what = f"has {size / 2**30:.1f} GiB"
            remedy = "no record can hold more than 1 GiB, so make it smaller"
            raise BadFileError(FileProblem.UNREADABLE, image, path, what, remedy)
        return jpeg_of(os.pread(self._spools[spool].fileno(), size, start), image, path)

    def release(self, shard: str) -> None:
        """Frees the space of a spool when all of its shards are written."""
        spool = self._spool_of_shard[shard]
        self._shards_of_spool[spool] -= 1
        if not self._shards_of_spool[spool]:
            self._spools.pop(spool).close()

    def close(self) -> None:
        """Frees all spools."""
        while self._spools:
            self._spools.popitem()[1].close()

    def explain(self, names: Sequence[str], sought: int) -> tuple[str, str]:
        """How many files are missing."""
        more = ", ..." if len(names) > 3 else ""
        what = (
            f"{len(names):,} of {sought:,} images are not in {self.place}, such as "
            f"{', '.join(names[:3])}{more}"
        )
        return what, "check that the archive and the annotations belong together"

    def _keep(self, content: BinaryIO, size: int, places: Sequence[tuple[int, int]]) -> None:
        """Copies a file; one of a name that came before replaces it, as when unpacking."""
        starts = []
        for position, number in places:
            spool = self._spools[number]
            start = spool.seek(0, os.SEEK_END)
            starts.append((spool, start))
            self._found[position] = _Spooled(number, start, size)
        left = size if size <= LARGEST_FILE else 0
        while left:
            data = content.read(min(left, _COPIED))
            if not data:
                raise EOFError("it ends within a member")
            left -= len(data)
            for spool, _ in starts:
                try:
                    spool.write(data)
                except OSError as error:
                    error.filename = self._folder
                    raise _DiskError(error) from error
        for spool, _ in starts:
            try:
                spool.flush()
            except OSError as error:
                error.filename = self._folder
                raise _DiskError(error) from error


class _DiskError(Exception):
    """An `OSError` of what is written, to tell it from those of what is read."""

    def __init__(self, error: OSError):
        self.error = error


@contextlib.contextmanager
def _members(
    path: str, advance: Callable[[int], object]
) -> Iterator[Iterator[tuple[tarfile.TarInfo, BinaryIO]]]:
    """The members of an archive, each with a file at whose place its content begins.

    Raises:
        InputError: it is no archive, or damaged.
        OSError: what the block writes cannot be written.
    """
    seen = 0

    def members() -> Iterator[tuple[tarfile.TarInfo, BinaryIO]]:
        nonlocal seen
        with open_regular(path) as file:
            content = _Forward(_decompressed(file), file, advance)
            archive = tarfile.TarFile(fileobj=content)  # type: ignore[arg-type]
            while (member := archive.next()) is not None:
                seen += 1
                archive.members = []  # type: ignore[attr-defined] # would grow with the archive
                content.limit = None
                content.seek(member.offset_data)
                yield member, content  # type: ignore[misc]
                content.limit = _LARGEST_HEADER

    try:
        yield members()
    except _DiskError as error:
        raise error.error from error
    except _DAMAGES as error:
        reason = " ".join(str(error).split()) or "it ends too early"
        raise InputError(
            f"{path}: cannot be read as an archive after {seen:,} members ({reason}); fetch it "
            "again"
        ) from error


def _decompressed(file: BinaryIO) -> BinaryIO:
    head = file.read(8)
    file.seek(0)
    for magic, opener in _OPENERS.items():
        if head.startswith(magic):
            opened: BinaryIO = opener(file)
            return opened
    return file


class _Forward:
    """A file that is only read forward, for `tarfile`, which goes back by one byte at most.

    Attributes:
        limit: the most bytes that one call may read; `tarfile` reads what a header announces.
    """

    def __init__(self, file: BinaryIO, raw: IO[bytes], advance: Callable[[int], object]):
        self._file, self._raw, self._advance = file, raw, advance
        self._place = self._told = 0
        self._last = b""
        self._again = False
        self.limit: int | None = _LARGEST_HEADER

    def tell(self) -> int:
        """How many bytes were read."""
        return self._place

    def seek(self, place: int) -> int:
        """Goes forward, or back by one byte."""
        if place == self._place - 1 and self._last and not self._again:
            self._again, self._place = True, place
        if place < self._place:
            raise ValueError("its members overlap")
        limit, self.limit = self.limit, None
        while self._place < place:
            if not self.read(min(place - self._place, _COPIED)):
                break
        self.limit = limit
        return self._place

    def read(self, size: int) -> bytes:
        """As of a file."""
        if self.limit is not None and size > self.limit:
            raise ValueError(f"a header of {size:,} bytes")
        data = b""
        if self._again and size:
            self._again, data = False, self._last
        data += self._file.read(size - len(data))
        self._place += len(data)
        self._last = data[-1:] or self._last
        told = self._raw.tell()
        self._advance(told - self._told)
        self._told = told
        return data
