"""Detections on the disk, of whichever kind."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from inatdet.data.annotations import Image
from inatdet.data.detections import Detections
from inatdet.data.formats.coco import read_coco_results, write_coco_json
from inatdet.data.formats.names import ImagesByName
from inatdet.data.formats.parquet import MAGIC, DetectionsWriter, read_parquet
from inatdet.data.formats.text import files_in
from inatdet.data.formats.voc import Corners, is_voc_results, read_voc_results
from inatdet.data.formats.yolo import SUFFIX, read_yolo_results
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError, cannot_read

__all__ = ["DetectionsWriter", "read_detections", "write_coco_json"]


def read_detections(
    path: str | os.PathLike[str],
    granularity: Granularity,
    taxonomy: Taxonomy,
    images: Iterable[Image] = (),
    names: Sequence[str] | None = None,
    corners: Corners = Corners.INCLUSIVE,
) -> Detections:
    """Reads and checks detections, of the kind that they turn out to be.

    Args:
        path: one of
            a Parquet file of `DetectionsWriter`;
            a JSON file of COCO or LVIS results, in which `category_id` is the dataset's category
            id for species, and the label of `taxonomy` for the coarser granularities;
            a folder of YOLO's .txt files, one an image, with confidences;
            a folder of the VOC devkit's results files, one a class.
        granularity: of the model's labels.
        taxonomy: the label spaces to express the labels in.
        images: the annotations' images; folders need their names and sizes.
        names: the names of a YOLO model's classes 0, 1, ...; by default class i is label i + 1.
        corners: what the corners in VOC's files are.

    Returns:
        The detections, in the order of the file, or of the files' names.

    Raises:
        InputError: the file is missing, empty, cut short or of another format; its labels do not
            fit; or a score or box is not finite.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        files = files_in(path, SUFFIX)
        if not files:
            inside = os.path.join(path, "labels")
            what = f"perhaps it is {inside}" if os.path.isdir(inside) else "give the right folder"
            raise InputError(f"{path}: has no .txt files of YOLO or of VOC's devkit; {what}")
        by_name = ImagesByName(images)
        if all(map(is_voc_results, files)):
            return read_voc_results(path, granularity, taxonomy, by_name, corners)
        return read_yolo_results(path, granularity, taxonomy, by_name, names)
    try:
        with open(path, "rb") as file:
            start = file.read(len(MAGIC))
    except OSError as error:
        raise cannot_read(path, error) from error
    if not start:
        raise InputError(f"{path}: is empty; write the detections again")
    if start == MAGIC:
        return read_parquet(path, granularity, taxonomy)
    if path.lower().endswith(SUFFIX):
        raise InputError(
            f"{path}: is one text file of several; give the folder of YOLO's or VOC's results"
        )
    return read_coco_results(path, granularity, taxonomy)
