"""Finds TFRecord files and reads their examples, still serialized."""

from __future__ import annotations

import tensorflow as tf

from inatdet.errors import InputError
from inatdet.files import matching

_FILES_AT_ONCE = 8  # how many files have their examples mixed in training


def find_files(file_pattern: str) -> list[str]:
    """The files that match a pattern, sorted; `InputError` if there are none, or all are empty."""
    files = matching(file_pattern)
    if "://" in file_pattern:  # not on a disk
        files = sorted(tf.io.gfile.glob(file_pattern))
    if not files:
        raise InputError(
            f"no file matches {file_pattern!r}; write TFRecords first (make tfrecords), or correct "
            "the pattern"
        )
    if not any(tf.io.gfile.stat(file).length for file in files):
        raise InputError(
            f"{file_pattern}: holds no image ({len(files)} empty files); write TFRecords again "
            "(make tfrecords)"
        )
    return files


def read_files(
    files: list[str],
    *,
    is_training: bool,
    repeatable: bool,
    seed: int | None,
    input_context: tf.distribute.InputContext | None,
) -> tf.data.Dataset:
    """Serialized examples: in training those of several files mixed, otherwise in file order.

    Args:
        files: TFRecord files.
        is_training: whether to mix files.
        repeatable: whether the order must be the same in every run.
        seed: of the order of files.
        input_context: which part of the files is this worker's; with fewer files than workers,
            which part of the examples.
    """
    data = tf.data.Dataset.from_tensor_slices(files)
    workers, worker = 1, 0
    if input_context:
        workers, worker = input_context.num_input_pipelines, input_context.input_pipeline_id
    if workers > len(files):
        # Each worker reads all files and keeps its share, so all must see the same order.
        data = tf.data.TFRecordDataset(data)
        return data.shard(workers, worker)
    if workers > 1:
        data = data.shard(workers, worker)
    if not is_training:
        return tf.data.TFRecordDataset(data)
    return data.shuffle(len(files), seed=seed).interleave(
        tf.data.TFRecordDataset,
        cycle_length=_FILES_AT_ONCE,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=repeatable,
    )
