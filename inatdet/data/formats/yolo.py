"""YOLO's text files: one per image, one line per box, `class x_center y_center width height`.

All fields but the class are fractions of the image's width and height. Detections have a sixth
field, the confidence (written with `save_txt=True save_conf=True`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from inatdet.data.annotations import Annotations
from inatdet.data.checking import OnBad, collect
from inatdet.data.detections import Detections, check_columns, check_count
from inatdet.data.formats.image_sizes import size_of
from inatdet.data.formats.names import ImagesByName, with_super_category
from inatdet.data.formats.text import Lines, files_below, files_in, is_aside, iterate_lines
from inatdet.data.granularity import Granularity
from inatdet.data.labels import NamedClasses
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

SUFFIX = ".txt"
"""Of files of annotations and of detections."""

_FIELDS = "class x_center y_center width height"
_DETECTION_FIELDS = f"{_FIELDS} confidence"
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_NAMES_FILE = "classes.txt"  # the list of names, which some programs put beside the labels
# A box may extend beyond the image a little, but a center of 2 is a coordinate in pixels.
_MOST_OF_IMAGE = 2.0


def read_yolo_annotations(
    folder: str | os.PathLike[str],
    *,
    images_dir: str | os.PathLike[str],
    names: Sequence[str],
    super_categories: Mapping[str, str] | None,
    on_bad: OnBad = OnBad.ERROR,
) -> Annotations:
    """Reads a folder of label files.

    Args:
        folder: contains `a/1.txt` for the image `a/1.jpg`; an image without a file has no box.
        images_dir: the folder of the images, whose sizes the label files do not contain.
        names: of class 0, 1, ..., which become the categories with these ids.
        super_categories: the super-class by category name.
        on_bad: what to do about bad boxes.

    Returns:
        The annotations; images and boxes are numbered from 1.

    Raises:
        InputError: a file is invalid, or belongs to no image.
    """
    folder, images_dir = os.fspath(folder), os.fspath(images_dir)
    labels = set(files_below(folder, (SUFFIX,)))
    images = files_below(images_dir, _IMAGE_SUFFIXES)
    if not images:
        raise InputError(f"{images_dir}: contains no images; give the folder that they are in")
    places: list[str] = []

    def entries() -> Iterator[tuple[str, Any]]:
        for number, name in enumerate(names):
            yield (
                "categories",
                {"id": number, **with_super_category(name, super_categories, folder)},
            )
        for image_id, image in enumerate(tqdm(images, unit="image", delay=2, disable=None), 1):
            width, height = size_of(os.path.join(images_dir, image))
            yield (
                "images",
                {"id": image_id, "file_name": image, "width": width, "height": height},
            )
            label = os.path.splitext(image)[0] + SUFFIX
            if label not in labels:
                continue
            labels.remove(label)
            for lines in iterate_lines(os.path.join(folder, label)):
                if not len(lines):
                    continue
                lines.check_fields(_FIELDS)
                values = lines.floats()
                boxes = _pixel_boxes(lines, values, width, height)
                for row, box in enumerate(boxes.tolist()):
                    places.append(f"{label}, line {lines.numbers[row]},")
                    yield (
                        "annotations",
                        {
                            "id": len(places),
                            "image_id": image_id,
                            "category_id": int(values[row, 0]),
                            "bbox": box,
                        },
                    )

    annotations = collect(
        folder,
        entries(),
        on_bad,
        name_box=lambda number: places[number - 1],
        files_needed=True,
    )
    labels.discard(_NAMES_FILE)
    if labels:
        raise InputError(
            f"{folder}: {min(labels)} belongs to no image in {images_dir}; {len(labels)} files "
            "are like this: give the folder of images with the same structure"
        )
    return annotations


def read_yolo_detections(
    path: str,
    granularity: Granularity,
    taxonomy: Taxonomy,
    images: ImagesByName,
    *,
    names: Sequence[str] | None = None,
) -> Detections:
    """Reads a folder of text files with confidences.

    Args:
        path: the folder; a file has the name of its image, and an image without detections has no
            file.
        granularity: of the model's labels.
        taxonomy: the label spaces.
        images: the annotations' images; the fractions are of their sizes.
        names: the names of class 0, 1, ...; by default class i is label i + 1 of the taxonomy.

    Raises:
        InputError: a file is not such text, or its image or a class is unknown.
    """
    classes = NamedClasses(names or taxonomy.names(granularity), granularity, taxonomy)
    whose = "the classes of --names" if names else "classes with a true box"
    ids = [np.zeros(0, np.int64)]
    numbers = [np.zeros((0, 6))]
    count = 0
    for name in tqdm(files_in(path, SUFFIX), unit="file", delay=2, disable=None):
        file, stem = os.path.join(path, name), os.path.splitext(name)[0]
        if is_aside(name) and stem not in images:
            continue
        image = images.find(stem, file)
        for lines in iterate_lines(file):
            if not len(lines):
                continue
            _check_detection_fields(lines)
            values = lines.floats()
            boxes = _pixel_boxes(lines, values, image.width, image.height)
            for row in np.flatnonzero(values[:, 0] >= len(classes)).tolist():
                raise lines.fault(
                    row,
                    f"has the class {values[row, 0]:g}, but {whose} go from 0 to "
                    f"{len(classes) - 1}; give the model's own with --names=data.yaml",
                )
            ids.append(np.full(len(lines), image.id, np.int64))
            numbers.append(np.column_stack([values[:, 0], boxes, values[:, 5]]))
            count += len(lines)
            check_count(path, count)
    found = np.concatenate(numbers)
    image_ids, scores, boxes = np.concatenate(ids), found[:, 5].copy(), found[:, 1:5].copy()
    check_columns(path, image_ids, scores, boxes)
    labels = classes.labels(path, found[:, 0].astype(np.int64))
    return Detections(path, granularity, image_ids, labels, scores, boxes)


def _check_detection_fields(lines: Lines) -> None:
    """Raises `InputError` unless every line has a box and a confidence."""
    expected = len(_DETECTION_FIELDS.split())
    for row, fields in enumerate(lines.fields):
        if len(fields) == expected:
            continue
        what = f"has {len(fields)} fields"
        if len(fields) == expected - 1:
            what += ", so no confidence; detect again with save_conf=True"
        elif len(fields) > expected:
            what += ", as polygons and key points have; detect boxes, with a model for them"
        raise lines.fault(row, f"{what}; each line must have these {expected}: {_DETECTION_FIELDS}")


def _pixel_boxes(lines: Lines, values: np.ndarray, width: int, height: int) -> np.ndarray:
    """Converts fractions of an image to boxes in pixels.

    Args:
        lines: where the values come from.
        values: float64 `[lines, fields]`, first the class and the four fractions.
        width: of the image, in pixels.
        height: of the image, in pixels.

    Returns:
        float64 `[lines, 4]`, `x, y, width, height`.

    Raises:
        InputError: a class is not a whole number, or a box is not made of fractions.
    """
    classes, boxes = values[:, 0], values[:, 1:5]
    for row in np.flatnonzero((classes != np.floor(classes)) | (classes < 0)).tolist():
        raise lines.fault(row, f"has the class {classes[row]:g}, which is not 0, 1, ...")
    wrong = (np.abs(boxes) > _MOST_OF_IMAGE).any(axis=1) | (boxes[:, 2:] < 0).any(axis=1)
    for row in np.flatnonzero(wrong).tolist():
        raise lines.fault(
            row,
            f"has the box {boxes[row].tolist()}, which is not made of fractions of the image; "
            "divide by its width and height",
        )
    corner = boxes[:, :2] - boxes[:, 2:] / 2
    return np.concatenate([corner, boxes[:, 2:]], axis=1) * [width, height, width, height]
