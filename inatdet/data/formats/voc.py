"""Pascal VOC's formats: annotations in XML, and the devkit's results in text, that is, detections.

Annotations have one XML file per image and one `object` element per box. Results have one text file
per class and one line per detection: `image score xmin ymin xmax ymax`.

The devkit's boxes are inclusive corners counted from 1: the pixel in the top left corner alone is
`xmin=1, ymin=1, xmax=1, ymax=1`. Many programs write corners of other kinds in the same formats.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from inatdet.choices import Choice
from inatdet.data.annotations import Annotations
from inatdet.data.checking import OnBad, collect
from inatdet.data.detections import Detections, check_columns, check_count
from inatdet.data.entries import folded
from inatdet.data.formats.names import ImagesByName, with_super_category
from inatdet.data.formats.text import files_below, files_in, is_aside, iterate_lines
from inatdet.data.formats.xml_elements import Element
from inatdet.data.granularity import Granularity
from inatdet.data.labels import NamedClasses
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

SUFFIX = ".xml"
"""Of files of annotations."""

RESULTS_SUFFIX = ".txt"
"""Of files of detections."""

CORNERS = ("xmin", "ymin", "xmax", "ymax")
"""The elements of a box in XML, in the order in which results have them too."""

_FIELDS = f"image score {' '.join(CORNERS)}"
# comp3_det_val_Corvus corax.txt; the name of the set has no underscore, that of the class may.
_NAME = re.compile(r".+?_det_[^_]+_(?P<name>.+)\.txt", re.DOTALL | re.IGNORECASE)


class Corners(Choice):
    """What `xmin, ymin, xmax, ymax` mean.

    `INCLUSIVE`: the first and last pixel inside the box, counted from 1, as in VOC and its devkit.
    `EDGES`: the distances of the box's edges from the image's top left corner, as CVAT and others
    write them.
    """

    INCLUSIVE = "inclusive"
    EDGES = "edges"

    def boxes(self, corners: np.ndarray) -> np.ndarray:
        """Boxes `x, y, width, height` in pixels, float64 `[n, 4]`, from corners `[n, 4]`."""
        low, high = corners[:, :2], corners[:, 2:]
        if self is Corners.INCLUSIVE:
            low = low - 1
        return np.concatenate([low, high - low], axis=1)


def read_voc_annotations(
    folder: str | os.PathLike[str],
    *,
    super_categories: Mapping[str, str] | None,
    names: Sequence[str] | None = None,
    corners: Corners = Corners.INCLUSIVE,
    on_bad: OnBad = OnBad.ERROR,
    files_needed: bool = False,
) -> Annotations:
    """Reads a folder of XML files.

    An object marked as difficult becomes a crowd: as in VOC's protocol, finding it counts neither
    for nor against a detector.

    Args:
        folder: contains the XML files, perhaps in subfolders, whose paths then precede the names of
            the image files.
        super_categories: the super-class by category name.
        names: the categories in the order of their ids 0, 1, ...; by default all names that occur,
            in alphabetical order.
        corners: what the corners of boxes mean.
        on_bad: what to do about bad boxes.
        files_needed: whether the image files will be opened; see `collect`.

    Returns:
        The annotations; images and boxes are numbered from 1.

    Raises:
        InputError: a file is damaged, an element is missing or invalid, or corners that should
            count from 1 are below.
    """
    folder = os.fspath(folder)
    places: list[str] = []
    ids = {name: number for number, name in enumerate(names or ())}

    def entries() -> Iterator[tuple[str, Any]]:
        files = files_below(folder, (SUFFIX,))
        for image_id, name in enumerate(tqdm(files, unit="file", delay=2, disable=None), 1):
            element = Element.parse(os.path.join(folder, name), root="annotation")
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
                category = folded(thing.child("name").text())
                if names is not None and category not in ids:
                    raise thing.fault(f"has the name {category[:80]!r}, which is not in the list")
                box = thing.child("bndbox")
                numbers = [[box.child(corner).number() for corner in CORNERS]]
                if corners is Corners.INCLUSIVE and min(numbers[0]) < 1:
                    raise box.fault(
                        f"has the corner {min(numbers[0]):g}, so it does not count pixels from 1; "
                        "give --corners=edges if all corners are distances from the image's edges"
                    )
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
            entry = with_super_category(name, super_categories, folder)
            yield "categories", {"id": number, **entry}

    annotations = collect(
        folder,
        entries(),
        on_bad,
        name_box=lambda number: places[number - 1],
        files_needed=files_needed,
    )
    return annotations if names is not None else _in_alphabetical_order(annotations)


def _in_alphabetical_order(annotations: Annotations) -> Annotations:
    """The same annotations with category ids 0, 1, ... in the order of their names."""
    order = sorted(annotations.categories, key=lambda category: category.name)
    new_ids = np.zeros(1 + max((category.id for category in order), default=0), np.int64)
    new_ids[[category.id for category in order]] = np.arange(len(order))
    return dataclasses.replace(
        annotations,
        categories=tuple(dataclasses.replace(c, id=i) for i, c in enumerate(order)),
        category_ids=new_ids[annotations.category_ids],
    )


def is_voc_detections(name: str) -> bool:
    """Whether a file is named as the devkit names its results."""
    return _NAME.fullmatch(name) is not None


def read_voc_detections(
    path: str,
    granularity: Granularity,
    taxonomy: Taxonomy,
    images: ImagesByName,
    *,
    corners: Corners = Corners.INCLUSIVE,
) -> Detections:
    """Reads a folder of the devkit's results.

    Args:
        path: the folder; a class without detections may have an empty file or none.
        granularity: of the model's labels.
        taxonomy: the label spaces.
        images: the annotations' images.
        corners: what the corners mean.

    Raises:
        InputError: a file is not such text, an image or a class is unknown, or a box ends before
            it begins.
    """
    files: dict[str, str] = {}
    for file in files_in(path, RESULTS_SUFFIX):
        match = _NAME.fullmatch(file)
        if match is None and is_aside(file):
            continue
        if match is None:
            raise InputError(
                f"{path}: {file[:80]!r} is not named as the devkit names its results, such as "
                "comp3_det_val_NAME.txt; remove it"
            )
        name = match["name"]
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
            lines.check_fields(_FIELDS)
            values = lines.floats(first=1)
            boxes = corners.boxes(values[:, 1:])
            for row in np.flatnonzero((boxes[:, 2:] < 0).any(axis=1)).tolist():
                reverse = values[row, 1:].tolist()
                raise lines.fault(
                    row, f"has the corners {reverse}, in reverse; write {' '.join(CORNERS)}"
                )
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
    """The id of each line's image; lines of the same image are mostly adjacent."""
    ids, last, image_id = [], None, 0
    for row in fields:
        if row[0] != last:
            last = row[0]
            image_id = images.find(last.decode("utf-8", "backslashreplace"), file).id
        ids.append(image_id)
    return np.array(ids, np.int64)
