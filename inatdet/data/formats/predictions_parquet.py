"""The project's own files of predictions: Parquet with one row per image.

The columns are `image_id`; `labels` and `probabilities`, lists with the best first, at the level
that the model was trained on; and for each coarser level that it summed probabilities for,
`labels_LEVEL` and `probabilities_LEVEL`. `probabilities` are absent where only the order is known.
Label 0 inside a list is a guess that the label spaces do not have. The label spaces are in the
metadata: see `parquet_metadata`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inatdet.data.formats.parquet_arrays import (
    PiecewiseWriter,
    as_arrow,
    as_numpy,
    check_coarse_ids,
    open_parquet,
)
from inatdet.data.formats.parquet_metadata import (
    KEY,
    Content,
    Metadata,
    decode,
    describe,
    encode,
)
from inatdet.data.granularity import Granularity
from inatdet.data.label_matching import match_labels
from inatdet.data.labels import NO_LABEL
from inatdet.data.prediction_checks import check_image_ids, check_lengths, check_ranked
from inatdet.data.predictions import Predictions, Ranked
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

_IMAGE_ID = "image_id"
_LABELS = pa.list_(pa.int32())
_PROBABILITIES = pa.list_(pa.float32())
_ROWS_PER_GROUP = 1 << 14
_ROWS_AT_ONCE = 1 << 13
# Damaged files may claim anything: see `formats/parquet.py`. Ids of images do not repeat, but a
# model that always says the same takes next to no room.
_FREE_ROWS = 1 << 20
_ROWS_PER_BYTE = 1
_FREE_VALUES = 1 << 26
_VALUES_PER_BYTE = 8


class PredictionsWriter(PiecewiseWriter):
    """Writes a Parquet file of predictions, piece by piece.

    The file appears under its name only when the `with` block succeeds.

    Args:
        path: the file.
        granularity: the level of the model's labels.
        taxonomy: the label spaces of the model.
        levels: the coarser levels of which there are labels too.
        has_probabilities: whether they are known, or only the order of the labels.
        model: which model made the predictions.
        settings: how it made them; anything that JSON can hold.
        checkpoint_sha256: the SHA-256 of the checkpoint that made them.
        command: the command that writes the file.
        records_sha256: of the summary beside the TFRecords with the images; see `Metadata`.
        rows_per_group: how many images to collect before they are written to the disk.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        granularity: Granularity,
        taxonomy: Taxonomy,
        *,
        levels: Iterable[Granularity] = (),
        has_probabilities: bool = True,
        model: str = "",
        settings: Mapping[str, Any] | None = None,
        checkpoint_sha256: str = "",
        command: str = "",
        records_sha256: str = "",
        rows_per_group: int = _ROWS_PER_GROUP,
    ):
        coarser = [level for level in taxonomy.coarser_or_equal(granularity)[1:] if level in levels]
        if set(coarser) != set(levels):
            raise ValueError(f"{list(map(str, levels))} are not all coarser than {granularity}")
        metadata = describe(
            taxonomy,
            granularity,
            coarser,
            content=Content.PREDICTIONS.value,
            model=model,
            settings=dict(settings or {}),
            checkpoint_sha256=checkpoint_sha256,
            command=command,
            records_sha256=records_sha256,
        )
        self._levels = (granularity, *coarser)
        self._taxonomy = taxonomy
        self._has_probabilities = has_probabilities
        columns = [(_IMAGE_ID, pa.int64())]
        for level in self._levels:
            labels, probabilities = _columns_of(level, granularity)
            columns.append((labels, _LABELS))
            if has_probabilities:
                columns.append((probabilities, _PROBABILITIES))
        floats = [f"{name}.list.element" for name, kind in columns if kind == _PROBABILITIES]
        whole = [f"{name}.list.element" for name, kind in columns if kind == _LABELS]
        # Probabilities do not repeat; their bytes, sorted by place, take less room and time.
        super().__init__(
            path,
            pa.schema(columns, encode(metadata)),
            rows_per_group,
            {"use_dictionary": whole, "use_byte_stream_split": floats},
        )

    def append(self, image_ids: np.ndarray, ranked: Mapping[Granularity, Ranked]) -> None:
        """Adds the predictions of some images.

        Args:
            image_ids: `[images]`.
            ranked: the best labels of these images at `granularity` and at each of `levels`, in
                labels of the taxonomy.

        Raises:
            ValueError: a level or the probabilities are missing, the shapes differ, or the file
                could not be read again: see `check_ranked`.
        """
        columns = [as_arrow(image_ids, _IMAGE_ID, pa.int64())]
        for level in self._levels:
            labels = np.asarray(ranked[level].labels)
            probabilities = ranked[level].probabilities if self._has_probabilities else None
            if self._has_probabilities and probabilities is None:
                raise ValueError(f"the {level} labels have no probabilities")
            if labels.ndim != 2 or len(labels) != len(image_ids) or not labels.shape[1]:
                raise ValueError(
                    f"{len(image_ids)} images have {level} labels of the shape {labels.shape}"
                )
            if probabilities is not None and probabilities.shape != labels.shape:
                raise ValueError(f"{level} labels and probabilities have different shapes")
            check_ranked(
                os.fspath(self._path),
                image_ids,
                labels,
                probabilities,
                count=self._taxonomy.num_labels(level),
                level=level,
            )
            lengths = _lengths(labels)
            columns.append(_as_lists(labels, lengths, "labels", pa.int32()))
            if probabilities is not None:
                columns.append(_as_lists(probabilities, lengths, "probabilities", pa.float32()))
        self._add(columns)


