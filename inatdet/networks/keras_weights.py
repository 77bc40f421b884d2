"""ImageNet weights of Keras' applications: where their files are, and how they are read.

Addresses and hashes are those in `tf_keras/src/applications`. A file is stored where Keras stores
it, so that a copy which Keras has already downloaded is used.
"""

from __future__ import annotations

import dataclasses
import os

import tf_keras

from inatdet.errors import InputError
from inatdet.networks import pretrained
from inatdet.networks.pretrained import IMAGENET

_BASE_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"


@dataclasses.dataclass(frozen=True)
class WeightsFile:
    """A file of weights without the layer of ImageNet's classes.

    Attributes:
        folder: behind `_BASE_URL`.
        name: of the file.
        md5: its hash.
    """

    folder: str
    name: str
    md5: str


FILES = {
    "InceptionV3": WeightsFile("inception_v3/", pretrained.FILE_NAME, pretrained.MD5),
    "InceptionResNetV2": WeightsFile(
        "inception_resnet_v2/",
        "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "d19885ff4a710c122648d3b5c3b684e4",
    ),
    "ResNet101": WeightsFile(
        "resnet/",
        "resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "88cf7a10940856eca736dc7b7e228a21",
    ),
    "ResNet152": WeightsFile(
        "resnet/",
        "resnet152_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "ee4c566cf9a93f14d82f913c2dc6dd0c",
    ),
}
