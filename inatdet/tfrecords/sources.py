"""Where the writer takes image files from: a folder or an archive."""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from inatdet.data.annotations import Image
from inatdet.data.file_names import explain_missing
from inatdet.data.jpeg import Jpeg, open_jpeg

_AT_ONCE = 256  # files that a thread looks up before it hands them over

Positions = Sequence[int]
"""Of images in the list of all images."""


class Source(Protocol):
    """Image files by the position of their image.

    Attributes:
        place: the folder or archive, for messages.
    """

    place: str

    def stamp(self, positions: Positions) -> str:
        """A hash that changes when one of the files does, as far as this shows from outside."""

    def fetch(self, shards: Mapping[str, Positions]) -> list[int]:
        """Makes the files of these shards ready to be opened; returns those that are not there."""

    def open(self, position: int) -> Jpeg:
        """Reads a file.

        Raises:
            BadFileError: it is missing, not a JPEG, or truncated.
        """

    def release(self, shard: str) -> None:
        """Forgets the files of a shard that is written."""

    def explain(self, names: Sequence[str], sought: int) -> tuple[str, str]:
        """What is wrong where files are not there, and what to do; see `explain_missing`."""


class ImagesFolder:
    """The files below a folder; see `Source`.

    Args:
        folder: that file names are relative to.
        images: all images.
        wanted: those that may be asked for, whose sizes and times are looked up here.
        threads: how many to look up at the same time.
    """

    def __init__(self, folder: str, images: Sequence[Image], wanted: Positions, threads: int):
        self.place = folder
        self._images = images
        self._sizes_and_times = np.full((len(images), 2), -1, np.int64)
        some = [wanted[at : at + _AT_ONCE] for at in range(0, len(wanted), _AT_ONCE)]
        with concurrent.futures.ThreadPoolExecutor(threads) as readers:
            for positions, found in zip(some, readers.map(self._look, some)):
                self._sizes_and_times[np.asarray(positions)] = found

    def stamp(self, positions: Positions) -> str:
        """A hash of the files' sizes and of when they were last changed."""
        looked = self._sizes_and_times[np.asarray(positions, np.int64)]
        return hashlib.sha256(looked.astype("<i8").tobytes()).hexdigest()[:32]

    def fetch(self, shards: Mapping[str, Positions]) -> list[int]:
        """Only says which files are not there."""
        return [
            position
            for positions in shards.values()
            for position in positions
            if self._sizes_and_times[position, 0] < 0
        ]

    def open(self, position: int) -> Jpeg:
        """Reads a file; see `open_jpeg`."""
        return open_jpeg(self.place, self._images[position])

    def release(self, shard: str) -> None:
        """Nothing: the files stay."""

    def explain(self, names: Sequence[str], sought: int) -> tuple[str, str]:
        """Whether files of almost the same name are there."""
        return explain_missing(self.place, names, sought)

    def _look(self, positions: Positions) -> list[tuple[int, int]]:
        looked = []
        for position in positions:
            path = self._images[position].path_in(self.place)
            try:
                found = os.stat(path)
            except OSError:
                looked.append((-1, -1))
                continue
            is_file = stat.S_ISREG(found.st_mode)
            looked.append((found.st_size, found.st_mtime_ns) if is_file else (-1, -1))
        return looked
