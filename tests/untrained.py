"""Models that were never trained, saved like trained ones."""

import tensorflow as tf

from inatdet.classification.task import ClassifierTask
from inatdet.detection.task import DetectionTask
from inatdet.training import experiment
from tests.classification import settings as classification
from tests.settings import training_on


def save(data: str, directory, step: int = 1, more: str = "") -> str:
    """Saves a tiny detector for the labels of some TFRecords.

    Args:
        data: the pattern of the files.
        directory: a folder that exists.
        step: of the checkpoint.
        more: overrides of settings.

    Returns:
        The folder, which holds settings, taxonomy and `ckpt-STEP`.
    """
    params = training_on(data, 1, more)
    tf.random.set_seed(0)
    return _save(params, DetectionTask(params.task).build_model(), directory, step)


def save_classifier(data: str, directory, step: int = 1, more: str = "") -> str:
    """Saves a small classifier for the labels of some TFRecords; see `save`.

    Args:
        data: the pattern of the files.
        directory: a folder that exists.
        step: of the checkpoint.
        more: overrides of settings.
    """
    params = classification.training_on(data, 1, more)
    tf.random.set_seed(0)
    return _save(params, ClassifierTask(params.task).build_model(), directory, step)


def _save(params, model, directory, step):
    experiment.save(params, str(directory))
    checkpoint = tf.train.Checkpoint(model=model, global_step=tf.Variable(step, dtype=tf.int64))
    tf.train.CheckpointManager(checkpoint, str(directory), max_to_keep=1).save(
        checkpoint_number=step
    )
    return str(directory)
