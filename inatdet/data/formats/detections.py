"""Reads detections, whatever kind of file they are in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from inatdet.data.annotations import Image
from inatdet.data.detections import Detections
from inatdet.data.formats.coco import read_coco_detections
from inatdet.data.formats.names import ImagesByName
from inatdet.data.formats.parquet import MAGIC, DetectionsWriter, read_parquet_detections
from inatdet.data.formats.text import files_in
from inatdet.data.formats.voc import Corners, is_voc_detections, read_voc_detections
from inatdet.data.formats.yolo import SUFFIX, read_yolo_detections
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError, cannot_read

__all__ = ["DetectionsWriter", "read_detections"]


def read_detections(
    path: str | os.PathLike[str],
    granularity: Granularity | None,
    taxonomy: Taxonomy,
    images: Iterable[Image] = (),
    *,
    names: Sequence[str] | None = None,
    corners: Corners = Corners.INCLUSIVE,
) -> Detections:
    """Reads and checks detections of whatever kind.

    Args:
        path: one of
            a Parquet file of `DetectionsWriter`;
            a JSON file of COCO or LVIS results, in which `category_id` is the dataset's category
            id for species, and the label of `taxonomy` for the coarser granularities;
            a folder of YOLO's .txt files, one per image, with confidences;
            a folder of the VOC devkit's results files, one per class.
        granularity: of the model's labels. It may be None for Parquet, whose metadata contain it.
        taxonomy: the label spaces to express the labels in.
        images: the annotations' images; folders need their names and sizes.
        names: the names of a YOLO model's classes 0, 1, ...; by default class i is label i + 1.
        corners: what the corners in VOC's files mean.

    Returns:
        The detections, in the order of the file, or of the files' names.

    Raises:
        InputError: the file is missing, empty, truncated or of another format; its labels do not
            fit, or its granularity is unknown; or a score or box is not finite.
    """
    path = os.fspath(path)
    is_folder = os.path.isdir(path)
    start = b"" if is_folder else _first_bytes(path)
    if start == MAGIC:
        return read_parquet_detections(path, granularity, taxonomy)
    if granularity is None:
        raise InputError(
            f"{path}: only Parquet files of detections contain their granularity; give it: "
            f"{', '.join(Granularity)}"
        )
    if not is_folder:
        if path.lower().endswith(SUFFIX):
            raise InputError(
                f"{path}: is one text file of several; give the folder of YOLO's or VOC's results"
            )
        return read_coco_detections(path, granularity, taxonomy)
    files = files_in(path, SUFFIX)
    if not files:
        inside = os.path.join(path, "labels")
        what = f"perhaps it is {inside}" if os.path.isdir(inside) else "give the right folder"
        raise InputError(f"{path}: has no .txt files of YOLO or of VOC's devkit; {what}")
    by_name = ImagesByName(images)
    if all(map(is_voc_detections, files)):
        return read_voc_detections(path, granularity, taxonomy, by_name, corners=corners)
    return read_yolo_detections(path, granularity, taxonomy, by_name, names=names)


def _first_bytes(path: str) -> bytes:
    """As many bytes of a file as tell Parquet from others.

    Raises:
        InputError: it cannot be read or is empty.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(len(MAGIC))
    except OSError as error:
        raise cannot_read(path, error) from error
    if not start:
        raise InputError(f"{path}: is empty; write the detections again")
    return start
