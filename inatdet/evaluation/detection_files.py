"""Files of detections: Parquet, our own, and COCO results JSON, everybody's.

A Parquet file holds one row a detection and, in its metadata, its own label space. So labels can be
matched by category id and by name with those of the ground truth, which may have been derived from
another file.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation.detections import (
    Detections,
    check_columns,
    check_labels,
    labels_of_categories,
    labels_of_super_classes,
)
from inatdet.files import atomic_path

_METADATA_KEY = b"inatdet"
_VERSION = 1
_BOX_COLUMNS = ("x", "y", "width", "height")
_SCHEMA = pa.schema(
    [
        ("image_id", pa.int64()),
        ("label", pa.int32()),
        ("score", pa.float32()),
        *((name, pa.float32()) for name in _BOX_COLUMNS),
    ]
)


class DetectionsWriter:
    """Writes a Parquet file of detections, bit by bit.

    The file appears under its name only when the `with` block ends well.

    Args:
        path: the file.
        granularity: of the labels.
        taxonomy: the label spaces of the model.
        model: which model made the detections.
        settings: how it made them; anything that JSON can hold.
        rows_per_group: how many rows to collect before they go to the disk.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        granularity: Granularity,
        taxonomy: Taxonomy,
        model: str = "",
        settings: Mapping[str, Any] | None = None,
        rows_per_group: int = 1 << 17,
    ):
        labels = [{"name": name} for name in taxonomy.names(granularity)]
        if granularity is Granularity.SPECIES:
            for label, category in zip(labels, taxonomy.species, strict=True):
                label |= {"category_id": category.id, "supercategory": category.supercategory}
        metadata = {
            "version": _VERSION,
            "granularity": granularity.value,
            "labels": labels,
            "model": model,
            "settings": dict(settings or {}),
        }
        self._schema = _SCHEMA.with_metadata({_METADATA_KEY: json.dumps(metadata).encode()})
        self._rows_per_group = rows_per_group
        self._waiting: list[pa.RecordBatch] = []
        self._stack = contextlib.ExitStack()
        self._path = path

    def __enter__(self) -> DetectionsWriter:
        temporary = self._stack.enter_context(atomic_path(self._path))
        self._writer = pq.ParquetWriter(temporary, self._schema, compression="zstd")
        self._stack.callback(self._writer.close)
        return self

    def append(
        self, image_ids: np.ndarray, labels: np.ndarray, scores: np.ndarray, boxes: np.ndarray
    ) -> None:
        """Adds some detections.

        Args:
            image_ids: `[n]`.
            labels: `[n]`, 1..labels.
            scores: `[n]`.
            boxes: `[n, 4]`, `x, y, width, height` in pixels of the original image.
        """
        columns = [image_ids, labels, scores, *np.asarray(boxes).reshape(-1, 4).T]
        arrays = [
            pa.array(np.ascontiguousarray(column), kind.type)
            for column, kind in zip(columns, _SCHEMA, strict=True)
        ]
        self._waiting.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        if sum(len(batch) for batch in self._waiting) >= self._rows_per_group:
            self._flush()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        self._writer.write_table(table, row_group_size=self._rows_per_group)
        self._waiting = []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()
        self._stack.__exit__(kind, error, traceback)


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
            start = file.read(4)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not start:
        raise InputError(f"{path}: is empty; write the detections again")
    if start == b"PAR1":
        return _read_parquet(path, granularity, taxonomy)
    return _read_coco_json(path, granularity, taxonomy)


def _read_parquet(path: str, granularity: Granularity, taxonomy: Taxonomy) -> Detections:
    try:
        with pq.ParquetFile(path) as file:
            metadata = _metadata(path, file.schema_arrow.metadata or {}, granularity)
            missing = [name for name in _SCHEMA.names if name not in file.schema_arrow.names]
            if missing:
                raise InputError(
                    f"{path}: has no column {missing[0]!r}; the columns of detections are "
                    f"{', '.join(_SCHEMA.names)}"
                )
            table = file.read(columns=_SCHEMA.names).cast(_SCHEMA)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: is damaged or no Parquet file of detections ({reason}); write it again"
        ) from error
    for name in _SCHEMA.names:
        if table[name].null_count:
            raise InputError(f"{path}: column {name!r} has empty cells; fill or remove those rows")
    columns = {name: table[name].to_numpy() for name in _SCHEMA.names}
    boxes = np.column_stack([columns[name] for name in _BOX_COLUMNS]).astype(np.float64)
    scores = columns["score"].astype(np.float64)
    check_columns(path, columns["image_id"], scores, boxes)
    check_labels(path, columns["label"], len(metadata["labels"]), granularity)
    labels = _labels_by_name(path, columns["label"], metadata["labels"], granularity, taxonomy)
    return Detections(
        path,
        granularity,
        columns["image_id"],
        labels,
        scores,
        boxes,
        metadata["model"],
        metadata["settings"],
    )


