"""A classifier from the bytes of image files to named labels: restored and saved."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from inatdet.classification import crops, experiments
from inatdet.classification.config import ClassificationExperiment, ClassificationTask
from inatdet.classification.model import Classifier
from inatdet.classification.restoring import restored
from inatdet.data.granularity import Granularity
from inatdet.networks import checkpoints
from inatdet.training import saved_models
from inatdet.training.experiment import label_spaces
from inatdet.training.saved_models import Served

OUTPUTS = frozenset({"labels", "names", "probabilities"})
"""What `ServedClassifier.classify` returns."""


class ServedClassifier(tf.Module):
    """What `inatdet export` saves; it needs nothing but TensorFlow.

    Args:
        model: the classifier.
        names: of the labels 1, 2, ...
        config: which part of an image it sees, and at which size.
    """

    def __init__(self, model: Classifier, names: Sequence[str], config: ClassificationTask):
        super().__init__()
        self._model = model
        self._names = tf.constant(names)
        self._fraction = config.fraction_seen()
        self._side = config.image_size
        self._shrink = config.shrink_while_decoding

    @tf.function(input_signature=[saved_models.JPEG])
    def classify(self, jpeg: tf.Tensor) -> dict[str, tf.Tensor]:
        """Names what images show.

        Pixels are used as they are stored, as in training: EXIF orientation is not applied.

        Args:
            jpeg: string `[batch]`, the bytes of JPEG or PNG files.

        Returns:
            `names` string `[batch, labels]`, `labels` int32 `[batch, labels]` and `probabilities`
            float32 `[batch, labels]` of all labels, best first; of equals, the lower label.
        """
        image = tf.map_fn(
            self._middle, jpeg, fn_output_signature=tf.TensorSpec([self._side, self._side, 3])
        )
        probabilities = self._model.probabilities(self._model(image, training=False))
        best, place = tf.math.top_k(probabilities, len(self._names))
        return {
            "names": tf.gather(self._names, place),
            "labels": place + 1,
            "probabilities": best,
        }

    def _middle(self, encoded: tf.Tensor) -> tf.Tensor:
        return tf.cond(
            tf.io.is_jpeg(encoded),
            lambda: crops.decode(
                encoded,
                crops.central_window(tf.image.extract_jpeg_shape(encoded)[:2], self._fraction),
                self._side,
                self._shrink,
            ),
            lambda: self._middle_of_other(encoded),
        )

    def _middle_of_other(self, encoded: tf.Tensor) -> tf.Tensor:
        """The same of a PNG, which cannot shrink while it is decoded."""
        image = tf.io.decode_png(encoded, channels=3)
        top, left, height, width = tf.unstack(
            crops.central_window(tf.shape(image)[:2], self._fraction)
        )
        part = image[top : top + height, left : left + width]
        return tf.ensure_shape(
            tf.image.resize(part, [self._side, self._side]), [self._side, self._side, 3]
        )


def export(
    params: ClassificationExperiment, checkpoint: str, model_dir: str, output_dir: str
) -> None:
    """Saves a classifier. The folder appears under its name only when it is complete.

    Args:
        params: the settings that the model was trained with.
        checkpoint: the path of its weights, without extension.
        model_dir: the folder with its taxonomy.
        output_dir: the folder to create.

    Raises:
        InputError: if the folder exists or cannot be written, or the checkpoint does not fit the
            settings.
    """

    def build() -> tuple[ServedClassifier, Served]:
        served = _served(params, checkpoint, model_dir)
        return served, served.classify

    saved_models.export(build, output_dir)


def trained_classifier(model_dir: str, checkpoint: str | None, params_override: str) -> Served:
    """A classifier from a folder of checkpoints; `InputError` if the folder holds none."""
    params = experiments.read_saved(model_dir, params_override)
    served = _served(params, checkpoint or checkpoints.newest(model_dir), model_dir)
    # A bound tf.function would not keep its object alive.
    return lambda encoded: served.classify(encoded)


def _served(params: ClassificationExperiment, checkpoint: str, model_dir: str) -> ServedClassifier:
    names = label_spaces(params, model_dir).names(Granularity(params.task.granularity))
    return ServedClassifier(restored(params, checkpoint, model_dir), names, params.task)
