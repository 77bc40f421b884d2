"""Image files out of an archive that is read once, from its beginning to its end.

No archive can be trusted: only the content of regular files whose names the annotations list is
taken, and it never gets a name on the disk.
"""

from __future__ import annotations

import collections
import hashlib
import os
import posixpath
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import BinaryIO, NamedTuple

from inatdet.archive_entries import iterate_entries
from inatdet.data.annotations import Image
from inatdet.data.jpeg import LARGEST_FILE, BadFileError, FileProblem, Jpeg, jpeg_of
from inatdet.tfrecords.sources import Positions

_MOST_SPOOLS = 128  # files that are open at the same time


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
        path: a tar, which may be compressed, or a zip.
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
        for entry in iterate_entries(self.place, self._advance):
            places = wanted.get(posixpath.normpath(entry.name))
            if places and not entry.is_folder and not entry.oddity:
                self._keep(entry.pieces(), entry.size, places)
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

    def _keep(self, pieces: Iterable[bytes], size: int, places: Sequence[tuple[int, int]]) -> None:
        """Copies a file; one of a name that came before replaces it, as when unpacking."""
        starts: dict[int, int] = {}
        for position, number in places:
            if number not in starts:
                starts[number] = self._spools[number].seek(0, os.SEEK_END)
            self._found[position] = _Spooled(number, starts[number], size)
        if size > LARGEST_FILE:
            return
        spools = [self._spools[number] for number in starts]
        try:
            for piece in pieces:
                for spool in spools:
                    spool.write(piece)
            for spool in spools:
                spool.flush()
        except OSError as error:  # of a spool: what is wrong with the archive is an `InputError`
            error.filename = self._folder
            raise
