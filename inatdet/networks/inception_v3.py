"""Inception V3 cut in two, a trunk for the image and a head stage for each proposal, or whole.

The trunk runs from the image to Mixed_6e (Keras' `mixed7`): stride 16, 768 channels. The head stage
is Mixed_7a, 7b and 7c (`mixed8` to `mixed10`): 2,048 channels. Convolutions are numbered 0 to 93 in
the order in which `tf_keras.applications.InceptionV3` makes them, so that its weights file can be
loaded into either half.

Source of the architecture: Szegedy et al., "Rethinking the Inception Architecture for Computer
Vision", 2016, in the form of Keras applications (batch norm without gamma, epsilon 1e-3). Source of
the cut: the Object Detection API's Inception V2 extractor, which also cuts at stride 16.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from inatdet.errors import InputError
from inatdet.networks import padding as padded
from inatdet.networks import pretrained
from inatdet.networks.inception_v3_layers import BatchNorm, Builder, Features, Padding
from inatdet.networks.inception_v3_tables import HEAD_BLOCKS, NUM_TRUNK_CONVS, STEM, TRUNK_BLOCKS

__all__ = [
    "TRUNK_STRIDE",
    "BatchNorm",
    "Padding",
    "Pyramid",
    "head_stage",
    "load_pretrained",
    "pyramid",
    "trunk",
    "trunk_and_masked",
]

TRUNK_STRIDE = 16

_LAST_OF_LEVEL = {"mixed2": "3", "mixed7": "4", "mixed10": "5"}


def trunk(
    padding: Padding = Padding.SAME,
    width: float = 1.0,
    batch_norm: BatchNorm = BatchNorm.FROZEN,
    momentum: float = 0.99,
    frozen_until: str = "",
) -> tf_keras.Model:
    """The stem to Mixed_6e.

    Args:
        padding: how the stem and the reductions pad.
        width: factor on every number of filters; 1 is Inception V3.
        batch_norm: which statistics batch norm uses in training.
        momentum: of the moving statistics, where they are trained.
        frozen_until: the last block that is not trained, with all before it; '' for none.

    Returns:
        A model from images `[batch, height, width, 3]` in [-1, 1] to features
        `[batch, ceil(height / 16), ceil(width / 16), 768 * width]` (with SAME padding). Height and
        width are free.
    """
    image = tf_keras.Input((None, None, 3), name="image")
    x = _trunk_features(
        Features(image), Builder(0, padding, width, batch_norm, momentum, frozen_until)
    )
    return tf_keras.Model(image, x.plain, name="inception_v3_trunk")


def trunk_and_masked(
    width: float = 1.0,
    batch_norm: BatchNorm = BatchNorm.FROZEN,
    momentum: float = 0.99,
    frozen_until: str = "",
) -> tuple[tf_keras.Model, tf_keras.Model]:
    """The trunk with SAME padding, twice, from the same layers: as it is, and masked.

    Args:
        width: factor on every number of filters; 1 is Inception V3.
        batch_norm: which statistics batch norm uses in training.
        momentum: of the moving statistics, where they are trained.
        frozen_until: the last block that is not trained, with all before it; '' for none.

    Returns:
        What `trunk` returns; and a model with the same weights from the two results of
        `padding.align` to features that are zero outside the images. Their cells are those of each
        image alone, from the upper left.
    """
    image = tf_keras.Input((None, None, 3), name="image")
    aligned = tf_keras.Input((None, None, 3), name="aligned")
    inside = tf_keras.Input((None, None, 1), name="inside")
    x = _trunk_features(
        Features(image, aligned, padded.Mask(inside)),
        Builder(0, Padding.SAME, width, batch_norm, momentum, frozen_until),
    )
    return (
        tf_keras.Model(image, x.plain, name="inception_v3_trunk"),
        tf_keras.Model([aligned, inside], x.masked, name="masked_trunk"),
    )


def _trunk_features(x: Features, builder: Builder) -> Features:
    x = builder.chain(x, STEM)
    for block in TRUNK_BLOCKS:
        x = builder.mixed(x, block)
    return x


def pyramid(
    padding: Padding = Padding.SAME,
    width: float = 1.0,
    batch_norm: BatchNorm = BatchNorm.FROZEN,
    momentum: float = 0.99,
    frozen_until: str = "",
) -> Pyramid:
    """The whole network, with the last features of each stride.

    Args:
        padding: how the stem and the reductions pad; only with SAME do the strides hold exactly.
        width: factor on every number of filters; 1 is Inception V3.
        batch_norm: which statistics batch norm uses in training.
        momentum: of the moving statistics, where they are trained.
        frozen_until: the last block that is not trained, with all before it; '' for none.

    Returns:
        A model from images `[batch, height, width, 3]` in [-1, 1] to a dict of features, level l of
        `[batch, ceil(height / 2^l), ceil(width / 2^l), channels]`: `2`, the stem before its second
        pooling, 192 channels; `3`, Keras' `mixed2`, 288; `4`, `mixed7`, 768; `5`, `mixed10`, 2048
        (each times the width).
    """
    builder = Builder(0, padding, width, batch_norm, momentum, frozen_until)
    image = tf_keras.Input((None, None, 3), name="image")
    x = builder.chain(Features(image), STEM[:-1])
    levels = {"2": x.plain}
    x = builder.chain(x, STEM[-1:])
    for block in (*TRUNK_BLOCKS, *HEAD_BLOCKS):
        x = builder.mixed(x, block)
        if block.name in _LAST_OF_LEVEL:
            levels[_LAST_OF_LEVEL[block.name]] = x.plain
    return Pyramid(image, levels, name="inception_v3")


class Pyramid(tf_keras.Model):
    """A model whose output is a dict of features, one of each level."""

    @property
    def output_specs(self) -> dict[str, tf.TensorShape]:
        """The features' shapes, under the name that Model Garden's backbones give them."""
        return {level: features.shape for level, features in self.output.items()}


def head_stage(
    in_channels: int,
    crop_size: int | None = None,
    padding: Padding = Padding.SAME,
    width: float = 1.0,
    batch_norm: BatchNorm = BatchNorm.FROZEN,
    momentum: float = 0.99,
    frozen_until: str = "",
) -> tf_keras.Model:
    """Mixed_7a to Mixed_7c.

    Args:
        in_channels: channels of the trunk's features.
        crop_size: height and width of the crops in cells, or None for any.
        padding: how the reduction pads.
        width: factor on every number of filters; 1 is Inception V3.
        batch_norm: which statistics batch norm uses in training.
        momentum: of the moving statistics, where they are trained.
        frozen_until: the last block that is not trained, with all before it; '' for none.

    Returns:
        A model from crops `[crops, crop_size, crop_size, in_channels]` to features
        `[crops, ceil(crop_size / 2), ceil(crop_size / 2), 2048 * width]` (with SAME padding).
    """
    builder = Builder(NUM_TRUNK_CONVS, padding, width, batch_norm, momentum, frozen_until)
    crops = tf_keras.Input((crop_size, crop_size, in_channels), name="crops")
    x = Features(crops)
    for block in HEAD_BLOCKS:
        x = builder.mixed(x, block)
    return tf_keras.Model(crops, x.plain, name="inception_v3_head_stage")


def load_pretrained(models: Sequence[tf_keras.Model], path: str) -> None:
    """Loads the weights of Keras applications' Inception V3 into trunks, head stages or pyramids.

    Args:
        models: results of `trunk`, `head_stage` and `pyramid`, of width 1.
        path: an .h5 file of `tf_keras.applications.InceptionV3(include_top=False)`.

    Raises:
        InputError: if the file is damaged or of another network, or a model is of another width.
    """
    weights = pretrained.read_inception_v3(path)
    for model in models:
        for layer in model.layers:
            numbered = re.fullmatch(r"(conv|batch_norm)(\d+)", layer.name)
            if not numbered:
                continue
            conv = weights[int(numbered[2])]
            if numbered[1] == "conv":
                values = [conv.kernel]
            else:
                values = [conv.beta, conv.moving_mean, conv.moving_variance]
            if [tuple(v.shape) for v in values] != [tuple(w.shape) for w in layer.weights]:
                raise InputError(
                    f"{path}: {layer.name} has shapes {[v.shape for v in values]}, the model's are "
                    f"{[tuple(w.shape) for w in layer.weights]}; pretrained weights fit only "
                    "backbone width 1, so set the width to 1 or the weights to ''"
                )
            layer.set_weights(values)
