"""Writing annotations, detections and predictions, for the Python API and the programs."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.detections import Detections
from inatdet.data.formats.coco import write_coco_annotations
from inatdet.data.formats.coco_results import write_coco_detections
from inatdet.data.formats.parquet import DetectionsWriter
from inatdet.data.formats.predictions import PredictionsWriter
from inatdet.data.granularity import Granularity
from inatdet.data.predictions import Predictions
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

JSON, PARQUET = ".json", ".parquet"

_ROWS_AT_ONCE = 1 << 17
_IMAGES_AT_ONCE = 1 << 13


def write_annotations(
    annotations: Annotations,
    path: str | os.PathLike[str],
    granularity: Granularity | str = Granularity.SPECIES,
) -> None:
    """Writes COCO-style JSON with super-categories.

    Args:
        annotations: all of them are written.
        path: the file, .json.
        granularity: what the categories are. For species, those of the annotations; otherwise the
            labels 1, 2, ... of their `taxonomy`.

    Raises:
        InputError: `path` has another extension, or a box has a category without a label.
    """
    _check_extension(path, (JSON,))
    annotations.check_level(Granularity(granularity))
    write_coco_annotations(path, annotations, annotations.taxonomy, Granularity(granularity))


def write_detections(
    detections: Detections,
    path: str | os.PathLike[str],
    granularity: Granularity | str | None = None,
    *,
    taxonomy: Taxonomy | None = None,
    command: str = "",
) -> int:
    """Writes Parquet or COCO results JSON, depending on the extension.

    Args:
        detections: those without a label at the granularity are left out.
        path: the file, .parquet or .json.
        granularity: whose labels to write, no finer than those of the detections; by default those.
        taxonomy: the label spaces of the detections, where these do not carry them.
        command: the command line, for the metadata of Parquet.

    Returns:
        How many detections were written.

    Raises:
        InputError: `path` has another extension, or the detections are too coarse.
        ValueError: nothing says what the label spaces are.

    Example:
        >>> found = inatdet.read_detections("species.json", truth, granularity="species")
        >>> inatdet.write_detections(found, "birds_and_insects.parquet", "super")
        5
        >>> inatdet.read_detections("birds_and_insects.parquet", truth)
        Detections('birds_and_insects.parquet': 5 super detections)
    """
    _check_extension(path, (PARQUET, JSON))
    granularity = Granularity(granularity or detections.trained_on)
    taxonomy = taxonomy or detections.taxonomy
    if granularity not in detections.labels:
        if taxonomy is not None:
            taxonomy.check(granularity)
        raise InputError(
            f"{detections.path}: {detections.trained_on} detections cannot be made finer; give "
            f"--granularity={detections.trained_on} or a coarser one"
        )
    if taxonomy is None:
        raise ValueError("the detections do not carry their label spaces; give taxonomy=")
    labels = detections.labels[granularity]
    kept = np.flatnonzero(labels)
    if os.fspath(path).lower().endswith(JSON):
        write_coco_detections(path, detections, taxonomy, granularity)
        return len(kept)
    with DetectionsWriter(
        path,
        granularity,
        taxonomy,
        model=detections.model,
        settings=detections.settings,
        command=command,
    ) as writer:
        for rows in np.array_split(kept, len(kept) // _ROWS_AT_ONCE + 1):
            writer.append(
                detections.image_ids[rows],
                labels[rows],
                detections.scores[rows],
                detections.boxes[rows],
            )
    return len(kept)


def write_predictions(
    predictions: Predictions, path: str | os.PathLike[str], *, command: str = ""
) -> None:
    """Writes Parquet, at all levels that the predictions have.

    Args:
        predictions: all of them are written.
        path: the file, .parquet.
        command: the command line, for the metadata.

    Raises:
        InputError: `path` has another extension.

    Example:
        >>> labels = inatdet.read_image_labels("train2017.json")
        >>> found = inatdet.read_predictions("kaggle.csv", labels)
        >>> inatdet.write_predictions(found, "ranks.parquet")
        >>> inatdet.read_predictions("ranks.parquet", labels)
        Predictions('ranks.parquet': 3 images, the best 2 of 5 species labels)
    """
    _check_extension(path, (PARQUET,))
    own = predictions.trained_on
    with PredictionsWriter(
        path,
        own,
        predictions.taxonomy,
        levels=[level for level in predictions.ranked if level != own],
        has_probabilities=predictions.own.probabilities is not None,
        model=predictions.model,
        settings=predictions.settings,
        command=command,
    ) as writer:
        for start in range(0, len(predictions), _IMAGES_AT_ONCE):
            some = predictions.select(slice(start, start + _IMAGES_AT_ONCE))
            writer.append(some.image_ids, some.ranked)


def _check_extension(path: str | os.PathLike[str], extensions: Sequence[str]) -> None:
    if not os.fspath(path).lower().endswith(tuple(extensions)):
        raise InputError(f"{os.fspath(path)}: must end in {' or '.join(extensions)}")
