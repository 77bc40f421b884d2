"""Parquet files of detections, our own: one row a detection.

A file's metadata hold its own label space. So labels can be matched by category id and by name with
those of the ground truth, which may have been derived from another file.
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

from inatdet.data.detections import (
    Detections,
    check_columns,
    check_count,
    check_labels,
    labels_of_categories,
    labels_of_super_classes,
)
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.files import atomic_path

MAGIC = b"PAR1"
"""What every Parquet file begins with."""

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
_ROWS_AT_ONCE = 1 << 17
# iNat2017's label space takes 250 kB; as Python objects, JSON can be thirty times as large.
_LONGEST_METADATA = 16 << 20
# A row takes over ten bytes: scores and boxes do not repeat. A small file that says it holds
# billions of rows, all alike, was made to fill the memory. The first million costs only 80 MB.
_FREE_ROWS = 1 << 20
_ROWS_PER_BYTE = 1


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
        checkpoint_sha256: the SHA-256 of the checkpoint's index.
        command: the command line that made them.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        granularity: Granularity,
        taxonomy: Taxonomy,
        model: str = "",
        settings: Mapping[str, Any] | None = None,
        rows_per_group: int = _ROWS_AT_ONCE,
        *,
        checkpoint_sha256: str = "",
        command: str = "",
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
            "checkpoint_sha256": checkpoint_sha256,
            "command": command,
        }
        self._schema = _SCHEMA.with_metadata({_METADATA_KEY: json.dumps(metadata).encode()})
        self._rows_per_group = rows_per_group
        self._waiting: list[pa.RecordBatch] = []
        self._stack = contextlib.ExitStack()
        self._path = path

    def __enter__(self) -> DetectionsWriter:
        temporary = self._stack.enter_context(atomic_path(self._path))
        self._writer = pq.ParquetWriter(
            temporary, self._schema, compression="zstd", write_page_checksum=True
        )
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


class _Label(msgspec.Struct):
    name: str
    category_id: int | None = None


class _Metadata(msgspec.Struct):
    version: int
    granularity: str
    labels: list[_Label]
    model: str
    settings: dict[str, Any]


def read_parquet(path: str, granularity: Granularity, taxonomy: Taxonomy) -> Detections:
    """Reads what `DetectionsWriter` wrote.

    Args:
        path: the file.
        granularity: of the model's labels.
        taxonomy: the label spaces to express the labels in.

    Raises:
        InputError: the file is damaged, larger than it can honestly be, or none of detections.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            metadata = _metadata(path, file.schema_arrow.metadata or {}, granularity)
            _check_schema(path, file.schema_arrow)
            rows = file.metadata.num_rows
            check_count(path, rows)
            if rows > _FREE_ROWS + _ROWS_PER_BYTE * os.path.getsize(path):
                raise InputError(
                    f"{path}: says that it holds {rows:,} detections, more than its bytes; it is "
                    "damaged or not what a detector writes"
                )
            image_ids, labels, scores, boxes = _columns(path, file)
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: of names not in UTF-8
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: is damaged or no Parquet file of detections ({reason}); write it again"
        ) from error
    check_columns(path, image_ids, scores, boxes)
    check_labels(path, labels, len(metadata.labels), granularity)
    by_level = _labels_by_name(path, labels, metadata.labels, granularity, taxonomy)
    return Detections(
        path,
        granularity,
        image_ids,
        by_level,
        scores,
        boxes,
        metadata.model,
        metadata.settings,
    )


def _check_schema(path: str, schema: pa.Schema) -> None:
    """Looks at the types before anything is read, which may be strings of any length."""
    for name in _SCHEMA.names:
        if schema.names.count(name) != 1:
            number = "no column" if name not in schema.names else "several columns"
            raise InputError(
                f"{path}: has {number} {name!r}; the columns of detections are "
                f"{', '.join(_SCHEMA.names)}"
            )
        kind = schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise InputError(
                f"{path}: column {name!r} holds {str(kind)[:80]}, not numbers; write it as "
                f"{_SCHEMA.field(name).type}"
            )


def _columns(
    path: str, file: pq.ParquetFile
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Image ids, labels, scores and boxes, read batch by batch to where they stay."""
    rows = file.metadata.num_rows
    image_ids, labels = np.empty(rows, np.int64), np.empty(rows, np.int32)
    scores, boxes = np.empty(rows), np.empty((rows, len(_BOX_COLUMNS)))
    places = dict(zip(_SCHEMA.names, (image_ids, labels, scores, *boxes.T), strict=True))
    start = 0
    for batch in file.iter_batches(_ROWS_AT_ONCE, columns=_SCHEMA.names):
        stop = start + len(batch)
        for name, kind in zip(_SCHEMA.names, _SCHEMA.types):
            column = batch.column(name)
            if column.null_count:
                raise InputError(
                    f"{path}: column {name!r} has empty cells; fill or remove those rows"
                )
            if stop <= rows:
                with np.errstate(invalid="ignore"):  # NaN of damaged files; it is found later
                    places[name][start:stop] = column.cast(kind).to_numpy()
        start = stop
    if start != rows:
        raise InputError(
            f"{path}: holds {start:,} detections but says {rows:,}; it is damaged, write it again"
        )
    return image_ids, labels, scores, boxes


def _metadata(path: str, stored: Mapping[bytes, bytes], granularity: Granularity) -> _Metadata:
    text = stored.get(_METADATA_KEY, b"")
    if len(text) > _LONGEST_METADATA:
        raise InputError(
            f"{path}: has {len(text):,} bytes of metadata, where {_LONGEST_METADATA:,} are the "
            "most; write it again with shorter settings"
        )
    try:
        metadata = msgspec.json.decode(text, type=_Metadata)
        found = Granularity(metadata.granularity)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise InputError(
            f"{path}: does not name its label space in its metadata; write it with "
            "inatdet.data.formats.detections.DetectionsWriter, or give COCO results JSON"
        ) from error
    if metadata.version != _VERSION:
        raise InputError(
            f"{path}: has format version {metadata.version}, this program reads {_VERSION}"
        )
    if found is not granularity:
        raise InputError(
            f"{path}: holds {found} detections but was given as {granularity}; "
            f"give it as --detections={found}={path}"
        )
    return metadata


def _labels_by_name(
    path: str,
    labels: np.ndarray,
    space: list[_Label],
    granularity: Granularity,
    taxonomy: Taxonomy,
) -> dict[Granularity, np.ndarray]:
    if granularity is Granularity.SPECIES:
        try:
            category_ids = np.array([label.category_id for label in space], np.int64)
        except (TypeError, OverflowError) as error:
            raise InputError(
                f"{path}: its label space has no category ids; write it again"
            ) from error
        return labels_of_categories(path, category_ids, taxonomy, labels - 1)
    if granularity is Granularity.SUPER:
        return labels_of_super_classes(path, [label.name for label in space], labels, taxonomy)
    return {Granularity.GENERIC: np.ones(len(labels), np.int64)}
