"""Reads the project's own files of predictions; `predictions_columns` says what is in them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inatdet.data.formats.list_column import ListColumn
from inatdet.data.formats.parquet_arrays import as_numpy, check_coarse_ids, open_parquet
from inatdet.data.formats.parquet_metadata import KEY, Content, Metadata, decode
from inatdet.data.formats.predictions_columns import IMAGE_ID, LABELS, PROBABILITIES, columns_of
from inatdet.data.granularity import Granularity
from inatdet.data.label_matching import match_labels
from inatdet.data.prediction_checks import check_image_ids, check_lengths, check_ranked
from inatdet.data.predictions import Predictions, Ranked
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

_ROWS_AT_ONCE = 1 << 13
# Damaged files may claim anything: see `formats/parquet.py`. Ids of images do not repeat, but a
# model that always says the same takes next to no room.
_FREE_ROWS = 1 << 20
_ROWS_PER_BYTE = 1
_FREE_VALUES = 1 << 26
_VALUES_PER_BYTE = 8


def is_ours(path: str) -> bool:
    """Whether a Parquet file is one of this project, be it of predictions or detections.

    Raises:
        InputError: it cannot be read.
    """
    with open_parquet(path, "predictions") as file:
        return KEY in (file.schema_arrow.metadata or {})


def read_parquet_predictions(path: str, taxonomy: Taxonomy) -> Predictions:
    """Reads what `PredictionsWriter` wrote.

    Args:
        path: the file.
        taxonomy: the label spaces to express the labels in.

    Raises:
        InputError: the file is damaged, larger than it can be, not one of predictions or of a newer
            version; none of its labels is in the taxonomy; or `check_ranked` finds something.
    """
    with open_parquet(path, "predictions") as file:
        metadata = decode(path, file.schema_arrow.metadata, Content.PREDICTIONS)
        own = Granularity(metadata.granularity)
        levels = (own, *map(Granularity, metadata.coarser))
        _check_schema(path, file.schema_arrow, levels)
        _check_size(path, file.metadata)
        image_ids, found = _read(path, file, levels)
    check_image_ids(path, image_ids)
    ranked, notes = {}, []
    for level, (labels, probabilities) in found.items():
        names = _names(metadata, level)
        check_ranked(path, image_ids, labels, probabilities, count=len(names), level=level)
        if level not in taxonomy.levels and level != own:
            notes.append(
                f"{path}: what it says at the level {level} is left out, as the label spaces have "
                "no such level"
            )
            continue
        taxonomy.check(level)
        ids = [label.category_id for label in metadata.labels]
        matched = match_labels(path, names, ids, level, taxonomy)
        notes += matched.apply(labels)
        ranked[level] = Ranked(labels, probabilities)
    return Predictions(
        path=path,
        trained_on=own,
        image_ids=image_ids,
        ranked=ranked,
        taxonomy=taxonomy,
        model=metadata.model,
        settings=metadata.settings,
        notes=tuple(notes),
    )


def _names(metadata: Metadata, level: Granularity) -> list[str]:
    if level == metadata.granularity:
        return [label.name for label in metadata.labels]
    return metadata.coarser[level]


def _check_schema(path: str, schema: pa.Schema, levels: Sequence[Granularity]) -> None:
    """Checks the types of the columns before any is read, as strings may have any length."""
    _check_column(path, schema, IMAGE_ID, pa.int64())
    for level in levels:
        labels, probabilities = columns_of(level, levels[0])
        _check_column(path, schema, labels, LABELS)
        if probabilities in schema.names:
            _check_column(path, schema, probabilities, PROBABILITIES)


def _check_column(path: str, schema: pa.Schema, name: str, wanted: pa.DataType) -> None:
    if schema.names.count(name) != 1:
        number = "no column" if name not in schema.names else "several columns"
        raise InputError(f"{path}: has {number} {name!r}, which predictions need; write it again")
    found = schema.field(name).type
    inner, what = found, "numbers"
    if wanted != pa.int64():
        inner, what = found.value_type if _is_list(found) else None, "lists of numbers"
    if inner is None or not (pa.types.is_integer(inner) or pa.types.is_floating(inner)):
        raise InputError(
            f"{path}: column {name!r} contains {str(found)[:80]}, not {what}; write it as {wanted}"
        )


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _check_size(path: str, metadata: pq.FileMetaData) -> None:
    """Refuses files that claim more than they have bytes for."""
    if metadata.num_rows > _FREE_ROWS + _ROWS_PER_BYTE * os.path.getsize(path):
        raise InputError(
            f"{path}: claims to contain predictions of {metadata.num_rows:,} images, more than it "
            "has bytes; it is damaged, so write it again"
        )


def _read(
    path: str, file: pq.ParquetFile, levels: Sequence[Granularity]
) -> tuple[np.ndarray, dict[Granularity, tuple[np.ndarray, np.ndarray | None]]]:
    """Image ids, and labels and probabilities by level, read batch by batch into their arrays."""
    rows = file.metadata.num_rows
    most = _FREE_VALUES + _VALUES_PER_BYTE * os.path.getsize(path)
    image_ids = np.empty(rows, np.int64)
    columns = {}
    for level in levels:
        for name, kind in zip(columns_of(level, levels[0]), (LABELS, PROBABILITIES)):
            if name in file.schema_arrow.names:
                columns[name] = ListColumn(path, name, kind, rows, most)
    start = 0
    for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[IMAGE_ID, *columns]):
        stop = start + len(batch)
        if stop > rows:
            break
        image_ids[start:stop] = _image_ids(path, batch.column(IMAGE_ID))
        for name, column in columns.items():
            column.put(start, batch.column(name))
        start = stop
    if start != rows:
        raise InputError(f"{path}: does not contain {rows:,} images as it claims; write it again")
    found = {}
    for level in levels:
        labels, probabilities = map(columns.get, columns_of(level, levels[0]))
        assert labels is not None
        if probabilities is not None:
            labels.check_lengths(probabilities, image_ids)
        check_lengths(path, image_ids, labels.lengths)
        found[level] = labels.values, None if probabilities is None else probabilities.values
    return image_ids, found


def _image_ids(path: str, column: pa.Array) -> np.ndarray:
    if column.null_count:
        raise InputError(f"{path}: column {IMAGE_ID!r} has empty cells; fill or remove those rows")
    numbers = as_numpy(column.cast(pa.int64()))
    check_coarse_ids(path, column.type, numbers)
    return numbers
