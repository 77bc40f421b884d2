"""Detections in the results files of Pascal VOC's devkit.

One file a class, `comp4_det_test_<class>.txt`; one line a detection, `image score xmin ymin xmax
ymax`, with the image's file name without ending and corners as in `inatdet.data.formats.voc`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from inatdet.data.formats.names import ImagesByName
from inatdet.data.formats.text import files_in, iterate_lines
from inatdet.data.formats.voc import CORNERS, Corners
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation.detections import Detections, NamedClasses, check_columns, check_count

SUFFIX = ".txt"
FIELDS = f"image score {' '.join(CORNERS)}"
# comp3_det_val_Corvus corax.txt; the set's name has no underscore, the class' may.
_NAME = re.compile(r".+?_det_[^_]+_(?P<name>.+)\.txt", re.DOTALL | re.IGNORECASE)


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
    for file in files_in(path, SUFFIX):
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
