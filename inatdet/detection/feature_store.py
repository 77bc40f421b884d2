"""Feature maps on disk, in parts that are whole or absent, read where they lie.

A part has the maps of some images, one of each view: an array of all their cells, and a list that
says whose they are. The list is written last, so a part without it does not count.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from inatdet.errors import InputError
from inatdet.files import atomic_path, write_text

IMAGES_PER_PART = 64
"""What is lost of the work at most when a process, or its machine, dies."""

_BLOCK = 1 << 24  # values whose checksum is computed at a time


def images_of(part: int, images: int) -> range:
    """The numbers of the images in a part.

    Args:
        part: its number.
        images: how many there are in all.
    """
    first = part * IMAGES_PER_PART
    return range(first, min(first + IMAGES_PER_PART, images))


class FeatureStore:
    """The feature maps of numbered images, each under a key, in several views.

    Args:
        folder: where they are.
        views: how many of each image.
    """

    def __init__(self, folder: str, views: int):
        self._folder, self._views = folder, views

    def missing(self, images: int, advance: Callable[[int], object]) -> list[int]:
        """The numbers of the parts that are not there, or not as they were written.

        Args:
            images: how many there are.
            advance: called with the number of images in each part that was looked at.
        """
        missing = []
        for part in range(-(-images // IMAGES_PER_PART)):
            if not self._is_whole(part):
                missing.append(part)
            advance(len(images_of(part, images)))
        return missing

    def write(self, part: int, keys: Sequence[int], maps: Sequence[np.ndarray]) -> None:
        """Writes a part.

        Args:
            part: its number.
            keys: of its images, 64 bits each.
            maps: of each image, uint16 `[views, rows, columns, channels]`.

        Raises:
            OSError: it cannot be written.
        """
        shapes = [one.shape[1:3] for one in maps]
        cells = np.concatenate([one.reshape(-1, one.shape[-1]) for one in maps])
        with atomic_path(self._maps_of(part)) as temporary, open(temporary, "wb") as file:
            np.save(file, cells)
            file.flush()
            os.fsync(file.fileno())
        content = {
            "keys": [int(key) for key in keys],
            "shapes": shapes,
            "crc32": _checksum(cells),
        }
        write_text(self._list_of(part), json.dumps(content) + "\n")

    def open(self, images: int) -> FeatureReader:
        """All maps, for reading.

        Args:
            images: how many there are; their parts are whole.
        """
        parts = range(-(-images // IMAGES_PER_PART))
        lists = [_read_list(self._list_of(part)) for part in parts]
        return FeatureReader([self._cells(part) for part in parts], lists, self._views)

    def _is_whole(self, part: int) -> bool:
        try:
            content, cells = _read_list(self._list_of(part)), self._cells(part)
            expected = self._views * sum(rows * columns for rows, columns in content["shapes"])
            return (
                len(content["keys"]) == len(content["shapes"])
                and len(cells) == expected
                and _checksum(cells) == content["crc32"]
            )
        except (OSError, ValueError, TypeError, KeyError, EOFError):
            return False

    def _cells(self, part: int) -> np.ndarray:
        """All cells of a part, uint16 `[cells, channels]`, mapped into memory."""
        return np.load(self._maps_of(part), mmap_mode="r", allow_pickle=False)

    def _maps_of(self, part: int) -> str:
        return os.path.join(self._folder, f"{part:06d}.npy")

    def _list_of(self, part: int) -> str:
        return os.path.join(self._folder, f"{part:06d}.json")


class FeatureReader:
    """Feature maps by key.

    Args:
        cells: of each part, uint16 `[cells, channels]`.
        lists: of each part, whose they are.
        views: how many of each image.
    """

    def __init__(self, cells: Sequence[np.ndarray], lists: Sequence[dict], views: int):
        self._cells, self._views = cells, views
        keys = [np.array(content["keys"], np.int64) for content in lists]
        shapes = [np.array(content["shapes"], np.int64).reshape(-1, 2) for content in lists]
        sizes = [views * one.prod(axis=1) for one in shapes]
        part = np.repeat(np.arange(len(keys)), [len(one) for one in keys])
        first = [np.cumsum(size) - size for size in sizes]
        self._keys, at = np.unique(np.concatenate(keys), return_index=True)
        self._part = part[at]
        self._shape = np.concatenate(shapes)[at]
        self._first = np.concatenate(first)[at]

    def batch(self, keys: np.ndarray, views: np.ndarray) -> np.ndarray:
        """The maps of some images.

        Args:
            keys: int64 `[n]`.
            views: which one of each, `[n]`.

        Returns:
            uint16 `[n, rows, columns, channels]`, those of smaller images filled with zeros at the
            bottom and on the right.

        Raises:
            InputError: there is none for a key.
        """
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        if (self._keys[at] != keys).any():
            raise InputError("the cached features are of other images than these records hold")
        rows, columns = self._shape[at].max(axis=0)
        found = np.zeros((len(keys), rows, columns, self._cells[0].shape[-1]), np.uint16)
        for number, (place, view) in enumerate(zip(at, views)):
            h, w = self._shape[place]
            first = self._first[place] + int(view) * h * w
            cells = self._cells[self._part[place]][first : first + h * w]
            found[number, :h, :w] = cells.reshape(h, w, -1)
        return found


def _read_list(path: str) -> dict:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def _checksum(cells: np.ndarray) -> int:
    checksum, flat = 0, cells.reshape(-1)
    for first in range(0, flat.size, _BLOCK):
        checksum = zlib.crc32(np.ascontiguousarray(flat[first : first + _BLOCK]).data, checksum)
    return checksum
