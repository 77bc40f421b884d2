"""The features of a frozen trunk, computed once for each training image and kept on disk.

A trunk that is not trained gives the same features for an image in every epoch. They are kept in
bfloat16, of each image as it is and flipped, so that training computes only what follows. What is
kept depends on the trunk's weights, the records and the settings that matter to it: all runs for
which these are the same share it, whatever their seeds, labels and learning rates.

Each image has the features that it has alone. In a padded batch that is what
`backbone.mask_padding` gives.
"""

from __future__ import annotations

import functools
import glob
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from inatdet import locks, outputs
from inatdet.detection import feature_store, pixels
from inatdet.detection.config import FasterRCNNTask
from inatdet.detection.faster_rcnn import FasterRCNN
from inatdet.errors import InputError
from inatdet.files import write_text
from inatdet.networks import inception_v3
from inatdet.parts import sha256_of_arrays
from inatdet.tfrecords import examples
from inatdet.tfrecords.reading import untuned
from inatdet.tfrecords.streaming import in_file_order, made_ahead
from inatdet.training.applying import stamp_of
from inatdet.training.durations import duration

_VERSION = 1
_MADE_WITH, _COMPLETE = "made_with.json", "complete.json"
_FLIPS = (False, True)
_BYTES = 2  # of a value
_AT_ONCE = 1024  # sizes that are read in a batch


def has_features(folder: str) -> bool:
    """Whether a folder for features has any, whatever they were computed of and with.

    Args:
        folder: `task.feature_cache`.
    """
    return bool(glob.glob(os.path.join(glob.escape(folder), "*", _COMPLETE)))


