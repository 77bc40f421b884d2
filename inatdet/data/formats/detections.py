"""Reads detections, whatever kind of file they are in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from inatdet.data.annotations import Image
from inatdet.data.detections import Detections
from inatdet.data.formats.coco_results import read_coco_detections
from inatdet.data.formats.image_ids import with_ids_of
from inatdet.data.formats.megadetector import read_megadetector_detections
from inatdet.data.formats.names import ImagesByName
from inatdet.data.formats.parquet import DetectionsWriter, read_parquet_detections
from inatdet.data.formats.recognizing import Kind, kind_of
from inatdet.data.formats.text import files_in, is_aside
from inatdet.data.formats.voc import Corners, is_voc_detections, read_voc_detections
from inatdet.data.formats.yolo import SUFFIX, read_yolo_detections
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

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
            id for species, and the label of `taxonomy` for the coarser granularities: a list, one
            per line, or an object with them as its `annotations`;
            MegaDetector's JSON;
            a folder of YOLO's .txt files, one per image, with confidences;
            a folder of the VOC devkit's results files, one per class.
        granularity: of the model's labels. It may be None for Parquet, whose metadata contain it.
        taxonomy: the label spaces to express the labels in.
        images: the annotations' images; folders need their names and sizes, and so does an
            `image_id` that is a file name.
        names: the names of a YOLO model's classes 0, 1, ...; by default class i is label i + 1.
        corners: what the corners in VOC's files mean.

    Returns:
        The detections, in the order of the file, or of the files' names.

    Raises:
        InputError: the file is missing, empty, truncated or of another format; its labels do not
            fit, or its granularity is unknown; or a score or box is not finite.
    """
    path, images = os.fspath(path), tuple(images)
    if os.path.isdir(path):
        return _read_folder(
            path, _known(path, granularity, taxonomy), taxonomy, images, names, corners
        )
    if path.lower().endswith(SUFFIX):
        raise InputError(
            f"{path}: is one text file of several; give the folder of YOLO's or VOC's results"
        )
    kind = kind_of(path)
    if kind is Kind.PARQUET:
        found = read_parquet_detections(path, granularity, taxonomy)
    elif kind is Kind.MEGADETECTOR:
        level = _known(path, granularity, taxonomy)
        found = read_megadetector_detections(path, level, taxonomy, ImagesByName(images))
    else:
        found = read_coco_detections(
            path, _known(path, granularity, taxonomy), taxonomy, images, kind
        )
    return with_ids_of(found, images)


def _known(path: str, granularity: Granularity | None, taxonomy: Taxonomy) -> Granularity:
    if granularity is None:
        raise InputError(
            f"{path}: only Parquet files of detections contain their granularity; give it: "
            f"{', '.join(taxonomy.levels)}"
        )
    return granularity


def _read_folder(
    path: str,
    granularity: Granularity,
    taxonomy: Taxonomy,
    images: Sequence[Image],
    names: Sequence[str] | None,
    corners: Corners,
) -> Detections:
    files = [name for name in files_in(path, SUFFIX) if not is_aside(name)]
    if not files:
        inside = os.path.join(path, "labels")
        what = f"perhaps it is {inside}" if os.path.isdir(inside) else "give the right folder"
        raise InputError(f"{path}: has no .txt files of YOLO or of VOC's devkit; {what}")
    by_name = ImagesByName(images)
    if all(map(is_voc_detections, files)):
        return read_voc_detections(path, granularity, taxonomy, by_name, corners=corners)
    return read_yolo_detections(path, granularity, taxonomy, by_name, names=names)
