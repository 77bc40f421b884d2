"""Finds TFRecord files and reads their examples, still serialized."""

from __future__ import annotations

import tensorflow as tf

from inatdet.errors import InputError
from inatdet.files import matching


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
    files: list[str], input_context: tf.distribute.InputContext | None
) -> tf.data.Dataset:
    """Serialized examples in file order.

    Args:
        files: TFRecord files.
        input_context: which part of the files is this worker's; with fewer files than workers,
            which part of the examples.
    """
    data = tf.data.Dataset.from_tensor_slices(files)
    workers, worker = 1, 0
    if input_context:
        workers, worker = input_context.num_input_pipelines, input_context.input_pipeline_id
    if workers > len(files):
        return tf.data.TFRecordDataset(data).shard(workers, worker)
    return tf.data.TFRecordDataset(data.shard(workers, worker) if workers > 1 else data)


def untuned(data: tf.data.Dataset) -> tf.data.Dataset:
    """A dataset whose parallel calls are as many as there are threads, from the start.

    TensorFlow's tuning of them is a thread that sleeps for up to a minute, and the end of an
    iterator can wait for it: it is woken before it is told to end, and then goes to sleep again.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)
