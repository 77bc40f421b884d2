"""A model that was never trained, saved as a trained one is."""

import tensorflow as tf
from official.core import task_factory, train_utils

from inatdet.training import experiment
from tests.programs.test_train import settings


def save(data: str, directory, step: int = 1) -> str:
    """Saves a tiny detector for the labels of some TFRecords.

    Args:
        data: the pattern of the files.
        directory: a folder that exists.
        step: in the checkpoint's name.

    Returns:
        The folder, which holds settings, taxonomy and `ckpt-STEP`.
    """
    params = settings(data, 1)
    experiment.adopt_taxonomy(params, str(directory))
    train_utils.serialize_config(params, str(directory))
    tf.random.set_seed(0)
    model = task_factory.get_task(params.task).build_model()
    tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model), str(directory), max_to_keep=1
    ).save(checkpoint_number=step)
    return str(directory)
