"""MegaDetector's JSON: one object with detections by file name, as camera-trap programs write them.

Boxes are `x, y, width, height` as fractions of the image. `detection_categories` names the
categories, by default animal, person and vehicle; only animals are then read, as generic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from inatdet.data.detections import Detections, check_columns, check_count
from inatdet.data.formats.json_stream import iterate_beginnings, iterate_lists
from inatdet.data.formats.names import ImagesByName
from inatdet.data.granularity import Granularity
from inatdet.data.labels import NamedClasses
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

_ANIMAL = "animal"
_CATEGORIES = {"1": _ANIMAL, "2": "person", "3": "vehicle"}
# A center of 2 is a coordinate in pixels.
_MOST_OF_IMAGE = 2.0


class _Found(msgspec.Struct):
    category: str
    conf: float
    bbox: tuple[float, float, float, float]


class _Pictured(msgspec.Struct):
    file: str
    detections: list[_Found] | None = None  # not where the file could not be read


def read_megadetector_detections(
    path: str, granularity: Granularity, taxonomy: Taxonomy, images: ImagesByName
) -> Detections:
    """Reads MegaDetector's output, or that of a program that names its own categories in it.

    Args:
        path: the file.
        granularity: of the categories' names. For generic, only animals are read if the file tells
            them from others.
        taxonomy: the label spaces.
        images: the annotations' images; the fractions are of their sizes.

    Raises:
        InputError: the file is not such JSON, an image is unknown, or the categories have other
            names than the granularity's labels.
    """
    names = _category_names(path)
    if granularity is not Granularity.GENERIC and _ANIMAL in names.values():
        raise InputError(
            f"{path}: tells animals from people and vehicles and knows no {granularity}; give it "
            f"as --detections={Granularity.GENERIC}={path}"
        )
    position = {key: number for number, key in enumerate(names)}
    ids: list[int] = []
    classes: list[int] = []
    scores: list[float] = []
    boxes: list[np.ndarray] = []
    for number, pictured in enumerate(_pictured(path), 1):
        if not pictured.detections:
            continue
        image = images.find(pictured.file, f"{path}, image {number}")
        check_count(path, len(ids) + len(pictured.detections))
        for found in pictured.detections:
            if found.category not in position:
                raise InputError(
                    f"{path}: image {number} has the category {found.category[:40]!r}, which is "
                    "not in detection_categories; add it there"
                )
            if max(map(abs, found.bbox)) > _MOST_OF_IMAGE:
                raise InputError(
                    f"{path}: image {number} has the box {list(found.bbox)}, which is not made of "
                    "fractions of the image; divide by its width and height"
                )
            ids.append(image.id)
            classes.append(position[found.category])
            scores.append(found.conf)
            width, height = image.width, image.height
            boxes.append(np.array(found.bbox) * [width, height, width, height])
    columns = (
        np.array(ids, np.int64),
        np.array(scores, np.float64),
        np.array(boxes, np.float64).reshape(-1, 4),
    )
    check_columns(path, *columns)
    own = np.array(classes, np.int64)
    labels = NamedClasses(list(names.values()), granularity, taxonomy).labels(path, own)
    detections = Detections(path, granularity, columns[0], labels, *columns[1:])
    if _ANIMAL not in names.values():
        return detections
    animals = own == list(names.values()).index(_ANIMAL)
    return detections.select(animals)


def _category_names(path: str) -> dict[str, str]:
    """The names by key."""
    for key, value in iterate_beginnings(path):
        if key == "detection_categories":
            try:
                return msgspec.convert(value, dict[str, str])
            except msgspec.ValidationError as error:
                raise InputError(
                    f'{path}: its detection_categories are not {{"1": "animal", ...}}; write them '
                    "like this"
                ) from error
    return _CATEGORIES


def _pictured(path: str) -> Iterator[_Pictured]:
    for number, (_, entry) in enumerate(iterate_lists(path, ("images",)), 1):
        try:
            yield msgspec.convert(_plain(entry), _Pictured, strict=False)
        except msgspec.ValidationError as error:
            raise InputError(
                f"{path}: image {number} is malformed ({error}); each needs file and detections, "
                "and these category, conf and bbox"
            ) from error


def _plain(entry: Any) -> Any:
    """An entry with its file name as the annotations have it: forward slashes."""
    if isinstance(entry, Mapping) and isinstance(entry.get("file"), str):
        return {**entry, "file": entry["file"].replace("\\", "/")}
    return entry