def _columns_of(level: Granularity, own: Granularity) -> tuple[str, str]:
    """The names of the columns of a level's labels and probabilities."""
    suffix = "" if level == own else f"_{level}"
    return f"labels{suffix}", f"probabilities{suffix}"


def _lengths(labels: np.ndarray) -> np.ndarray:
    """How many guesses each image has, at least one: those behind the last known one are none."""
    last = labels.shape[1] - np.argmax(labels[:, ::-1] != NO_LABEL, axis=1)
    return np.where((labels != NO_LABEL).any(axis=1), last, 1)


def _as_lists(matrix: np.ndarray, lengths: np.ndarray, name: str, kind: pa.DataType) -> pa.Array:
    """The first so many columns of each row of a matrix as an Arrow array of lists."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = matrix.reshape(-1)
    if offsets[-1] < matrix.size:
        values = matrix[np.arange(matrix.shape[1]) < lengths[:, None]]
    return pa.ListArray.from_arrays(
        as_arrow(offsets, "offsets", pa.int32()), as_arrow(values, name, kind)
    )


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
    _check_column(path, schema, _IMAGE_ID, pa.int64())
    for level in levels:
        labels, probabilities = _columns_of(level, levels[0])
        _check_column(path, schema, labels, _LABELS)
        if probabilities in schema.names:
            _check_column(path, schema, probabilities, _PROBABILITIES)


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
        for name, kind in zip(_columns_of(level, levels[0]), (_LABELS, _PROBABILITIES)):
            if name in file.schema_arrow.names:
                columns[name] = _Lists(path, name, kind, rows, most)
    start = 0
    for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[_IMAGE_ID, *columns]):
        stop = start + len(batch)
        if stop > rows:
            break
        image_ids[start:stop] = _image_ids(path, batch.column(_IMAGE_ID))
        for name, column in columns.items():
            column.put(start, batch.column(name))
        start = stop
    if start != rows:
        raise InputError(f"{path}: does not contain {rows:,} images as it claims; write it again")
    found = {}
    for level in levels:
        labels, probabilities = map(columns.get, _columns_of(level, levels[0]))
        assert labels is not None
        if probabilities is not None:
            labels.check_lengths(probabilities, image_ids)
        check_lengths(path, image_ids, labels.lengths)
        found[level] = labels.values, None if probabilities is None else probabilities.values
    return image_ids, found


def _image_ids(path: str, column: pa.Array) -> np.ndarray:
    if column.null_count:
        raise InputError(f"{path}: column {_IMAGE_ID!r} has empty cells; fill or remove those rows")
    numbers = as_numpy(column.cast(pa.int64()))
    check_coarse_ids(path, column.type, numbers)
    return numbers


class _Lists:
    """A column of lists as a matrix, which grows wider where a list is longer.

    Args:
        path: the file, for messages.
        name: of the column.
        kind: its type.
        rows: how many rows it has.
        most: how many cells the matrix may have.

    Attributes:
        values: `[rows, k]`, 0 behind the end of a list.
        lengths: int64 `[rows]`, of the lists.
    """

    def __init__(self, path: str, name: str, kind: pa.DataType, rows: int, most: int):
        self._path, self._name, self._kind, self._most = path, name, kind, most
        self.values = np.zeros((rows, 0), kind.value_type.to_pandas_dtype())
        self.lengths = np.zeros(rows, np.int64)

    def put(self, start: int, column: pa.Array) -> None:
        """Fills rows from `start` on."""
        items = column.flatten()
        if column.null_count or items.null_count:
            raise InputError(
                f"{self._path}: column {self._name!r} has empty cells; fill or remove those rows"
            )
        if pa.types.is_fixed_size_list(column.type):
            lengths = np.full(len(column), column.type.list_size)
        else:
            lengths = as_numpy(column.value_lengths())
        values = as_numpy(items.cast(self._kind.value_type))
        stop = start + len(column)
        self._widen(start, int(lengths.max(initial=0)))
        self.lengths[start:stop] = lengths
        width = self.values.shape[1]
        if (lengths == width).all():
            self.values[start:stop] = values.reshape(-1, width)
        else:
            self.values[start:stop][np.arange(width) < lengths[:, None]] = values

    def _widen(self, filled: int, width: int) -> None:
        rows, before = self.values.shape
        if width <= before:
            return
        if rows * width > self._most:
            raise InputError(
                f"{self._path}: column {self._name!r} has a list of {width:,} elements, too many "
                f"for {rows:,} images; keep the best 100 of each image"
            )
        wider = np.zeros((rows, width), self.values.dtype)
        wider[:filled, :before] = self.values[:filled]
        self.values = wider

    def check_lengths(self, other: _Lists, image_ids: np.ndarray) -> None:
        """Raises `InputError` unless the lists of another column are as long as these."""
        differ = self.lengths != other.lengths
        if differ.any():
            row = int(np.argmax(differ))
            raise InputError(
                f"{self._path}: image {image_ids[row]} has {self.lengths[row]} {self._name} but "
                f"{other.lengths[row]} {other._name}; write a probability for each label"
            )
