"""Files of detections, of whichever kind."""

from __future__ import annotations

import os

from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation.coco_results import read_coco_results, write_coco_json
from inatdet.evaluation.detections import Detections
from inatdet.evaluation.parquet_files import MAGIC, DetectionsWriter, read_parquet

__all__ = ["DetectionsWriter", "read_detections", "write_coco_json"]


def read_detections(
    path: str | os.PathLike[str], granularity: Granularity, taxonomy: Taxonomy
) -> Detections:
    """Reads and checks a file of detections.

    Args:
        path: a Parquet file of `DetectionsWriter`, or COCO results JSON, in which `category_id` is
            the dataset's category id for species, and the label of `taxonomy` for the coarser
            granularities.
        granularity: of the model's labels.
        taxonomy: the label spaces to express the labels in.

    Returns:
        The detections, in the order of the file.

    Raises:
        InputError: the file is missing, empty, cut short or of another format; its labels do not
            fit; or a score or box is not finite.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            start = file.read(len(MAGIC))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not start:
        raise InputError(f"{path}: is empty; write the detections again")
    if start == MAGIC:
        return read_parquet(path, granularity, taxonomy)
    return read_coco_results(path, granularity, taxonomy)
