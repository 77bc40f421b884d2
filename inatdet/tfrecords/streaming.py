"""The examples of a split in the order in which a model sees them, still serialized."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from inatdet.tfrecords.reading import find_files, read_files
from inatdet.tfrecords.sampling import Resampler


def stream(
    file_pattern: str,
    *,
    is_training: bool,
    seed: int | None = None,
    shuffle_buffer: int = 2048,
    cache: bool = False,
    keep: Callable[[tf.data.Dataset], tf.data.Dataset] | None = None,
    resampler: Resampler | None = None,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Serialized examples: in training shuffled and repeated forever, otherwise in file order.

    Args:
        file_pattern: the TFRecord files.
        is_training: whether to shuffle, resample and repeat.
        seed: makes the order of training repeatable; without training it always is.
        shuffle_buffer: number of examples from which the next one is drawn.
        cache: keeps the examples in memory.
        keep: leaves out the examples that are of no use.
        resampler: in training, shows some examples more or less often than once per epoch.
        input_context: which part of the files is this worker's; with fewer files than workers,
            which part of the examples.

    Raises:
        InputError: if no file matches.
    """
    data = read_files(
        find_files(file_pattern),
        is_training=is_training,
        repeatable=is_repeatable(is_training, seed),
        seed=seed,
        input_context=input_context,
    )
    if keep:
        data = keep(data)
    if cache:
        data = data.cache()
    if is_training:
        if resampler:
            data = resampler(data, seed)
        data = data.shuffle(shuffle_buffer, seed=seed).repeat()
    return data


def map_with_seeds(
    data: tf.data.Dataset,
    function: Callable[[Any, tf.Tensor], Any],
    *,
    is_training: bool,
    seed: int | None,
) -> tf.data.Dataset:
    """Maps elements in parallel, each with a seed of its own.

    A seed for each element rather than stateful random operations, whose draws would depend on
    which of the parallel calls comes first.

    Args:
        data: the elements.
        function: from an element and an int64 `[]` to what takes the element's place.
        is_training: whether the order may differ between runs when there is no seed.
        seed: makes the seeds repeatable; they differ between repetitions of the dataset.
    """
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    return tf.data.Dataset.zip(data, seeds).map(
        function,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=is_repeatable(is_training, seed),
    )


def is_repeatable(is_training: bool, seed: int | None) -> bool:
    """Whether every run must see the same: with a seed, and outside of training always."""
    return seed is not None or not is_training
