"""Backbones: Inception V3, or another of Model Garden's registry.

The feature pyramid can be built on any backbone that has features by level (level l has stride
2^l). For the C4 form the backbone must be split in two: levels up to 4 for the image, and from
level 4 to level 5 for each proposal. Inception V3, `resnet`, `efficientnet`, `mobilenet`,
`mobiledet` and `revnet` allow both.
"""

from __future__ import annotations

import functools
import os
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras
from official.vision.configs import common
from official.vision.modeling.backbones import factory
from official.vision.ops import preprocess_ops

from inatdet.errors import InputError
from inatdet.networks import checkpoints, inception_v3, keras_files
from inatdet.networks.config import BackboneConfig
from inatdet.networks.inception_v3 import BatchNorm
from inatdet.networks.inception_v3_tables import BLOCKS

INCEPTION_V3 = "inception_v3"
BY_LEVELS = (
    INCEPTION_V3, "resnet", "efficientnet", "mobilenet", "mobiledet", "revnet",
)  # fmt: skip
MODEL_GARDEN = BY_LEVELS[1:]
"""The names of those of Model Garden's registry."""

_NORM_EPSILON = 1e-5  # of Model Garden's image classification experiments with ResNet
_IMAGE = tf_keras.layers.InputSpec(shape=[None, None, None, 3])


def check(config: BackboneConfig) -> None:
    """Raises InputError for a backbone that no detector can be built on."""
    if config.type not in BY_LEVELS:
        raise InputError(
            f"task.model.backbone.type is {config.type!r}; it must be one of {', '.join(BY_LEVELS)}"
        )
    if config.type != INCEPTION_V3 and config.weights == keras_files.IMAGENET:
        raise InputError(
            f"the backbone's weights are {config.weights}, which exist for inception_v3 only; for "
            f"{config.type}, give the path of a checkpoint of Model Garden's image "
            "classification, or '' for random initialization"
        )
    check_frozen("task.model.backbone.frozen_until", config.frozen_until, config.type)


def check_frozen(name: str, frozen_until: str, network: str) -> None:
    """Raises InputError for a last frozen block that a network does not have.

    Args:
        name: of the setting.
        frozen_until: the block; '' for none.
        network: the network, by its name; only `INCEPTION_V3` has blocks that can be frozen.
    """
    if frozen_until and network != INCEPTION_V3:
        raise InputError(
            f"{name} is {frozen_until}, which names a block of {INCEPTION_V3}; with {network}, "
            "leave it out"
        )
    if frozen_until not in ("", *BLOCKS):
        raise InputError(
            f"{name} is {frozen_until!r}; it must be one of {', '.join(BLOCKS)}, or '' to train "
            "all layers"
        )


def norm_activation(config: BackboneConfig) -> common.NormActivation:
    """The batch norm of Model Garden's layers, with the settings of `config`."""
    return common.NormActivation(
        activation="relu",
        use_sync_bn=config.batch_norm == BatchNorm.SYNCHRONIZED,
        norm_momentum=config.batch_norm_momentum,
        norm_epsilon=_NORM_EPSILON,
    )


def training_mode(config: BackboneConfig, training: bool | None) -> bool | None:
    """The `training` argument for a backbone's layers: False if batch norm is frozen.

    Only its statistics are frozen: batch norm's beta and gamma still train.
    """
    return False if config.batch_norm == BatchNorm.FROZEN else training


def scale_pixels(config: BackboneConfig, image: tf.Tensor, image_size: tf.Tensor) -> tf.Tensor:
    """Scales pixels in the way in which the backbone's weights were trained.

    Inception V3: to [-1, 1]. Model Garden's backbones: ImageNet's mean is subtracted, and the
    result divided by its standard deviation. The padding becomes 0 after scaling, which is also
    what SAME convolutions see beyond the border.

    Args:
        config: which backbone.
        image: `[batch, height, width, 3]`, 0..255.
        image_size: int32 `[batch, 2]`, height and width without padding.

    Returns:
        float32 `[batch, height, width, 3]`.
    """
    rows = tf.sequence_mask(image_size[:, 0], tf.shape(image)[1])
    columns = tf.sequence_mask(image_size[:, 1], tf.shape(image)[2])
    inside = (rows[:, :, tf.newaxis] & columns[:, tf.newaxis, :])[..., tf.newaxis]
    pixels = tf.cast(image, tf.float32)
    is_inception = config.type == INCEPTION_V3
    scaled = pixels * (2.0 / 255.0) - 1.0 if is_inception else standardized(pixels)
    return tf.where(inside, scaled, 0.0)


def standardized(pixels: tf.Tensor) -> tf.Tensor:
    """Pixels less ImageNet's mean, over its standard deviation, as Model Garden's backbones want.

    Args:
        pixels: float32 `[..., 3]`, 0..255.
    """
    return (pixels - preprocess_ops.MEAN_RGB) / preprocess_ops.STDDEV_RGB


