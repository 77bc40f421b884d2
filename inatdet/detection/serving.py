"""A detector from the bytes of image files to named boxes: restored and saved."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from inatdet.data.granularity import Granularity
from inatdet.detection import experiments
from inatdet.detection.boxes import to_original
from inatdet.detection.config import DetectionExperiment
from inatdet.detection.faster_rcnn import FasterRCNN
from inatdet.detection.pixels import resized_shape
from inatdet.detection.task import DetectionTask
from inatdet.networks import checkpoints
from inatdet.training import averaging, devices, saved_models
from inatdet.training.experiment import label_spaces
from inatdet.training.saved_models import Served

OUTPUTS = frozenset({"boxes", "labels", "names", "scores", "count"})
"""What `ServedDetector.detect` returns."""


class ServedDetector(tf.Module):
    """What `inatdet export` saves; it needs nothing but TensorFlow.

    Args:
        model: the detector.
        names: of the labels 1, 2, ...
        short_edge: images are resized to this shorter side, in pixels ...
        long_edge: ... or to this longer side, if that makes them smaller.
    """

    def __init__(self, model: FasterRCNN, names: Sequence[str], short_edge: int, long_edge: int):
        super().__init__()
        self._model = model
        self._names = tf.constant(["", *names])  # label 0 fills the places after the last detection
        self._edges = short_edge, long_edge

    @tf.function(input_signature=[saved_models.JPEG])
    def detect(self, jpeg: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detects in images, one after another, each at its own size.

        Pixels are used as they are stored, as in training: EXIF orientation is not applied.

        Args:
            jpeg: string `[batch]`, the bytes of JPEG or PNG files.

        Returns:
            `boxes` float32 `[batch, n, 4]`, `x, y, width, height` in pixels of the image;
            `scores` float32 `[batch, n]`; `labels` int32 `[batch, n]`; `names` string
            `[batch, n]`; `count` int32 `[batch]`. Best first; zeros and empty names after the
            last.
        """
        number, corner = tf.TensorSpec([None], tf.float32), tf.TensorSpec([None, 4], tf.float32)
        return tf.map_fn(
            self._detect_one,
            jpeg,
            fn_output_signature={
                "boxes": corner,
                "scores": number,
                "labels": tf.TensorSpec([None], tf.int32),
                "names": tf.TensorSpec([None], tf.string),
                "count": tf.TensorSpec([], tf.int32),
            },
        )

    def _detect_one(self, jpeg: tf.Tensor) -> dict[str, tf.Tensor]:
        image = tf.io.decode_jpeg(jpeg, channels=3)
        original = tf.shape(image)[:2]
        size = tf.stack(resized_shape(original[0], original[1], *self._edges))
        batch = {
            "image": tf.image.resize(image, size)[tf.newaxis],
            "image_size": size[tf.newaxis],
        }
        found = self._model(batch, training=False)
        boxes = to_original(found.boxes, size[tf.newaxis], original[tf.newaxis])
        return {
            "boxes": boxes[0],
            "scores": found.scores[0],
            "labels": found.labels[0],
            "names": tf.gather(self._names, found.labels[0]),
            "count": found.count[0],
        }


def restored(params: DetectionExperiment, checkpoint: str, model_dir: str) -> ServedDetector:
    """A trained detector, ready to be used or saved.

    Args:
        params: the settings that the model was trained with.
        checkpoint: the path of its weights, without extension.
        model_dir: the folder with its taxonomy.

    Raises:
        InputError: if there is no taxonomy, or the checkpoint does not fit the settings.
    """
    names = label_spaces(params, model_dir).names(Granularity(params.task.granularity))
    devices.set_precision(params.runtime)
    model = DetectionTask(params.task, logging_dir=model_dir).build_model()
    averaging.restore(model, checkpoint)
    return ServedDetector(model, names, params.task.short_edge, params.task.long_edge)


def export(params: DetectionExperiment, checkpoint: str, model_dir: str, output_dir: str) -> None:
    """Saves a detector. The folder appears under its name only when it is complete.

    Args:
        params: the settings that the model was trained with.
        checkpoint: the path of its weights, without extension.
        model_dir: the folder with its taxonomy.
        output_dir: the folder to create.

    Raises:
        InputError: if the folder exists or cannot be written, or the checkpoint does not fit the
            settings.
    """

    def build() -> tuple[ServedDetector, Served]:
        served = restored(params, checkpoint, model_dir)
        return served, served.detect

    saved_models.export(build, output_dir)


def trained_detector(model_dir: str, checkpoint: str | None, params_override: str) -> Served:
    """A detector from a folder of checkpoints; `InputError` if the folder holds none."""
    params = experiments.read_saved(model_dir, params_override)
    checkpoint = checkpoint or checkpoints.newest(model_dir)
    served = restored(params, checkpoint, model_dir)
    # A bound tf.function would not keep its object alive.
    return lambda encoded: served.detect(encoded)
