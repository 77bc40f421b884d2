"""The images of a constructed dataset as a list of photographs to get, and what became of it.

A file may have any keys; all of them, and all fields of an image, are kept as they are.
"""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from inatdet.data.entries import file_name_fault, is_id, short
from inatdet.errors import InputError, cannot_read
from inatdet.files import atomic_path, open_regular

JPEG_SUFFIXES = (".jpg", ".jpeg")
SUFFIXES = (*JPEG_SUFFIXES, ".png", ".gif", ".webp")
"""How the names of photographs end, in lower case."""

_NAMED = 3
_AT_ONCE = 10_000


class Photograph(msgspec.Struct, frozen=True):
    """One entry of the list of images.

    Attributes:
        id: of the photograph, where it comes from.
        file_name: relative to the folder of the images.
        license: an id in the file's list of licenses; None if it is not stated.
        rights_holder: who is to be named; None if it is not stated.
    """

    id: int
    file_name: str
    license: Any = None
    rights_holder: Any = None


class License(msgspec.Struct, frozen=True):
    """One entry of the list of licenses."""

    id: Any = None
    name: Any = None
    url: Any = None


class PhotographList:
    """A file of images, read.

    Attributes:
        path: the file.
        photographs: its images, in their order.
        licenses: by id.
        names: for each image, the name that its JPEG has: `file_name`, with `.jpg` if that ends in
            another format.
    """

    def __init__(self, path: str | os.PathLike[str]):
        """Reads a file.

        Raises:
            InputError: it is not JSON with a list of images, or images have no usable id or file
                name, or not one of their own.
        """
        self.path = os.fspath(path)
        try:
            with open_regular(self.path) as file:
                data = file.read()
            self._values = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
            if "images" not in self._values:
                raise msgspec.ValidationError("it has no list of images")
            self._entries = msgspec.json.decode(self._values["images"], type=list[msgspec.Raw])
            self.photographs = msgspec.json.decode(self._values["images"], type=list[Photograph])
            listed = msgspec.json.decode(self._values.get("licenses", b"[]"), type=list[License])
        except OSError as error:
            raise cannot_read(self.path, error) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(
                f"{self.path}: is not JSON with photographs ({error}); give a file of "
                "`inatdet construct`"
            ) from error
        self.licenses = {short(entry.id): entry for entry in listed}
        self._check()
        self.names = self._jpeg_names()

    def license_of(self, photograph: Photograph) -> License:
        """The license of a photograph; one without a name if the file does not say."""
        return self.licenses.get(short(photograph.license), License())

    def write(
        self,
        path: str | os.PathLike[str],
        sizes: Mapping[int, tuple[int, int]],
        advance: Callable[[int], object] = lambda count: None,
    ) -> None:
        """Writes the file again, with the images that are there, and annotations of them alone.

        Args:
            path: the new file.
            sizes: width and height of the photographs that are there, by id.
            advance: called with the number of images that were written since the last call.
        """
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            file.write(b"{")
            for number, (key, value) in enumerate(self._values.items()):
                file.write(b",\n" if number else b"")
                file.write(msgspec.json.encode(key) + b": ")
                if key == "images":
                    self._write_images(file.write, sizes, advance)
                elif key == "annotations" and len(sizes) < len(self.photographs):
                    file.write(_of_images(value, sizes))
                else:
                    file.write(bytes(value))
            file.write(b"}\n")

    def _write_images(
        self,
        write: Callable[[bytes], object],
        sizes: Mapping[int, tuple[int, int]],
        advance: Callable[[int], object],
    ) -> None:
        write(b"[")
        comma = b"\n"
        for photograph, name, raw in zip(self.photographs, self.names, self._entries):
            if photograph.id in sizes:
                entry = msgspec.json.decode(raw)
                entry["file_name"] = name
                entry["width"], entry["height"] = sizes[photograph.id]
                write(comma + msgspec.json.encode(entry))
                comma = b",\n"
            advance(1)
        write(b"\n]")

    def _check(self) -> None:
        faults: dict[str, list[str]] = {}
        ids = Counter(photograph.id for photograph in self.photographs)
        names = Counter(photograph.file_name for photograph in self.photographs)
        for photograph in self.photographs:
            for fault in _faults(photograph, ids, names):
                faults.setdefault(fault, []).append(
                    f"{photograph.id} {short(photograph.file_name)}"
                )
        if faults:
            kinds = "; ".join(
                f"{len(found):,} {fault}, such as image {', '.join(found[:_NAMED])}"
                for fault, found in faults.items()
            )
            raise InputError(
                f"{self.path}: images cannot be taken for photographs: {kinds}; give a file of "
                "`inatdet construct`"
            )

    def _jpeg_names(self) -> list[str]:
        taken = {photograph.file_name for photograph in self.photographs}
        names = []
        for photograph in self.photographs:
            name = photograph.file_name
            stem, suffix = posixpath.splitext(name)
            if suffix.lower() not in JPEG_SUFFIXES:
                name = f"{stem}.jpg" if f"{stem}.jpg" not in taken else f"{name}.jpg"
                taken.add(name)
            names.append(name)
        return names


def _faults(photograph: Photograph, ids: Counter[int], names: Counter[str]) -> list[str]:
    faults = []
    if not is_id(photograph.id) or photograph.id < 0:
        faults.append("have an id that no photograph has")
    elif ids[photograph.id] > 1:
        faults.append("have the id of another")
    suffix = posixpath.splitext(photograph.file_name)[1]
    if fault := file_name_fault(photograph.file_name):
        faults.append(f"have a file_name that {fault.partition(':')[0]}")
    elif suffix.lower() not in SUFFIXES:
        faults.append(f"have a file_name that ends in none of {', '.join(SUFFIXES)}")
    elif names[photograph.file_name] > 1:
        faults.append("have the file_name of another")
    return faults


class _OfImage(msgspec.Struct):
    image_id: Any = None


def _of_images(annotations: msgspec.Raw, ids: Collection[int]) -> bytes:
    """The entries of a list of annotations that are about some images."""
    entries: Sequence[msgspec.Raw] = msgspec.json.decode(annotations, type=list[msgspec.Raw])
    kept = (
        bytes(entry)
        for entry in entries
        if msgspec.json.decode(entry, type=_OfImage).image_id in ids
    )
    return b"[\n" + b",\n".join(kept) + b"\n]"
