"""Writes the project's own files of predictions; `predictions_columns` says what is in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from inatdet.data.formats.parquet_arrays import PiecewiseWriter, as_arrow
from inatdet.data.formats.parquet_metadata import Content, describe, encode
from inatdet.data.formats.predictions_columns import IMAGE_ID, LABELS, PROBABILITIES, columns_of
from inatdet.data.granularity import Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.data.prediction_checks import check_ranked
from inatdet.data.ranking import Ranked
from inatdet.data.taxonomy import Taxonomy

_ROWS_PER_GROUP = 1 << 14


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
        columns = [(IMAGE_ID, pa.int64())]
        for level in self._levels:
            labels, probabilities = columns_of(level, granularity)
            columns.append((labels, LABELS))
            if has_probabilities:
                columns.append((probabilities, PROBABILITIES))
        floats = [f"{name}.list.element" for name, kind in columns if kind == PROBABILITIES]
        whole = [f"{name}.list.element" for name, kind in columns if kind == LABELS]
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
        columns = [as_arrow(image_ids, IMAGE_ID, pa.int64())]
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
