"""Finding a model's checkpoints and putting one into a model."""

from __future__ import annotations

import os

import tensorflow as tf
import tf_keras

from inatdet.errors import InputError


def newest(model_dir: str) -> str:
    """The path of a folder's newest checkpoint; `InputError` when there is none."""
    checkpoint = tf.train.latest_checkpoint(model_dir)
    if checkpoint is None:
        raise InputError(f"{model_dir}: no checkpoint there; train first, or give --checkpoint")
    return checkpoint


def short_name(checkpoint: str) -> str:
    """The last two parts of a checkpoint's path: which model, which step."""
    return "/".join(os.path.abspath(checkpoint).split(os.sep)[-2:])


def restore(model: tf_keras.Model, checkpoint: str) -> None:
    """Puts a checkpoint's weights into a model.

    Args:
        model: built with the settings that the checkpoint was trained with.
        checkpoint: its path, without extension.

    Raises:
        InputError: if there is no such checkpoint, or it is of another model.
    """
    read_into(
        checkpoint,
        "does not fit the detector of the settings",
        "use the settings that it was trained with",
        model=model,
    )


def read_into(checkpoint: str, problem: str, remedy: str, **objects: tf_keras.Model) -> None:
    """Reads a checkpoint of which every weight of some models must be found.

    Args:
        checkpoint: its path, without extension.
        problem: what is wrong with a checkpoint that does not fit, for the error.
        remedy: what to do then.
        objects: the models, by the names under which the checkpoint has them.

    Raises:
        InputError: if there is no such checkpoint, or it does not fit.
    """
    try:
        status = tf.train.Checkpoint(**objects).read(checkpoint)
        status.expect_partial().assert_existing_objects_matched()
    except (ValueError, AssertionError, tf.errors.OpError) as error:
        raise InputError(
            f"{checkpoint}: {problem} ({str(error).splitlines()[0]}); {remedy}"
        ) from error
