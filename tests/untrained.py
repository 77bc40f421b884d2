"""Models that were never trained, saved like trained ones."""

import tensorflow as tf
import tf_keras
from inatdet.classification.task import ClassifierTask

from inatdet.detection.task import DetectionTask
from inatdet.training import experiment
from tests.settings import classifying, training_on


def save(data: str, directory, step: int = 1) -> str:
    """Saves a tiny detector for the labels of some TFRecords.

    Args:
        data: the pattern of the files.
        directory: a folder that exists.
        step: in the checkpoint's name.

    Returns:
        The folder, which holds settings, taxonomy and `ckpt-STEP`.
    """
    params = training_on(data, 1)
    tf.random.set_seed(0)
    return _save(params, DetectionTask(params.task).build_model(), directory, step)


def save_classifier(data: str, directory, step: int = 1, more: str = "") -> str:
    """Saves a small classifier for the labels of some TFRecords; see `save`.

    Args:
        data: the pattern of the files.
        directory: a folder that exists.
        step: in the checkpoint's name.
        more: overrides of settings.
    """
    params = classifying(data, more)
    tf.random.set_seed(0)
    return _save(params, ClassifierTask(params.task).build_model(), directory, step)


def tiny_network(*args: object, **options: object) -> tf_keras.Model:
    """Takes the place of `classifiers.build` in tests that are not about the network.

    The graphs of real ones take seconds to build, for each program and device anew.
    """
    del args, options
    convolutions = [tf_keras.layers.Conv2D(n, 3, 2, activation="tanh") for n in (8, 16)]
    return tf_keras.Sequential([tf_keras.Input((None, None, 3)), *convolutions])


def _save(params, model, directory, step):
    experiment.save(params, str(directory))
    tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model), str(directory), max_to_keep=1
    ).save(checkpoint_number=step)
    return str(directory)
