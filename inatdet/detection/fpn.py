"""Faster R-CNN on a feature pyramid, from the parts that Model Garden's factory builds.

Source: Lin et al., "Feature Pyramid Networks for Object Detection", 2017. Backbone, pyramid and RPN
head are Model Garden's; proposals, targets, losses and suppression are those of `FasterRCNN`. Model
Garden's own are unsuitable: its targets are made on the CPU and for one shape, its score loss is
divided by the number of proposals instead of anchors, its RoI alignment must know all shapes in
advance, and its suppression needs a graph for each class. So is its detection head, whose batch
norm the paper does not have.

Cell i of level l is at pixel 2^l i, for anchors and crops alike. Proposals of all levels are
suppressed together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras
from official.vision.configs import maskrcnn
from official.vision.modeling import factory

from inatdet.detection import anchors as anchor_grid
from inatdet.detection import crops, heads
from inatdet.detection.faster_rcnn import FasterRCNN
from inatdet.detection.first_stage import AnchorOutputs, FirstStage
from inatdet.detection.fpn_config import FPNConfig
from inatdet.detection.level_losses import WeightedLevel
from inatdet.detection.second_stage import SecondStage
from inatdet.networks import backbones


class FPNFasterRCNN(FasterRCNN):
    """The detector.

    Args:
        config: its settings.
        num_classes: labels without the background.
        priors: `[classes]`, shares of the labels in training, for logit adjustment.
        levels: at which classes are judged in training; if none, only at the model's own.
    """

    def __init__(
        self,
        config: FPNConfig,
        num_classes: int,
        priors: np.ndarray | None = None,
        levels: Sequence[WeightedLevel] = (),
        **kwargs,
    ):
        super().__init__(config, num_classes, **kwargs)
        parts = factory.build_maskrcnn(
            tf_keras.layers.InputSpec(shape=[None, None, None, 3]),
            maskrcnn.MaskRCNN(
                num_classes=num_classes + 1,
                min_level=config.min_level,
                max_level=config.max_level,
                include_mask=False,
                anchor=maskrcnn.Anchor(
                    num_scales=len(config.anchors.scales),
                    aspect_ratios=list(config.anchors.ratios),
                ),
                decoder=config.decoder,
                rpn_head=config.rpn_head,
                norm_activation=config.norm_activation,
            ),
            backbone=backbones.whole(config.backbone),
        )
        self.backbone = parts.backbone
        self.decoder = parts.decoder
        self.rpn_head = parts.rpn_head
        channels = self.decoder.output_specs[str(config.min_level)][-1]
        crop = [config.head.crop_size, config.head.crop_size, channels]
        stage = _dense_layers(crop, config.head.hidden)
        self.box_head = heads.BoxHead(
            stage,
            num_classes,
            class_agnostic_boxes=config.head.class_agnostic_boxes,
            separate_objectness=config.head.separate_objectness,
            name="box_head",
        )
        self.box_head(tf.zeros([1, *crop]))
        self.first_stage = PyramidFirstStage(config, self.backbone, self.decoder, self.rpn_head)
        self.second_stage = _PyramidSecondStage(config, self.box_head, priors, levels)

    @property
    def backbone_parts(self) -> tuple[tf_keras.Model, ...]:
        """The backbone, whole."""
        return (self.backbone,)


def _levels(config: FPNConfig) -> range:
    return range(config.min_level, config.max_level + 1)


class PyramidFirstStage(FirstStage):
    """Backbone, pyramid and RPN head, on a canvas that the pyramid can halve.

    Args:
        config: the detector's settings.
        backbone: from scaled images to features by level.
        decoder: from these to the pyramid, by level.
        rpn_head: from the pyramid to scores and box codes, by level.
    """

    def __init__(
        self,
        config: FPNConfig,
        backbone: tf_keras.Model,
        decoder: tf_keras.Model,
        rpn_head: tf_keras.layers.Layer,
    ):
        super().__init__(config)
        self._backbone = backbone
        self._decoder = decoder
        self._rpn_head = rpn_head
        self._canvases = config.canvas_sizes()
        anchors = config.anchors
        self._cells = {
            level: tf.constant(
                anchor_grid.cell_anchors(anchors.size * 2**level, anchors.scales, anchors.ratios)
            )
            for level in _levels(config)
        }

    def __call__(
        self, image: tf.Tensor, image_size: tf.Tensor, training: bool | None
    ) -> AnchorOutputs:
        """Computes the pyramid, and scores every anchor; see `FirstStage`."""
        config = self._config.backbone
        image = self.on_canvas(image)
        scaled = backbones.scale_pixels(config, image, image_size)
        features = self._backbone(scaled, training=backbones.training_mode(config, training))
        pyramid = self._decoder(features, training=training)
        scores, codes = self._rpn_head(pyramid, training=training)
        batch = tf.shape(image)[0]

        def flat(by_level: dict[str, tf.Tensor], shape: list[int]) -> tf.Tensor:
            parts = [tf.reshape(by_level[str(level)], [batch, *shape]) for level in self._cells]
            return tf.cast(tf.concat(parts, axis=1), tf.float32)

        anchors = [
            anchor_grid.grid_anchors(cell, tf.shape(pyramid[str(level)])[1:3], 2**level)
            for level, cell in self._cells.items()
        ]
        object_logits = flat(scores, [-1])
        return AnchorOutputs(
            pyramid,
            tf.concat(anchors, axis=0),
            flat(codes, [-1, 4]),
            # The softmax of 0 and a logit is its sigmoid, which is what Model Garden uses.
            tf.stack([tf.zeros_like(object_logits), object_logits], axis=-1),
        )

    def on_canvas(self, image: tf.Tensor) -> tf.Tensor:
        """Pads images at the bottom and on the right to the smallest canvas that holds them.

        Args:
            image: `[batch, height, width, 3]`.

        Raises:
            tf.errors.InvalidArgumentError: if no canvas of the settings is large enough.
        """
        size = tf.shape(image)[1:3]
        canvases = tf.constant(self._canvases)
        holds = tf.reduce_all(canvases >= size, axis=1)
        tf.debugging.assert_equal(
            tf.reduce_any(holds), True, "an image is larger than every canvas of the settings"
        )
        missing = canvases[tf.argmax(holds, output_type=tf.int32)] - size
        return tf.pad(image, [[0, 0], [0, missing[0]], [0, missing[1]], [0, 0]])


class _PyramidSecondStage(SecondStage):
    def crop(
        self, features: dict[str, tf.Tensor], boxes: tf.Tensor, image_size: tf.Tensor
    ) -> tf.Tensor:
        levels, head = _levels(self._config), self._config.head
        return crops.crop_from_pyramid(
            [features[str(level)] for level in levels],
            levels,
            boxes,
            image_size,
            level4_size=head.level4_size,
            crop_size=head.crop_size,
            samples=head.samples,
        )


def _dense_layers(crop: list[int], hidden: Sequence[int]) -> tf_keras.Model:
    """Dense layers with ReLU on crops `[crops, *crop]`, to features `[crops, 1, 1, hidden[-1]]`."""
    crops = tf_keras.Input(crop, name="crops")
    x = tf_keras.layers.Reshape([1, 1, math.prod(crop)])(crops)
    for number, units in enumerate(hidden):
        x = tf_keras.layers.Conv2D(units, 1, activation="relu", name=f"dense{number}")(x)
    return tf_keras.Model(crops, x, name="dense_layers")
