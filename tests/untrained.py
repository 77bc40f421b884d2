"""A model that was never trained, saved like a trained one."""

import tensorflow as tf

from inatdet.detection.task import DetectionTask
from inatdet.training import experiment
from tests.settings import training_on


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
    experiment.save(params, str(directory))
    tf.random.set_seed(0)
    model = DetectionTask(params.task).build_model()
    tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model), str(directory), max_to_keep=1
    ).save(checkpoint_number=step)
    return str(directory)
