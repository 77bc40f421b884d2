"""Pascal VOC's annotations: one XML file an image, one `object` element a box.

The devkit's boxes are inclusive corners counted from 1: the pixel at the top left corner alone is
`xmin=1, ymin=1, xmax=1, ymax=1`. Many programs write corners of other kinds into the same XML.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from inatdet.data.annotations import Annotations, OnBad, collect
from inatdet.data.formats.names import with_super_category
from inatdet.data.formats.text import files_below
from inatdet.errors import InputError

SUFFIX = ".xml"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
_LONGEST = 16 << 20  # bytes; twenty thousand boxes in one image


class Corners(str, enum.Enum):
    """What `xmin, ymin, xmax, ymax` are.

    `INCLUSIVE`: the first and last pixel inside, counted from 1, as in VOC and its devkit.
    `EDGES`: the edges' distances from the top left corner of the image, as CVAT and others write.
    """

    INCLUSIVE = "inclusive"
    EDGES = "edges"

    def __str__(self) -> str:
        return self.value

    def boxes(self, corners: np.ndarray) -> np.ndarray:
        """Corners `[n, 4]` as `x, y, width, height` in pixels, float64 `[n, 4]`."""
        low, high = corners[:, :2], corners[:, 2:]
        if self is Corners.INCLUSIVE:
            low = low - 1
        return np.concatenate([low, high - low], axis=1)


def read_voc_annotations(
    folder: str | os.PathLike[str],
    super_categories: Mapping[str, str] | None,
    names: Sequence[str] | None = None,
    corners: Corners = Corners.INCLUSIVE,
    on_bad: OnBad = OnBad.ERROR,
) -> Annotations:
    """Reads a folder of XML files.

    An object that is marked as difficult becomes a crowd: like in VOC's protocol, finding it counts
    neither for nor against a detector.

    Args:
        folder: holds the XML files, perhaps in folders, which are put before the file names.
        super_categories: the super-class of each name.
        names: the categories in the order of their ids 0, 1, ...; by default all names that occur,
            by the alphabet.
        corners: what the boxes' corners are.
        on_bad: what to do with bad boxes.

    Returns:
        The annotations; images and boxes are numbered from 1.

    Raises:
        InputError: a file is damaged, or an element is missing or wrong.
    """
    folder = os.fspath(folder)
    places: list[str] = []

    ids = {name: number for number, name in enumerate(names or ())}

    def records() -> Iterator[tuple[str, Any]]:
        files = files_below(folder, (SUFFIX,))
        for image_id, name in enumerate(tqdm(files, unit="file", delay=2, disable=None), 1):
            element = _Element.parse(os.path.join(folder, name))
            size = element.child("size")
            inside, slash, _ = name.rpartition("/")
            yield (
                "images",
                {
                    "id": image_id,
                    "file_name": inside + slash + element.child("filename").text(),
                    "width": size.child("width").whole_number(),
                    "height": size.child("height").whole_number(),
                },
            )
            for thing in element.children("object"):
                category = thing.child("name").text()
                if names is not None and category not in ids:
                    raise thing.fault(f"has the name {category[:80]!r}, which is not in the list")
                box = thing.child("bndbox")
                numbers = [[box.child(corner).number() for corner in CORNERS]]
                places.append(f"{thing.where},")
                yield (
                    "annotations",
                    {
                        "id": len(places),
                        "image_id": image_id,
                        "category_id": ids.setdefault(category, len(ids)),
                        "bbox": corners.boxes(np.array(numbers))[0].tolist(),
                        "iscrowd": int(thing.flag("difficult")),
                    },
                )
        for name, number in ids.items():
            category = with_super_category(name, super_categories, folder)
            yield "categories", {"id": number, **category}

    annotations = collect(folder, records(), on_bad, lambda box_id: places[box_id - 1])
    return annotations if names is not None else _by_the_alphabet(annotations)


def _by_the_alphabet(annotations: Annotations) -> Annotations:
    """The same with categories whose ids 0, 1, ... follow the order of their names."""
    order = sorted(annotations.categories, key=lambda category: category.name)
    new_ids = np.zeros(len(order), np.int64)
    new_ids[[category.id for category in order]] = np.arange(len(order))
    return dataclasses.replace(
        annotations,
        categories=tuple(dataclasses.replace(c, id=i) for i, c in enumerate(order)),
        category_ids=new_ids[annotations.category_ids],
    )


class _NoDoctype(ElementTree.TreeBuilder):
    """Entities, which can blow up a small file to gigabytes, are defined in a document type."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        """Is called when one begins."""
        raise InputError("has a document type, which annotations do not need; remove it")


class _Element:
    """An XML element that knows its place in the file."""

    def __init__(self, element: ElementTree.Element, where: str):
        self._element = element
        self.where = where

    @classmethod
    def parse(cls, path: str) -> _Element:
        """The root of a file.

        Raises:
            InputError: the file is no XML, too long, or has a document type.
        """
        try:
            with open(path, "rb") as file:
                data = file.read(_LONGEST + 1)
            if len(data) > _LONGEST:
                raise InputError(f"is longer than {_LONGEST:,} bytes; this is no annotation")
            parser = ElementTree.XMLParser(target=_NoDoctype())  # noqa: S314
            parser.feed(data)
            root = parser.close()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            raise InputError(f"{path}: is not valid XML ({error}); fetch it again") from error
        if root.tag != "annotation":
            raise InputError(f"{path}: is no annotation of VOC (its element is {root.tag[:40]!r})")
        return cls(root, path)

    def fault(self, what: str) -> InputError:
        """An error about this element."""
        return InputError(f"{self.where}: {what}")

    def child(self, tag: str) -> _Element:
        """The one child with a tag."""
        found = self._element.findall(tag)
        if len(found) != 1:
            raise self.fault(f"has {len(found)} elements <{tag}>; there must be one")
        return _Element(found[0], f"{self.where}, <{tag}>")

    def children(self, tag: str) -> Iterator[_Element]:
        """All children with a tag, in order."""
        for number, element in enumerate(self._element.findall(tag), 1):
            yield _Element(element, f"{self.where}, <{tag}> number {number}")

    def text(self) -> str:
        """The text inside."""
        text = (self._element.text or "").strip()
        if not text:
            raise self.fault("is empty")
        return text

    def number(self) -> float:
        """The number inside."""
        text = self.text()
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.fault(f"is {text[:40]!r}, no finite number")
        return value

    def whole_number(self) -> int:
        """The whole number inside."""
        value = self.number()
        if value != int(value):
            raise self.fault(f"is {value:g}, no whole number")
        return int(value)

    def flag(self, tag: str) -> bool:
        """Whether a child with a tag, which may be missing, says 1."""
        return bool(self._element.findall(tag)) and self.child(tag).number() == 1
