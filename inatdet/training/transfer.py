"""A trained classifier's features as the backbone of another model, as ImageNet's are."""

from __future__ import annotations

import os

import tensorflow as tf
import tf_keras

from inatdet.errors import InputError
from inatdet.networks import backbones, checkpoints
from inatdet.networks.config import BackboneConfig
from inatdet.training import averaging

_FEATURES = "model/features/"
"""What the names of a classifier's features begin with in its checkpoints."""


class _Features(tf_keras.Model):
    """The part of a classifier that its classes do not matter to, where its checkpoints have it."""

    def __init__(self, features: tf_keras.Model):
        super().__init__()
        self.features = features


def classifier_checkpoint(weights: str) -> str | None:
    """The checkpoint of a classifier that a backbone's setting `weights` names; None if none.

    Args:
        weights: a classifier's folder, which means its newest checkpoint, or the path of a
            checkpoint without its extension; or anything else that the setting may be.

    Raises:
        InputError: it is a folder in which there is no checkpoint of a classifier.
    """
    is_folder = os.path.isdir(weights)
    if not is_folder and not os.path.isfile(f"{weights}.index"):
        return None
    checkpoint = checkpoints.newest(weights) if is_folder else weights
    try:
        names = [name for name, _ in tf.train.list_variables(checkpoint)]
    except (tf.errors.OpError, LookupError, RuntimeError, ValueError):
        return checkpoint  # it is damaged, which reading it reports
    if any(name.startswith(_FEATURES) for name in names):
        return checkpoint
    if is_folder:
        raise InputError(
            f"{checkpoint}: not of a classifier, whose features could be a backbone; to begin "
            "with another detector, set task.init_checkpoint"
        )
    return None


def load_features(
    config: BackboneConfig, checkpoint: str, models: tuple[tf_keras.Model, ...]
) -> None:
    """Reads a classifier's features, their averages if it has them, into a backbone.

    Args:
        config: which backbone; the classifier's network must be the same, of the same width.
        checkpoint: the classifier's, without its extension.
        models: a whole backbone, or the trunk and the stage of a split one.

    Raises:
        InputError: the checkpoint is damaged, or of another network.
    """
    whole = backbones.whole(config)
    coarsest = whole.output[max(whole.output, key=int)]
    averaging.restore(_Features(tf_keras.Model(whole.input, coarsest)), checkpoint)
    backbones.copy_weights(config, whole, *models)
