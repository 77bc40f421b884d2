"""Where the images to classify come from: TFRecords, or files that JSON lists."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import Protocol

import tensorflow as tf

from inatdet.data.annotations import Image
from inatdet.data.file_names import explain_missing
from inatdet.data.jpeg import BadFileError, open_jpeg
from inatdet.data.reading_ahead import map_ahead
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.tfrecords import contents, examples
from inatdet.tfrecords.damage import reading_errors
from inatdet.tfrecords.journal import count_images
from inatdet.tfrecords.sources import ImagesFolder
from inatdet.tfrecords.streaming import in_file_order
from inatdet.training import applying

_THREADS = 8  # that wait for the disk
_AHEAD = 32  # files in memory

_ENCODED = {
    "encoded": tf.TensorSpec([], tf.string),
    "image_id": tf.TensorSpec([], tf.int64),
}


class Source(Protocol):
    """Encoded images.

    Attributes:
        place: what messages call it.
    """

    place: str

    def check(self, taxonomy: Taxonomy, any_labels: bool) -> None:
        """Checks what can be checked before the work begins.

        Args:
            taxonomy: the model's label spaces.
            any_labels: whether the images may have other categories.

        Raises:
            InputError: images are missing, or of other categories.
        """

    def count(self) -> int | None:
        """How many images there are, if that is known."""

    def stamp(self) -> str:
        """A hash that changes when the images do, as far as this shows without reading them."""

    def summary_sha256(self) -> str:
        """The SHA-256 of the summary beside records; empty where there is none."""

    def images(
        self, context: tf.distribute.InputContext | None = None, skip: int = 0
    ) -> tf.data.Dataset:
        """Each image once: `encoded` string `[]`, a JPEG; and `image_id` int64 `[]`.

        Args:
            context: which part of them is this worker's.
            skip: the first so many of this part are left out.
        """

    def errors(self) -> contextlib.AbstractContextManager[None]:
        """Turns a failure to read images in its block into an `InputError` that names the file."""


class Records:
    """The images of TFRecords; see `Source`.

    Args:
        pattern: of the files.
    """

    def __init__(self, pattern: str):
        self.place = pattern

    def check(self, taxonomy: Taxonomy, any_labels: bool) -> None:
        """Whether the records are there, whole, and of the model's categories."""
        applying.check_records(self.place, taxonomy, any_labels)

    def count(self) -> int | None:
        """As the summary beside the records says."""
        return count_images(self.place)

    def stamp(self) -> str:
        """See `applying.stamp_of`."""
        return applying.stamp_of(self.place)

    def summary_sha256(self) -> str:
        """See `contents.summary_sha256`."""
        return contents.summary_sha256(self.place)

    def images(
        self, context: tf.distribute.InputContext | None = None, skip: int = 0
    ) -> tf.data.Dataset:
        """In the order of the files."""
        data = in_file_order(self.place, input_context=context).skip(skip)
        return data.map(examples.decode_image)

    def errors(self) -> contextlib.AbstractContextManager[None]:
        """See `reading_errors`."""
        return reading_errors(self.place)


class ImageFiles:
    """JPEG files in a folder; see `Source`.

    Args:
        listed: the images.
        folder: that their names are relative to.
    """

    def __init__(self, listed: Sequence[Image], folder: str):
        self.place = folder
        self._listed = listed
        self._failure: InputError | None = None

    def check(self, taxonomy: Taxonomy, any_labels: bool) -> None:
        """Whether all files are there."""
        del taxonomy, any_labels
        missing = [
            image.file_name
            for image in self._listed
            if not os.path.isfile(image.path_in(self.place))
        ]
        if missing:
            what, remedy = explain_missing(self.place, missing, len(self._listed))
            raise InputError(f"{what}; {remedy}")

    def count(self) -> int:
        """All that are listed."""
        return len(self._listed)

    def stamp(self) -> str:
        """Of the list, and of the files' sizes and when they were last changed."""
        every = range(len(self._listed))
        files = ImagesFolder(self.place, self._listed, every, _THREADS).stamp(every)
        listed = [(image.id, image.file_name) for image in self._listed]
        return hashlib.sha256(f"{files} {listed}".encode("utf-8", "backslashreplace")).hexdigest()

    def summary_sha256(self) -> str:
        """Nothing: there is no such summary."""
        return ""

    def images(
        self, context: tf.distribute.InputContext | None = None, skip: int = 0
    ) -> tf.data.Dataset:
        """In the order of the list."""
        workers, worker = 1, 0
        if context:
            workers, worker = context.num_input_pipelines, context.input_pipeline_id
        return tf.data.Dataset.from_generator(
            lambda: self._read(self._listed[worker::workers][skip:]), output_signature=_ENCODED
        )

    def _read(self, listed: Sequence[Image]) -> Iterator[dict[str, bytes | int]]:
        try:
            with concurrent.futures.ThreadPoolExecutor(_THREADS) as readers:
                for image, data in zip(listed, map_ahead(readers, self._data, listed, _AHEAD)):
                    yield {"encoded": data, "image_id": image.id}
        except BadFileError as error:
            # TensorFlow would pass on its text alone, within a traceback.
            self._failure = InputError(str(error))
            raise

    def _data(self, image: Image) -> bytes:
        return open_jpeg(self.place, image).data

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Of files that cannot be read, and of those that cannot be decoded."""
        try:
            yield
        except tf.errors.OpError as error:
            if self._failure:
                raise self._failure from error
            if isinstance(error, tf.errors.InvalidArgumentError):
                for image in self._listed:
                    _decode(image, self.place)
            raise


def _decode(image: Image, folder: str) -> None:
    """Raises `InputError` unless TensorFlow can decode a file."""
    try:
        tf.io.decode_jpeg(open_jpeg(folder, image).data, channels=3)
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"{image.path_in(folder)} (image {image.id}) cannot be decoded as a JPEG; replace it"
        ) from error
