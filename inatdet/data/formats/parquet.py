"""The project's own files of detections: Parquet with one row per detection.

The columns are `image_id`, `label`, `score`, `x`, `y`, `width` and `height`; boxes are in pixels of
the original image. The label space is in the metadata: see `parquet_metadata`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inatdet.data.detections import (
    Detections,
    check_columns,
    check_count,
    check_labels,
)
from inatdet.data.formats.parquet_arrays import (
    PiecewiseWriter,
    as_arrow,
    as_numpy,
    check_coarse_ids,
    open_parquet,
)
from inatdet.data.formats.parquet_metadata import (
    Label,
    Metadata,
    decode,
    describe,
    encode,
)
from inatdet.data.granularity import Granularity
from inatdet.data.labels import Labels, labels_of_categories, labels_of_names
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

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
# A row takes more than ten bytes, because scores and boxes do not repeat. A small file that claims
# billions of identical rows was made to fill the memory. The first million takes only 80 MB.
_FREE_ROWS = 1 << 20
_ROWS_PER_BYTE = 1


class DetectionsWriter(PiecewiseWriter):
    """Writes a Parquet file of detections, piece by piece.

    The file appears under its name only when the `with` block succeeds.

    Args:
        path: the file.
        granularity: of the labels.
        taxonomy: the label spaces of the model.
        model: which model made the detections.
        settings: how it made them; anything that JSON can hold.
        rows_per_group: how many rows to collect before they are written to the disk.
        checkpoint_sha256: the SHA-256 of the checkpoint that made the detections.
        command: the command that writes the file.
        records_sha256: of the summary beside the TFRecords with the images; see `Metadata`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        granularity: Granularity,
        taxonomy: Taxonomy,
        *,
        model: str = "",
        settings: Mapping[str, Any] | None = None,
        rows_per_group: int = _ROWS_AT_ONCE,
        checkpoint_sha256: str = "",
        command: str = "",
        records_sha256: str = "",
    ):
        metadata = describe(
            taxonomy,
            granularity,
            model=model,
            settings=dict(settings or {}),
            checkpoint_sha256=checkpoint_sha256,
            command=command,
            records_sha256=records_sha256,
        )
        super().__init__(path, _SCHEMA.with_metadata(encode(metadata)), rows_per_group)

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
        self._add(
            [
                as_arrow(column, kind.name, kind.type)
                for column, kind in zip(columns, _SCHEMA, strict=True)
            ]
        )


def read_parquet_detections(
    path: str, granularity: Granularity | None, taxonomy: Taxonomy
) -> Detections:
    """Reads what `DetectionsWriter` wrote.

    Args:
        path: the file.
        granularity: of the model's labels; None for that of the file.
        taxonomy: the label spaces to express the labels in.

    Raises:
        InputError: the file is damaged, larger than it can be, not one of detections, of a newer
            version or of another granularity.
    """
    with open_parquet(path, "detections") as file:
        metadata = decode(path, file.schema_arrow.metadata)
        found = Granularity(metadata.granularity)
        if granularity not in (None, found):
            raise InputError(
                f"{path}: contains {found} detections but was given as {granularity}; "
                f"give it as --detections={found}={path}"
            )
        _check_schema(path, file.schema_arrow)
        rows = file.metadata.num_rows
        check_count(path, rows)
        if rows > _FREE_ROWS + _ROWS_PER_BYTE * os.path.getsize(path):
            raise InputError(
                f"{path}: claims to contain {rows:,} detections, more than it has bytes; it is "
                "damaged or was not written by a detector"
            )
        image_ids, labels, scores, boxes = _columns(path, file)
    check_columns(path, image_ids, scores, boxes)
    check_labels(path, labels, len(metadata.labels), found)
    by_granularity = _labels_by_name(path, labels, metadata.labels, found, taxonomy)
    return Detections(
        path=path,
        trained_on=found,
        image_ids=image_ids,
        labels=by_granularity,
        scores=scores,
        boxes=boxes,
        model=metadata.model,
        settings=metadata.settings,
    )


def read_metadata(path: str | os.PathLike[str]) -> Metadata:
    """Reads what a file of `DetectionsWriter` says about its detections, but not these.

    Raises:
        InputError: the file cannot be read, is not one of detections, or of a newer version.
    """
    path = os.fspath(path)
    with open_parquet(path, "detections") as file:
        return decode(path, file.schema_arrow.metadata)


def _check_schema(path: str, schema: pa.Schema) -> None:
    """Checks the types of the columns before any is read, as strings may have any length."""
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
                f"{path}: column {name!r} contains {str(kind)[:80]}, not numbers; write it as "
                f"{_SCHEMA.field(name).type}"
            )


def _columns(
    path: str, file: pq.ParquetFile
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Image ids, labels, scores and boxes, read batch by batch into their final arrays."""
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
            numbers = as_numpy(column.cast(kind))
            if name == "image_id":
                check_coarse_ids(path, column.type, numbers)
            if stop <= rows:
                with np.errstate(invalid="ignore"):  # NaN in damaged files; it is found later
                    places[name][start:stop] = numbers
        start = stop
    if start != rows:
        raise InputError(
            f"{path}: contains {start:,} detections, not {rows:,} as it claims; write it again"
        )
    return image_ids, labels, scores, boxes


def _labels_by_name(
    path: str,
    labels: np.ndarray,
    space: Sequence[Label],
    granularity: Granularity,
    taxonomy: Taxonomy,
) -> Labels:
    if granularity is Granularity.SPECIES:
        try:
            category_ids = np.array([label.category_id for label in space], np.int64)
        except (TypeError, OverflowError) as error:
            raise InputError(
                f"{path}: its label space has no category ids; write it again"
            ) from error
        return labels_of_categories(path, category_ids, taxonomy, labels - 1)
    names = [label.name for label in space]
    return labels_of_names(path, names, labels, granularity=granularity, taxonomy=taxonomy)
