"""Which file or image is it? TensorFlow says that something cannot be read, but not what.

Images and records are checked when TFRecords are written, so damage afterwards is rare, and looking
for it costs nothing until it happens.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import tensorflow as tf
from tqdm import tqdm

from inatdet.errors import InputError
from inatdet.tfrecords import examples
from inatdet.tfrecords.reading import find_files


@contextlib.contextmanager
def reading_errors(*file_patterns: str) -> Iterator[None]:
    """Makes a failure to read TFRecords in its block an `InputError` that names the culprit.

    Args:
        *file_patterns: what the datasets used in the block are made of.

    Raises:
        InputError: if reading failed and a file or image is found that cannot be read.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as error:
        # From a dataset's functions, and from a file of records; all else is not ours to explain.
        if not any(
            words in str(error) for words in ("Iterator::", "corrupted record", "truncated record")
        ):
            raise
        print("the TFRecords cannot be read; looking for the place", file=sys.stderr)
        for pattern in file_patterns:
            for file in tqdm(find_files(pattern), unit="file", disable=None):
                problem = find_damage(file)
                if problem:
                    raise InputError(problem) from error
        raise


def find_damage(file: str) -> str | None:
    """Reads all records and images of a TFRecord file.

    Args:
        file: its path.

    Returns:
        A sentence on the first that cannot be read, or None.
    """
    again = "write it again (make tfrecords)"
    records = tf.data.TFRecordDataset(file)
    image_ids: list[int] = []
    try:
        for example in records.map(examples.decode):
            image_ids.append(int(example["image_id"]))
    except tf.errors.DataLossError:
        return f"{file}: damaged after {len(image_ids)} records, or no TFRecord file; {again}"
    except tf.errors.InvalidArgumentError:
        return f"{file}: record {len(image_ids) + 1} is no example of inatdet tfrecords; {again}"
    pixels = records.map(
        lambda record: tf.size(tf.io.decode_jpeg(examples.decode(record)["encoded"], channels=3)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    whole = 0
    try:
        for _ in pixels:
            whole += 1
    except tf.errors.InvalidArgumentError:
        return (
            f"{file}: image {image_ids[whole]} (record {whole + 1}) cannot be decoded as a JPEG; "
            f"replace its file and {again}"
        )
    return None
