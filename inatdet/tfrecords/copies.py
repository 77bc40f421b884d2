"""How often an epoch shows each record in expectation: counted once, and kept beside the model.

A run that goes on needs it where records are left out or repeated. It is a pass over all records,
minutes long for iNat2017's, which is why it is kept: four bytes for each record.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from inatdet.files import atomic_path
from inatdet.tfrecords.reading import untuned
from inatdet.tfrecords.sampling import Copying

FILE = "copies.npz"

_VERSION = 1
_FILES_AT_ONCE = 8  # that are read to count
_AT_ONCE = 1024  # records that are counted in a batch

Copies = list[np.ndarray]
"""float32 `[records]` for each file."""


@dataclass(frozen=True)
class CopiesFile:
    """Where what was counted is kept.

    Attributes:
        path: of the file.
        settings: that what is counted depends on, besides the records.
    """

    path: str
    settings: str

    def read_or(
        self, files: Sequence[str], sizes: Sequence[int], count: Callable[[], Copies]
    ) -> Copies:
        """What the file says of these records, or else what is counted now, which is kept.

        Args:
            files: TFRecord files.
            sizes: their numbers of records.
            count: counts.
        """
        shards = [
            (os.path.basename(file), tf.io.gfile.stat(file).length, size)
            for file, size in zip(files, sizes)
        ]
        key = hashlib.sha256(json.dumps([_VERSION, self.settings, shards]).encode()).hexdigest()
        ends = np.cumsum(sizes)[:-1]
        try:
            # Opened here, because NumPy leaves a file that is no archive open.
            with open(self.path, "rb") as saved, np.load(saved) as content:
                if content["key"] == key and len(content["copies"]) == sum(sizes):
                    return np.split(content["copies"], ends)
        except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile):
            pass  # there is none yet, or it is damaged
        copies = count()
        with atomic_path(self.path) as temporary, open(temporary, "wb") as written:
            np.savez(written, key=key, copies=np.concatenate(copies))
        return copies


def expected_copies(
    files: Sequence[str],
    sizes: Sequence[int],
    keep: Callable[[tf.Tensor], tf.Tensor] | None,
    resampler: Copying | None,
    ignore_errors: bool = False,
) -> Copies:
    """How often an epoch shows each record, in expectation; all are read for it.

    Args:
        files: TFRecord files.
        sizes: their numbers of records.
        keep: whether a serialized example is of use; None if all are.
        resampler: repeats and drops those of use.
        ignore_errors: whether what cannot be read counts as never shown.

    Returns:
        float32 `[records]` for each file.
    """

    def copies(serialized: tf.Tensor) -> tf.Tensor:
        expected = resampler.expected(serialized) if resampler else tf.constant(1.0)
        return tf.where(keep(serialized), expected, 0.0) if keep else expected

    def of_file(number: tf.Tensor, file: tf.Tensor) -> tf.data.Dataset:
        records = tf.data.TFRecordDataset(file)
        records = records.ignore_errors() if ignore_errors else records
        return records.map(lambda record: (number, copies(record)))

    numbered = tf.data.Dataset.from_tensor_slices((np.arange(len(files)), list(files)))
    data = numbered.interleave(
        of_file, cycle_length=_FILES_AT_ONCE, num_parallel_calls=tf.data.AUTOTUNE
    )
    found: list[list[np.ndarray]] = [[] for _ in files]
    with tqdm(total=sum(sizes), desc="counting images", unit="image", disable=None) as bar:
        for numbers, values in untuned(data.batch(_AT_ONCE)).as_numpy_iterator():
            for number in np.unique(numbers):
                found[number].append(values[numbers == number])
            bar.update(len(numbers))
    arrays = [
        np.concatenate([np.zeros(0, np.float32), *parts])[:n] for parts, n in zip(found, sizes)
    ]
    return [np.pad(array, (0, n - len(array))) for array, n in zip(arrays, sizes)]
