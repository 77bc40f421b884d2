"""Where the ImageNet weights of Keras' applications are, and how they get here.

Addresses and hashes are those in `tf_keras/src/applications`. Files are stored where Keras stores
them, so a copy that Keras has already downloaded is used. Keras' own `get_file` is not: it
downloads to the final name, so an interruption leaves half a file.
"""

from __future__ import annotations

import dataclasses
import os

from inatdet.download import download
from inatdet.errors import InputError
from inatdet.files import digest_of

IMAGENET = "imagenet"
"""What settings call the file of Keras' applications."""

BASE_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"

_ATTEMPTS = 4  # without a network, whoever waits for training to start learns it in seconds


@dataclasses.dataclass(frozen=True)
class KerasFile:
    """A network's weights without the layer of ImageNet's classes.

    Attributes:
        folder: behind `BASE_URL`.
        name: of the file.
        md5: its hash; None where Keras states none.
    """

    folder: str
    name: str
    md5: str | None


FILES = {
    "InceptionV3": KerasFile(
        "inception_v3",
        "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "bcbd6486424b2319ff4ef7d526e38f63",
    ),
    "InceptionResNetV2": KerasFile(
        "inception_resnet_v2",
        "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "d19885ff4a710c122648d3b5c3b684e4",
    ),
    "ResNet101": KerasFile(
        "resnet",
        "resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "88cf7a10940856eca736dc7b7e228a21",
    ),
    "ResNet152": KerasFile(
        "resnet",
        "resnet152_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "ee4c566cf9a93f14d82f913c2dc6dd0c",
    ),
    "MobileNet": KerasFile("mobilenet", "mobilenet_1_0_224_tf_no_top.h5", None),
}
"""The files of the networks that are used here, by their names in `tf_keras.applications`."""


def default_cache_dir() -> str:
    """Where Keras stores the weights of its applications."""
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    return os.path.join(home, "models")


def find(
    weights: str, file: KerasFile, cache_dir: str | None = None, *, base_url: str = BASE_URL
) -> str:
    """Finds a weights file, downloading it if necessary.

    Args:
        weights: a path, or `imagenet` for the file of Keras' applications.
        file: that file.
        cache_dir: where it is stored; Keras' own folder by default.
        base_url: what its folder is below.

    Returns:
        The path of a file. One that was downloaded has the right hash, if there is one; one that
        was given is only known to exist.

    Raises:
        InputError: if there is no such file, it cannot be downloaded, or its hash is wrong.
    """
    if weights != IMAGENET:
        if not os.path.isfile(weights):
            raise InputError(
                f"{weights}: no such weights file; give the path of {file.name}, or {IMAGENET!r} "
                "to download it"
            )
        return weights
    path = os.path.join(cache_dir or default_cache_dir(), file.name)
    if os.path.exists(path):
        if file.md5 is not None and (found := digest_of(path, "md5")) != file.md5:
            raise InputError(
                f"{path}: its MD5 is {found}, not {file.md5}, so it is damaged or another file; "
                "delete it, and it will be downloaded again"
            )
        return path
    download(
        f"{base_url}{file.folder}/{file.name}",
        path,
        what="weights",
        md5=file.md5,
        by_hand=f"or download it elsewhere and give its path instead of {IMAGENET!r}",
        folder_hint="make room or set KERAS_HOME to a folder that can be written",
        attempts=_ATTEMPTS,
        wait=True,  # the processes of a job may all start with the download
    )
    return path
