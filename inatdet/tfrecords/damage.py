"""Finds the damaged file or image: TensorFlow says that something cannot be read, but not what.

Images and records are checked when TFRecords are written, so later damage is rare, and the search
for it costs nothing until it happens.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import tensorflow as tf
from tqdm import tqdm

from inatdet.errors import InputError
from inatdet.tfrecords import examples
from inatdet.tfrecords.encoding import version_of
from inatdet.tfrecords.keys import VERSION
from inatdet.tfrecords.reading import find_files, untuned

_LOGGER = logging.getLogger(__name__)
_WRITE_AGAIN = "write it again (make tfrecords)"


@contextlib.contextmanager
def reading_errors(*file_patterns: str) -> Iterator[None]:
    """Turns a failure to read TFRecords in its block into an `InputError` that names the culprit.

    Args:
        *file_patterns: the files that the datasets used in the block read.

    Raises:
        InputError: reading failed, and a file or image is found that cannot be read.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as error:
        # From the functions of a dataset or from a file of records; the rest is not explained here.
        if not any(
            words in str(error) for words in ("Iterator::", "corrupted record", "truncated record")
        ):
            raise
        _LOGGER.warning("the TFRecords cannot be read; searching them for the damage")
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
        A sentence about the first that cannot be read; None if all can be read.
    """
    records = tf.data.TFRecordDataset(file)
    image_ids: list[int] = []
    try:
        for example in records.map(examples.decode):
            image_ids.append(int(example["image_id"]))
    except tf.errors.DataLossError:
        count = len(image_ids)
        return f"{file}: damaged after {count} records, or not a TFRecord file; {_WRITE_AGAIN}"
    except tf.errors.InvalidArgumentError:
        (serialized,) = records.skip(len(image_ids)).take(1).as_numpy_iterator()
        version = version_of(serialized)
        if version not in (None, VERSION):
            return (
                f"{file}: has records of version {version}, but this version of inatdet reads "
                f"version {VERSION}; {_WRITE_AGAIN}"
            )
        return f"{file}: record {len(image_ids) + 1} is not an example of inatdet; {_WRITE_AGAIN}"
    pixels = records.map(
        lambda record: tf.size(tf.io.decode_jpeg(examples.decode(record)["encoded"], channels=3)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    whole = 0
    try:
        for _ in untuned(pixels):
            whole += 1
    except tf.errors.InvalidArgumentError:
        return (
            f"{file}: image {image_ids[whole]} (record {whole + 1}) cannot be decoded as a JPEG; "
            f"replace its file and {_WRITE_AGAIN}"
        )
    return None