def _metadata(path: str, stored: Mapping[bytes, bytes], granularity: Granularity) -> dict[str, Any]:
    try:
        metadata = json.loads(stored[_METADATA_KEY])
        found = Granularity(metadata["granularity"])
        names_are_there = all(isinstance(label["name"], str) for label in metadata["labels"])
        version, model = metadata["version"], metadata["model"]
        settings = dict(metadata["settings"])
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: does not name its label space in its metadata; write it with "
            "inatdet.evaluation.detection_files.DetectionsWriter, or give COCO results JSON"
        ) from error
    if version != _VERSION or not names_are_there:
        raise InputError(f"{path}: has format version {version!r}, this program reads {_VERSION}")
    if found is not granularity:
        raise InputError(
            f"{path}: holds {found} detections but was given as {granularity}; "
            f"give it as --detections={found}={path}"
        )
    return {"labels": metadata["labels"], "model": str(model), "settings": settings}


def _labels_by_name(
    path: str,
    labels: np.ndarray,
    space: list[dict[str, Any]],
    granularity: Granularity,
    taxonomy: Taxonomy,
) -> dict[Granularity, np.ndarray]:
    if granularity is Granularity.SPECIES:
        try:
            category_ids = np.array([label["category_id"] for label in space], np.int64)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"{path}: its label space has no category ids; write it again"
            ) from error
        return labels_of_categories(path, category_ids[labels - 1], taxonomy)
    if granularity is Granularity.SUPER:
        names = [label["name"] for label in space]
        return labels_of_super_classes(path, names, labels, taxonomy)
    return {Granularity.GENERIC: np.ones(len(labels), np.int64)}


class _Result(msgspec.Struct, gc=False):
    """One element of COCO results JSON; other keys are not looked at."""

    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    score: float


def _read_coco_json(path: str, granularity: Granularity, taxonomy: Taxonomy) -> Detections:
    try:
        with open(path, "rb") as file:
            results = msgspec.json.decode(file.read(), type=list[_Result])
    except msgspec.ValidationError as error:
        raise InputError(
            f"{path}: is no list of COCO results ({error}); each needs image_id, category_id, "
            "bbox [x, y, width, height] and score"
        ) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: is neither Parquet nor valid JSON, or cut short ({error}); NaN and Infinity "
            "are no JSON numbers; write it again"
        ) from error
    count = len(results)
    try:
        image_ids = np.fromiter((r.image_id for r in results), np.int64, count)
        category_ids = np.fromiter((r.category_id for r in results), np.int64, count)
    except OverflowError as error:
        raise InputError(f"{path}: an id is larger than 64 bits; check the file") from error
    scores = np.fromiter((r.score for r in results), np.float64, count)
    boxes = np.fromiter((r.bbox for r in results), np.dtype((np.float64, 4)), count)
    check_columns(path, image_ids, scores, boxes)
    if granularity is Granularity.SPECIES:
        labels = labels_of_categories(path, category_ids, taxonomy)
    else:
        check_labels(path, category_ids, taxonomy.num_labels(granularity), granularity)
        labels = {
            target: taxonomy.coarsen(category_ids, granularity, target)
            for target in granularity.coarser_or_equal()
        }
    return Detections(path, granularity, image_ids, labels, scores, boxes)


def write_coco_json(
    path: str | os.PathLike[str], detections: Detections, taxonomy: Taxonomy
) -> None:
    """Writes detections as COCO results JSON, for other programs.

    Args:
        path: the file.
        detections: detections without a label at their own granularity are left out.
        taxonomy: their label spaces; species are written by category id, coarser ones by label.
    """
    labels = detections.labels[detections.trained_on]
    if detections.trained_on is Granularity.SPECIES:
        of_label = np.array([-1] + [category.id for category in taxonomy.species], np.int64)
        ids = of_label[labels]
    else:
        ids = labels
    rows = np.flatnonzero(labels)
    columns = (detections.image_ids, ids, detections.boxes, detections.scores)
    results = [
        _Result(image_id, category_id, tuple(box), score)
        for image_id, category_id, box, score in zip(*(c[rows].tolist() for c in columns))
    ]
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(msgspec.json.encode(results))
