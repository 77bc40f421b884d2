"""Trained models that take the bytes of image files: saved, loaded again, and used on a file.

What they answer is up to their task, in `detection.serving` and `classification.serving`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import numpy as np
import PIL.Image
import tensorflow as tf

from inatdet import locks, outputs
from inatdet.data.image_files import read_for_model
from inatdet.errors import InputError
from inatdet.files import atomic_folder

Served = Callable[[tf.Tensor], dict[str, tf.Tensor]]
"""From the bytes of JPEG or PNG files, string `[batch]`, to named tensors of as many rows."""

_SIGNATURE = "serving_default"
JPEG = tf.TensorSpec([None], tf.string, name="jpeg")
"""The argument of every saved model."""


def export(build: Callable[[], tuple[tf.Module, Served]], output_dir: str) -> None:
    """Saves a model. The folder appears under its name only when it is complete.

    Args:
        build: gives the model and its `tf.function` of `JPEG`; called once nothing is in the way.
        output_dir: the folder to create.

    Raises:
        InputError: if the folder exists or cannot be written.
    """
    output_dir = os.path.abspath(output_dir)
    if os.path.exists(output_dir):
        raise InputError(f"{output_dir}: already exists; name another folder, or remove it")
    outputs.check_folder(output_dir)
    module, function = build()
    with locks.only_writer_of(output_dir), atomic_folder(output_dir) as temporary:
        tf.saved_model.save(module, temporary, signatures={_SIGNATURE: function})


def load(folder: str) -> tuple[Served, frozenset[str]]:
    """Loads a model that `export` saved.

    Returns:
        The model, and the names of its outputs.

    Raises:
        InputError: if the folder holds none.
    """
    try:
        loaded = tf.saved_model.load(folder)
        signature = loaded.signatures[_SIGNATURE]
    except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
        raise InputError(
            f"{folder}: cannot be loaded as a SavedModel ({str(error).splitlines()[0]}); "
            "write one with inatdet export"
        ) from error

    def served(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        # Through `loaded`, which must stay alive as long as its signatures are called.
        found: dict[str, tf.Tensor] = loaded.signatures[_SIGNATURE](jpeg=encoded)
        return found

    return served, frozenset(signature.structured_outputs)


def apply(
    served: Served, path: str, upright: bool
) -> tuple[PIL.Image.Image, Mapping[str, np.ndarray]]:
    """Uses a model on one file.

    Args:
        served: the model.
        path: of an image file.
        upright: applies the file's EXIF orientation first.

    Returns:
        The image, RGB, and the row of each of the model's outputs.

    Raises:
        InputError: the file cannot be read as an image, or is too large for the memory.
    """
    try:
        picture, encoded = read_for_model(path, upright)
        found = served(tf.constant([encoded]))
        return picture, {name: value.numpy()[0] for name, value in found.items()}
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise InputError(
            f"{path}: needs more memory than there is; make the image smaller"
        ) from error
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"{path}: TensorFlow cannot decode it, though Pillow can; save it again as JPEG or PNG"
        ) from error
