"""The layers of Inception V3, built from the tables of its architecture, trained or frozen."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from inatdet.choices import Choice
from inatdet.networks import padding as padded
from inatdet.networks.inception_v3_tables import (
    HEAD_BLOCKS,
    TRUNK_BLOCKS,
    Conv,
    Fork,
    Mixed,
    Step,
    is_frozen,
)

BATCH_NORM_EPSILON = 1e-3  # Keras applications' value


class Padding(Choice):
    """How the stem and the reductions pad.

    `SAME` puts feature cell i at pixel 16 i, where the anchors are. `VALID` is what Keras and slim
    use for classification; it exists so that the network can be compared with theirs.
    """

    SAME = "same"
    VALID = "valid"


class BatchNorm(Choice):
    """Which statistics batch norm uses in training.

    `FROZEN`: the moving statistics of the pretrained network; beta still trains (the Object
    Detection API's default). `TRAINED`: those of the replica's batch, for training from scratch.
    `SYNCHRONIZED`: those of all replicas' batches together. A batch's statistics include the
    padding of its images.
    """

    FROZEN = "frozen"
    TRAINED = "trained"
    SYNCHRONIZED = "synchronised"


@dataclasses.dataclass(frozen=True)
class Features:
    """Features on their way through the network.

    Attributes:
        plain: as the layers give them.
        masked: zero outside the images after every layer; None if this is not asked for.
        inside: where the images are, for `masked`.
    """

    plain: tf.Tensor
    masked: tf.Tensor | None = None
    inside: padded.Mask | None = None


def _through(
    layer: tf_keras.layers.Layer, inputs: Sequence[Features], **kwargs: object
) -> Features:
    """A layer on one or several features; both the plain and the masked ones go through it."""

    def called(tensors: list[tf.Tensor]) -> tf.Tensor:
        return layer(tensors if len(tensors) > 1 else tensors[0], **kwargs)

    plain = called([x.plain for x in inputs])
    if inputs[0].inside is None:
        return Features(plain)
    inside = inputs[0].inside.behind(layer)
    masked = called([x.masked for x in inputs])
    return Features(plain, inside.apply(layer, masked), inside)


class _FrozenReLU(tf_keras.layers.Activation):
    """ReLU through which no gradient passes, so that none is computed in the layers before it."""

    def __init__(self, **kwargs):
        super().__init__("relu", **kwargs)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.stop_gradient(super().call(inputs))


class Builder:
    """Turns the tables of the architecture into Keras layers, numbering the convolutions.

    Args:
        first_conv: the number of the first convolution.
        padding: how the stem and the reductions pad.
        width: factor on every number of filters.
        batch_norm: which statistics batch norm uses in training.
        momentum: of the moving statistics, where they are trained.
        frozen_until: the last block that is not trained; '' if all are trained.
    """

    def __init__(
        self,
        first_conv: int,
        padding: Padding,
        width: float,
        batch_norm: BatchNorm,
        momentum: float,
        frozen_until: str,
    ):
        self._next_conv = first_conv
        self._frozen_until = frozen_until
        # The stem belongs to whatever is frozen; the head stage only to the whole network.
        first_block = TRUNK_BLOCKS[0].name if first_conv == 0 else HEAD_BLOCKS[0].name
        self._is_frozen = is_frozen(first_block, frozen_until)
        self._padding = padding
        self._width = width
        # None leaves the choice to the `training` argument of the call.
        self._bn_training = False if batch_norm is BatchNorm.FROZEN else None
        self._synchronized = batch_norm is BatchNorm.SYNCHRONIZED
        self._momentum = momentum

    def _scaled(self, filters: int) -> int:
        return max(1, round(filters * self._width))

    def _conv(self, x: Features, conv: Conv) -> Features:
        number = self._next_conv
        self._next_conv += 1
        convolution = tf_keras.layers.Conv2D(
            self._scaled(conv.filters),
            conv.kernel,
            strides=conv.stride,
            padding=self._padding.value if conv.shrinks else "same",
            use_bias=False,
            trainable=not self._is_frozen,
            name=f"conv{number}",
        )
        batch_norm = tf_keras.layers.BatchNormalization(
            scale=False,
            epsilon=BATCH_NORM_EPSILON,
            momentum=self._momentum,
            synchronized=self._synchronized,
            trainable=not self._is_frozen,
            name=f"batch_norm{number}",
        )
        name = f"relu{number}"
        relu = (
            _FrozenReLU(name=name)
            if self._is_frozen
            else tf_keras.layers.Activation("relu", name=name)
        )
        x = _through(convolution, [x])
        # Keras' batch norm that is not trainable uses its moving statistics, whatever is asked for.
        x = _through(batch_norm, [x], training=self._bn_training)
        return _through(relu, [x])

    def _step(self, x: Features, step: Step) -> Features:
        if isinstance(step, Conv):
            return self._conv(x, step)
        if isinstance(step, Fork):
            ways = [self._conv(x, way) for way in step.ways]
            return _through(tf_keras.layers.Concatenate(), ways)
        if step.stride == 1:
            pool = tf_keras.layers.AveragePooling2D(3, strides=1, padding="same")
        else:
            pool = tf_keras.layers.MaxPooling2D(3, strides=2, padding=self._padding.value)
        return _through(pool, [x])

    def chain(self, x: Features, steps: Sequence[Step]) -> Features:
        """Features behind some steps."""
        for step in steps:
            x = self._step(x, step)
        return x

    def mixed(self, x: Features, block: Mixed) -> Features:
        """Features behind a block."""
        outputs = [self.chain(x, branch) for branch in block.branches]
        if block.name == self._frozen_until:
            self._is_frozen = False
        return _through(tf_keras.layers.Concatenate(name=block.name), outputs)
