"""A model's checkpoints: found, identified, checked and read into a model."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection

import tensorflow as tf
import tf_keras

from inatdet.errors import InputError
from inatdet.files import check_version, digest_of, write_text

FORMAT_VERSION = 1
"""Of a model's folder: the checkpoints' structure, the settings and the files beside them."""

FORMAT_FILE = "format.json"

_TRAIN_AGAIN = "make the model again with inatdet train and another --model_dir"


def latest(model_dir: str) -> str | None:
    """The path of a folder's newest checkpoint, whole or not; None when there is none.

    It is the one that is `named`, or, without such, the one after most steps.
    """
    return named(model_dir) or next(iter(_by_step(model_dir)), None)


def named(model_dir: str) -> str | None:
    """The path of the checkpoint that a folder's file `checkpoint` names, if it is there."""
    try:
        state = tf.train.get_checkpoint_state(model_dir)
    except (ValueError, tf.errors.OpError):  # the file is empty, or no text
        return None
    # Not tf.train.latest_checkpoint, which takes brackets in a folder's name for a pattern.
    path: str | None = state.model_checkpoint_path if state else None
    return path if path and os.path.exists(f"{path}.index") else None


def newest_whole(model_dir: str, without: Collection[str] = ()) -> str | None:
    """The path of a folder's newest checkpoint that can be read to the end; None without one.

    Args:
        model_dir: the folder.
        without: paths of checkpoints that are not meant.
    """
    first = latest(model_dir)
    found = dict.fromkeys([first, *_by_step(model_dir)] if first else [])
    return next((c for c in found if c and c not in without and not fault_of(c)), None)


def fault_of(checkpoint: str) -> str:
    """What is wrong with the files of a checkpoint, all of which are read; empty if nothing is.

    Args:
        checkpoint: its path, without extension.
    """
    try:
        reader = tf.train.load_checkpoint(checkpoint)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)  # compares it with its checksum
    except (tf.errors.OpError, LookupError, RuntimeError, ValueError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0]
    return ""


def _by_step(model_dir: str) -> list[str]:
    """The paths of the checkpoints in a folder, the one after most steps first."""
    if not os.path.isdir(model_dir):
        return []
    steps = [re.fullmatch(r"ckpt-(\d+)\.index", name) for name in os.listdir(model_dir)]
    found = sorted((int(match[1]) for match in steps if match), reverse=True)
    return [os.path.join(model_dir, f"ckpt-{step}") for step in found]


def newest(model_dir: str) -> str:
    """The path of a folder's newest checkpoint; `InputError` when there is none."""
    checkpoint = latest(model_dir)
    if checkpoint is None:
        raise InputError(f"{model_dir}: no checkpoint there; train first, or give --checkpoint")
    return checkpoint


def step_of(checkpoint: str) -> int:
    """How many steps a checkpoint's model was trained; 0 if it does not say."""
    try:
        reader = tf.train.load_checkpoint(checkpoint)
        return int(reader.get_tensor("global_step/.ATTRIBUTES/VARIABLE_VALUE"))
    except (tf.errors.OpError, LookupError, RuntimeError, ValueError):
        return 0


def short_name(checkpoint: str) -> str:
    """The last two parts of a checkpoint's path: which model, which step."""
    return "/".join(os.path.abspath(checkpoint).split(os.sep)[-2:])


def sha256_of(checkpoint: str) -> str:
    """The SHA-256 of a checkpoint's index, which holds checksums of all of its tensors.

    Raises:
        InputError: if there is no such checkpoint.
    """
    try:
        return digest_of(f"{checkpoint}.index", "sha256")
    except OSError as error:
        raise InputError(
            f"{checkpoint}.index: cannot be read ({error.strerror}); give the path of a "
            "checkpoint without its extension"
        ) from error


def save_format(model_dir: str) -> None:
    """Writes the format version beside a model's checkpoints."""
    content = json.dumps({"version": FORMAT_VERSION})
    write_text(os.path.join(model_dir, FORMAT_FILE), content + "\n")


def check_format(model_dir: str) -> None:
    """Raises InputError if a folder holds a model of a format that this version does not read.

    A folder without a format version is of version 1.
    """
    path = os.path.join(model_dir, FORMAT_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            version = json.load(file)["version"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: cannot be read as a format version ({error!r}); {_TRAIN_AGAIN}"
        ) from error
    check_version(path, version, FORMAT_VERSION, _TRAIN_AGAIN)


def check_folder_name(model_dir: str) -> None:
    """Raises `InputError` where TensorFlow would take a folder's name for a pattern."""
    for character in "[]*?\\":
        if character in model_dir:
            raise InputError(
                f"{model_dir}: has a {character} in its name, and TensorFlow finds no checkpoint "
                "in such a folder; name one without it"
            )


def restore(model: tf_keras.Model, checkpoint: str) -> None:
    """Reads a checkpoint's weights into a model.

    Args:
        model: built with the settings that the checkpoint was trained with.
        checkpoint: its path, without extension.

    Raises:
        InputError: if there is no such checkpoint, or it is of another model or format version.
    """
    check_folder_name(os.path.dirname(checkpoint))
    check_format(os.path.dirname(checkpoint))
    read_into(
        checkpoint,
        "does not fit the model of the settings",
        "use the settings that it was trained with",
        model=model,
    )


def read_into(checkpoint: str, problem: str, remedy: str, **objects: tf_keras.Model) -> None:
    """Reads a checkpoint, which must have every weight of some models.

    Args:
        checkpoint: its path, without extension.
        problem: what is wrong with a checkpoint that does not fit, for the error message.
        remedy: what to do then, likewise.
        objects: the models, by the names under which the checkpoint has them.

    Raises:
        InputError: if there is no such checkpoint, or it does not fit.
    """
    try:
        status = tf.train.Checkpoint(**objects).read(checkpoint)
        status.expect_partial().assert_existing_objects_matched()
    except (tf.errors.OpError, AssertionError, LookupError, RuntimeError, ValueError) as error:
        if os.path.exists(f"{checkpoint}.index") and (fault := fault_of(checkpoint)):
            other = newest_whole(os.path.dirname(checkpoint), without=[checkpoint])
            raise InputError(
                f"{checkpoint}: is damaged ({fault}); use "
                f"{other or 'another checkpoint, as no other one there is whole'}"
            ) from error
        raise InputError(
            f"{checkpoint}: {problem} ({str(error).splitlines()[0]}); {remedy}"
        ) from error