class FeatureCache:
    """The features of all training images of a detector in the C4 form.

    Batches can be made before `fill` is called, but not read.

    Args:
        config: the task's settings; its trunk is frozen to its end.
    """

    def __init__(self, config: FasterRCNNTask):
        self._config = config
        self._reader: feature_store.FeatureReader | None = None

    def features_of(self, encoded: tf.Tensor, flips: tf.Tensor) -> tf.Tensor:
        """Reads features, inside a graph.

        Args:
            encoded: JPEGs as the records have them, string `[n]`.
            flips: bool `[n]`, whether the images are flipped.

        Returns:
            bfloat16 `[n, rows, columns, channels]`, zero behind the cells of smaller images.
        """
        found = tf.numpy_function(self._read, [_key_of(encoded), flips], tf.uint16)
        return from_bits(found)

    def fill(self, model: FasterRCNN, notify: Callable[[str], None]) -> None:
        """Computes what is not there yet, which may be all or nothing.

        Args:
            model: with the weights that training begins with.
            notify: is told how much is computed and where it is kept.

        Raises:
            InputError: the disk has too little room, the folder cannot be written, or an image is
                damaged.
        """
        folder, made_with = self._folder_of(model)
        outputs.check_folder(folder)
        store = feature_store.FeatureStore(folder, len(_FLIPS))
        waiting = f"waiting for another process, which computes these features in {folder}"
        with locks.only_writer_in_turn(folder, lambda: notify(waiting)):
            before = _complete(folder)
            images = before or self.count_images()
            if not images:
                raise InputError(
                    f"{self._config.train_data.input_path}: holds no image to train on; write "
                    "TFRecords of images with boxes"
                )
            with _bar("checking features", images) as bar:
                missing = store.missing(images, bar.update)
            if missing and before:
                lost = sum(len(feature_store.images_of(part, images)) for part in missing)
                notify(
                    f"warning: the features of {lost:,} of {images:,} images in {folder} are "
                    "damaged or lost; they are computed again"
                )
            if missing:
                write_text(os.path.join(folder, _MADE_WITH), made_with)
                self._compute(model, store, folder, images, missing, notify)
            else:
                notify(f"using the features of {images:,} images in {folder}")
            if images != before:
                write_text(os.path.join(folder, _COMPLETE), json.dumps({"images": images}) + "\n")
        self._reader = store.open(images)

    def count(self, model: FasterRCNN) -> int | None:
        """Of how many images there are features computed with these weights; None if not of all.

        They may have been damaged since, which `fill` finds out.
        """
        return _complete(self._folder_of(model)[0])

    def count_images(self) -> int:
        """How many images there are to train on, for which all records are read once."""
        return len(self._map_sizes)

    def _folder_of(self, model: FasterRCNN) -> tuple[str, str]:
        """Where the features are, and what they are made with, which says where."""
        made_with = json.dumps(self._made_with(model), indent=1, sort_keys=True) + "\n"
        name = hashlib.sha256(made_with.encode()).hexdigest()[:16]
        return os.path.join(self._config.feature_cache, name), made_with

    def _read(self, keys: np.ndarray, flips: np.ndarray) -> np.ndarray:
        assert self._reader is not None, "features are read before they were computed"
        return self._reader.batch(keys, flips)

    def _made_with(self, model: FasterRCNN) -> dict[str, object]:
        """All that features depend on, but for the machine."""
        config, backbone = self._config, self._config.model.backbone
        trunk = model.backbone_parts[0]
        return {
            "version": _VERSION,
            "records": stamp_of(config.train_data.input_path),
            "weights": sha256_of_arrays(*trunk.get_weights()),
            "precision": trunk.compute_dtype,
            "short_edge": config.short_edge,
            "long_edge": config.long_edge,
            "padding": backbone.padding,
            "mask_padding": backbone.mask_padding,
        }

    @functools.cached_property
    def _map_sizes(self) -> np.ndarray:
        """Rows and columns of the feature map of each image, `[images, 2]`."""
        config = self._config
        data = self._records().map(examples.decode_size, num_parallel_calls=tf.data.AUTOTUNE)
        sizes = [
            pixels.resized_sizes(batch, config.short_edge, config.long_edge).numpy()
            for batch in untuned(data.batch(_AT_ONCE))
        ]
        return -(-np.concatenate([np.zeros([0, 2], int), *sizes]) // inception_v3.TRUNK_STRIDE)

    def _records(self) -> tf.data.Dataset:
        """Those that may be trained on, serialized, in file order."""
        return in_file_order(self._config.train_data.input_path, keep=examples.is_boxed)

    def _compute(
        self,
        model: FasterRCNN,
        store: feature_store.FeatureStore,
        folder: str,
        images: int,
        missing: list[int],
        notify: Callable[[str], None],
    ) -> None:
        """Computes and writes some parts, once there is room for them."""
        wanted = np.zeros(images, bool)
        for part in missing:
            wanted[feature_store.images_of(part, images)] = True
        channels = model.backbone_parts[0].output_shape[-1]
        needed = int(self._map_sizes[wanted].prod(axis=1).sum()) * channels * _BYTES * len(_FLIPS)
        free, count = outputs.free_space(folder), int(wanted.sum())
        if needed > free:
            raise InputError(
                f"{folder}: the features of {count:,} images take {outputs.gigabytes(needed)}, but "
                f"only {outputs.gigabytes(free)} are free; free space, name a folder on another "
                "disk, or leave task.feature_cache out"
            )
        done = f"going on behind {images - count:,} images: " if count < images else ""
        notify(
            f"{done}computing the features of {count:,} images, {outputs.gigabytes(needed)}, in "
            f"{folder} ({outputs.gigabytes(free)} are free)"
        )
        started = time.monotonic()
        computed = self.computed(model, wanted)
        with _bar("computing features", images, initial=images - count) as bar:
            for part in missing:
                keys, maps = [], []
                for _ in feature_store.images_of(part, images):
                    key, features = next(computed)
                    keys.append(key)
                    maps.append(features)
                    bar.update()
                store.write(part, keys, maps)
        notify(f"computed them in {duration(time.monotonic() - started)}")

    def computed(self, model: FasterRCNN, wanted: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Computes features.

        Args:
            model: with the weights that training begins with.
            wanted: bool `[images]`, of which of the first so many images.

        Yields:
            The key of each wanted image, and its features, uint16 `[flips, rows, columns, …]`.
        """
        short_edge, long_edge = self._config.short_edge, self._config.long_edge

        def both(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            jpeg = examples.decode(serialized)["encoded"]
            views = tf.stack([pixels.decode(jpeg, tf.constant(flip), flip) for flip in _FLIPS])
            shape = tf.shape(views)[1:3]
            size = pixels.resized_shape(shape[0], shape[1], short_edge, long_edge)
            return _key_of(jpeg), tf.image.resize(views, size)

        @tf.function(input_signature=[tf.TensorSpec([len(_FLIPS), None, None, 3])])
        def features(image: tf.Tensor) -> tf.Tensor:
            size = tf.tile(tf.shape(image)[tf.newaxis, 1:3], [len(_FLIPS), 1])
            found = model.first_stage.features_of(image, size, False)
            return tf.bitcast(tf.cast(found, tf.bfloat16), tf.uint16)

        data = tf.data.Dataset.zip(self._records(), tf.data.Dataset.from_tensor_slices(wanted))
        data = data.filter(lambda _, is_wanted: is_wanted)
        data = data.map(
            lambda serialized, _: both(serialized),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        strategy = model.distribute_strategy
        for key, image in made_ahead(data):
            found = strategy.run(features, args=(image,))  # the same on all replicas
            yield int(key), strategy.experimental_local_results(found)[0].numpy()


def from_bits(found: tf.Tensor) -> tf.Tensor:
    """What a NumPy function gave as uint16 `[n, rows, columns, channels]`, as bfloat16."""
    found.set_shape([None, None, None, None])
    return tf.bitcast(found, tf.bfloat16)


def _key_of(encoded: tf.Tensor) -> tf.Tensor:
    """A hash of JPEGs by which their features are found, int64 of the same shape.

    Not their ids, which records of several datasets may share.
    """
    return tf.strings.to_hash_bucket_fast(encoded, 2**63 - 1)


def _complete(folder: str) -> int | None:
    """How many images there are, if the features of all were written."""
    try:
        with open(os.path.join(folder, _COMPLETE), encoding="utf-8") as file:
            return int(json.load(file)["images"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _bar(what: str, images: int, initial: int = 0) -> tqdm:
    return tqdm(total=images, initial=initial, desc=what, unit=" images", delay=1, disable=None)