def whole(config: BackboneConfig) -> tf_keras.Model:
    """A backbone from scaled images to a dict of features by level, by Model Garden's factory."""
    register()
    return factory.build_backbone(_IMAGE, config, norm_activation(config))


class SplitBackbone(NamedTuple):
    """A backbone split at stride 16, for the C4 form.

    Attributes:
        trunk: from scaled images to features of level 4, of any height and width.
        stage: from crops of them to features of half the height and width, the layers that lead
            to level 5.
        masked_trunk: the trunk's layers once more, seeing nothing of a batch's padding: from the
            two results of `padding.align` to features. None unless `config.mask_padding`.
    """

    trunk: tf_keras.Model
    stage: tf_keras.Model
    masked_trunk: tf_keras.Model | None


def split(config: BackboneConfig, crop_size: int | None) -> SplitBackbone:
    """Builds a backbone in two parts.

    Args:
        config: which backbone.
        crop_size: side of the crops in cells, or None for any.

    Raises:
        InputError: if there is no masked trunk for this backbone, though it is asked for.
    """
    is_inception = config.type == INCEPTION_V3
    if config.mask_padding and not (is_inception and config.padding == inception_v3.Padding.SAME):
        raise InputError(
            f"backbone.mask_padding is not possible with type {config.type} and padding "
            f"{config.padding}; use {INCEPTION_V3} and same, or batches of one image"
        )
    if not is_inception:
        return SplitBackbone(*cut(whole(config)), None)
    options = _inception_options(config)
    if config.mask_padding:
        trunk, masked = inception_v3.trunk_and_masked(
            **{name: value for name, value in options.items() if name != "padding"}
        )
    else:
        trunk, masked = inception_v3.trunk(**options), None
    stage = inception_v3.head_stage(trunk.output_shape[-1], crop_size, **options)
    return SplitBackbone(trunk, stage, masked)


def load_pretrained(config: BackboneConfig, *models: tf_keras.Model) -> None:
    """Loads the weights that `config` names.

    Args:
        config: which backbone, and its weights.
        models: a `whole` backbone, or the trunk and the stage of a `split` one.

    Raises:
        InputError: if the file is missing, damaged or of another network.
    """
    if config.type == INCEPTION_V3:
        file = keras_files.FILES["InceptionV3"]
        inception_v3.load_pretrained(models, keras_files.find(config.weights, file))
        return
    # Into a whole backbone, which is how Model Garden saves it, and from there into its parts.
    saved = whole(config)
    path = config.weights
    if not os.path.isfile(path + ".index"):
        raise InputError(
            f"{path}: no such checkpoint; give its path without .index or .data-00000-of-00001"
        )
    checkpoints.read_into(
        path,
        f"not the weights of this {config.type}",
        "give a checkpoint of Model Garden's image classification, with the same settings",
        backbone=saved,
    )
    copy_weights(config, saved, *models)


def copy_weights(config: BackboneConfig, source: tf_keras.Model, *models: tf_keras.Model) -> None:
    """Copies the weights of a whole backbone.

    Args:
        config: which backbone.
        source: a `whole` one.
        models: another `whole` one, or the trunk and the stage of a `split` one.
    """
    if config.type == INCEPTION_V3:
        for layer in (layer for model in models for layer in model.layers if layer.weights):
            layer.set_weights(source.get_layer(layer.name).get_weights())
        return
    sources = [source] if len(models) == 1 else cut(source)
    for model, part in zip(models, sources):
        model.set_weights(part.get_weights())


@functools.cache
def register() -> None:
    """Makes Inception V3 known to Model Garden's factories; may be called again and again."""
    factory.register_backbone_builder(INCEPTION_V3)(build_inception_v3)


def build_inception_v3(
    input_specs: tf_keras.layers.InputSpec,
    backbone_config: BackboneConfig,
    norm_activation_config: common.NormActivation,
    l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
) -> tf_keras.Model:
    """Inception V3 for Model Garden's factories: features by level, see `inception_v3.pyramid`.

    The image shape, batch norm and weight decay of Model Garden's settings are not used: shapes
    are free, and everything else is set by `backbone_config`.
    """
    del input_specs, norm_activation_config, l2_regularizer
    return inception_v3.pyramid(**_inception_options(backbone_config))


def _inception_options(config: BackboneConfig) -> dict[str, Any]:
    return {
        "padding": inception_v3.Padding(config.padding),
        "width": config.width,
        "batch_norm": BatchNorm(config.batch_norm),
        "momentum": config.batch_norm_momentum,
        "frozen_until": config.frozen_until,
    }


def cut(backbone: tf_keras.Model) -> tuple[tf_keras.Model, tf_keras.Model]:
    """Cuts a backbone at level 4: a model from images to level 4, and one from there to level 5."""
    levels = backbone.output
    return (
        tf_keras.Model(backbone.input, levels["4"], name="trunk"),
        tf_keras.Model(levels["4"], levels["5"], name="head_stage"),
    )
