"""The weights of Inception V3 as Keras' applications store them: read, layer by layer."""

from __future__ import annotations

import dataclasses
import os
import re

import h5py
import numpy as np

from inatdet.errors import InputError
from inatdet.networks import keras_files

_FILE_NAME = keras_files.FILES["InceptionV3"].name

NUM_CONVS = 94
NUM_PARAMETERS = 21_802_784  # of tf_keras.applications.InceptionV3(include_top=False)


@dataclasses.dataclass(frozen=True)
class ConvWeights:
    """One convolution and the batch norm (without gamma) behind it.

    Attributes:
        kernel: float32 `[kernel height, kernel width, in channels, out channels]`.
        beta: float32 `[out channels]`.
        moving_mean: float32 `[out channels]`.
        moving_variance: float32 `[out channels]`.
    """

    kernel: np.ndarray
    beta: np.ndarray
    moving_mean: np.ndarray
    moving_variance: np.ndarray


def read_inception_v3(path: str) -> list[ConvWeights]:
    """Reads the convolutions of `tf_keras.applications.InceptionV3`.

    Args:
        path: an .h5 file as Keras 2 writes it, of the network with or without its top.

    Returns:
        94 of them, in the order in which Keras creates them: that of the numbers in the layers'
        names, wherever the numbers start. The order in the file is different.

    Raises:
        InputError: if the file is missing, damaged, or of another network.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such weights file")
    try:
        with h5py.File(path, "r") as file:
            layers = _read_layers(file)
    except (OSError, KeyError, RuntimeError, UnicodeDecodeError) as error:
        detail = str(error).strip("'\"").splitlines()[0]
        raise InputError(
            f"{path}: damaged, or not a Keras weights file in HDF5 ({detail}); download it again"
        ) from error
    convs = [weights for weights in layers if [w.ndim for w in weights] == [4]]
    norms = [weights for weights in layers if [w.ndim for w in weights] == [1, 1, 1]]
    if len(convs) != NUM_CONVS or len(norms) != NUM_CONVS:
        raise InputError(
            f"{path}: not the weights of Inception V3: {len(convs)} convolutions without bias and "
            f"{len(norms)} batch norms without gamma, not {NUM_CONVS} of each; give {_FILE_NAME}"
        )
    found = [ConvWeights(*conv, *norm) for conv, norm in zip(convs, norms)]
    size = sum(weight.size for weights in (*convs, *norms) for weight in weights)
    if size != NUM_PARAMETERS or any(_is_mismatched(conv) for conv in found):
        raise InputError(
            f"{path}: not the weights of Inception V3: {size:,} parameters in {NUM_CONVS} "
            f"convolutions and batch norms, not {NUM_PARAMETERS:,}, or in other shapes; "
            f"give {_FILE_NAME}"
        )
    if not all(np.isfinite(weight).all() for weights in (*convs, *norms) for weight in weights):
        raise InputError(f"{path}: holds weights that are not finite; download it again")
    return found


def _read_layers(file: h5py.File) -> list[list[np.ndarray]]:
    """The weights of each layer, the layers in the order of the numbers in their names."""
    # A file of a whole model, not only its weights, has them one level deeper.
    group = file if "layer_names" in file.attrs else file["model_weights"]
    names = sorted((_text(name) for name in group.attrs["layer_names"]), key=_number)
    return [
        [
            np.asarray(group[name][_text(weight)], np.float32)
            for weight in group[name].attrs["weight_names"]
        ]
        for name in names
    ]


def _text(name: bytes | str) -> str:
    return name.decode("utf-8") if isinstance(name, bytes) else str(name)


def _number(name: str) -> int:
    """`conv2d` is 0, `conv2d_7` is 7."""
    match = re.search(r"_(\d+)$", name)
    return int(match[1]) if match else 0


def _is_mismatched(conv: ConvWeights) -> bool:
    channels = (conv.kernel.shape[-1],)
    return any(w.shape != channels for w in (conv.beta, conv.moving_mean, conv.moving_variance))
