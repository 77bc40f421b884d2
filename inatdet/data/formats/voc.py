"""Pascal VOC's annotations: one XML file an image, one `object` element a box.

The devkit's boxes are inclusive corners counted from 1: the pixel at the top left corner alone is
`xmin=1, ymin=1, xmax=1, ymax=1`. Many programs write corners of other kinds into the same XML.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from inatdet.choices import Choice
from inatdet.data.annotations import Annotations
from inatdet.data.checking import OnBad, collect
from inatdet.data.detections import Detections, NamedClasses, check_columns, check_count
from inatdet.data.formats.names import ImagesByName, with_super_category
from inatdet.data.formats.text import files_below, files_in, iterate_lines
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError, cannot_read

CORNERS = ("xmin", "ymin", "xmax", "ymax")
FIELDS = f"image score {' '.join(CORNERS)}"

# comp3_det_val_Corvus corax.txt; the set's name has no underscore, the class' may.
_NAME = re.compile(r".+?_det_[^_]+_(?P<name>.+)\.txt", re.DOTALL | re.IGNORECASE)


SUFFIX = ".xml"
RESULTS_SUFFIX = ".txt"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
_LONGEST = 16 << 20  # bytes; twenty thousand boxes in one image


class Corners(Choice):
    """What `xmin, ymin, xmax, ymax` are.

    `INCLUSIVE`: the first and last pixel inside, counted from 1, as in VOC and its devkit.
    `EDGES`: the edges' distances from the top left corner of the image, as CVAT and others write.
    """

    INCLUSIVE = "inclusive"
    EDGES = "edges"

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
            raise cannot_read(path, error) from error
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


def is_voc_results(name: str) -> bool:
    """Whether a file is called as the devkit calls its results."""
    return _NAME.fullmatch(name) is not None


def read_voc_results(
    path: str,
    granularity: Granularity,
    taxonomy: Taxonomy,
    images: ImagesByName,
    corners: Corners = Corners.INCLUSIVE,
) -> Detections:
    """Reads a folder of results files.

    Args:
        path: the folder; a class without detections may have an empty file or none.
        granularity: of the model's labels.
        taxonomy: the label spaces.
        images: the annotations' images.
        corners: what the corners are.

    Raises:
        InputError: a file is no such text, an image or a class is unknown, or a box ends before it
            begins.
    """
    files: dict[str, str] = {}
    for file in files_in(path, RESULTS_SUFFIX):
        name = _NAME.fullmatch(file)["name"]
        if name in files:
            raise InputError(
                f"{path}: has two files of {name[:80]!r}, {files[name]} and {file}; give a folder "
                "with the results of one model on one set"
            )
        files[name] = file
    classes = NamedClasses(list(files), granularity, taxonomy)
    ids, own = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    numbers = [np.zeros((0, 5))]
    count = 0
    for position, name in enumerate(tqdm(files.values(), unit="file", delay=2, disable=None)):
        file = os.path.join(path, name)
        for lines in iterate_lines(file):
            if not len(lines):
                continue
            lines.check_fields(FIELDS)
            values = lines.floats(first=1)
            boxes = corners.boxes(values[:, 1:])
            for row in np.flatnonzero((boxes[:, 2:] < 0).any(axis=1)).tolist():
                raise lines.fault(row, f"has the corners {values[row, 1:].tolist()}, back to front")
            ids.append(_image_ids(lines.fields, images, file))
            own.append(np.full(len(lines), position))
            numbers.append(np.column_stack([values[:, 0], boxes]))
            count += len(lines)
            check_count(path, count)
    found = np.concatenate(numbers)
    image_ids, scores, boxes = np.concatenate(ids), found[:, 0].copy(), found[:, 1:].copy()
    check_columns(path, image_ids, scores, boxes)
    labels = classes.labels(path, np.concatenate(own))
    return Detections(path, granularity, image_ids, labels, scores, boxes)


def _image_ids(fields: Sequence[Sequence[bytes]], images: ImagesByName, file: str) -> np.ndarray:
    """The image of each line; lines of one image mostly follow one another."""
    ids, last, image_id = [], None, 0
    for row in fields:
        if row[0] != last:
            last = row[0]
            image_id = images.find(last.decode("utf-8", "backslashreplace"), file).id
        ids.append(image_id)
    return np.array(ids, np.int64)
