"""What applying a trained model to many images takes, whatever its task."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.tfrecords.contents import check_categories, check_complete
from inatdet.tfrecords.reading import find_files


def check_coarser(
    taxonomy: Taxonomy, granularity: Granularity, coarser: Collection[Granularity]
) -> None:
    """Raises `InputError` unless probabilities at a level can be summed at some others.

    Args:
        taxonomy: the model's label spaces.
        granularity: the model's level.
        coarser: the levels that --granularities asks for.
    """
    possible = taxonomy.coarser_or_equal(granularity)[1:]
    for target in coarser:
        if target not in possible:
            raise InputError(
                f"--granularities={target}: must be one of the levels coarser than the model's, "
                f"{granularity}: {', '.join(possible) or 'none'}"
            )


def check_records(file_pattern: str, taxonomy: Taxonomy, any_labels: bool) -> None:
    """Checks that records are there, whole, and of the categories of a model.

    Args:
        file_pattern: the records.
        taxonomy: the model's label spaces.
        any_labels: whether they may have other categories.

    Raises:
        InputError: they are not.
    """
    find_files(file_pattern)
    check_complete(file_pattern)
    if not any_labels:
        check_categories(file_pattern, taxonomy)


def marginal_path(output: str, granularity: Granularity) -> str:
    """The file for detections by summed probabilities: x.super.parquet for x.parquet."""
    stem, extension = os.path.splitext(output)
    return f"{stem}.{granularity}{extension}"


def groups(
    taxonomy: Taxonomy, granularity: Granularity, target: Granularity
) -> tuple[np.ndarray, int]:
    """The group of each class, from 0, at a coarser level, and how many groups there are."""
    labels = np.arange(1, taxonomy.num_labels(granularity) + 1)
    return taxonomy.coarsen(labels, granularity, target) - 1, taxonomy.num_labels(target)


def local_parts(strategy: tf.distribute.Strategy, values: object) -> list[Any]:
    """The replicas' parts of a structure, as one structure per replica."""
    parts = [strategy.experimental_local_results(value) for value in tf.nest.flatten(values)]
    return [tf.nest.pack_sequence_as(values, flat) for flat in zip(*parts)]


@contextlib.contextmanager
def words_for_an_interruption() -> Iterator[None]:
    """Says, when its block is interrupted, that nothing is left of it."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("nothing was written, so the same command begins again") from error
