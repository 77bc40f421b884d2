"""Detections in YOLO's text files, as `save_txt=True save_conf=True` makes them write."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from inatdet.data.formats import yolo
from inatdet.data.formats.names import ImagesByName
from inatdet.data.formats.text import files_in, iterate_lines
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.evaluation.detections import Detections, NamedClasses, check_columns, check_count

FIELDS = f"{yolo.FIELDS} confidence"


def read_yolo_results(
    path: str,
    granularity: Granularity,
    taxonomy: Taxonomy,
    images: ImagesByName,
    names: Sequence[str] | None = None,
) -> Detections:
    """Reads a folder of text files.

    Args:
        path: the folder; a file has the name of its image, and an image without detections none.
        granularity: of the model's labels.
        taxonomy: the label spaces.
        images: the annotations' images, whose sizes the fractions are of.
        names: the names of class 0, 1, ...; by default class i is label i + 1 of the taxonomy.

    Raises:
        InputError: a file is no such text, its image or a class is unknown.
    """
    classes = NamedClasses(names or taxonomy.names(granularity), granularity, taxonomy)
    ids = [np.zeros(0, np.int64)]
    numbers = [np.zeros((0, 6))]
    count = 0
    files = files_in(path, yolo.SUFFIX)
    for name in tqdm(files, unit="file", delay=2, disable=None):
        file = os.path.join(path, name)
        image = images.find(os.path.splitext(name)[0], file)
        for lines in iterate_lines(file):
            if not len(lines):
                continue
            lines.check_fields(FIELDS)
            values = lines.floats()
            boxes = yolo.boxes_of(lines, values, image.width, image.height)
            for row in np.flatnonzero(values[:, 0] >= len(classes)).tolist():
                raise lines.fault(
                    row,
                    f"has the class {values[row, 0]:g}, where classes go from 0 to "
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
