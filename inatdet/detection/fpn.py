"""Faster R-CNN on a feature pyramid, out of the parts that Model Garden's factory builds.

Source: Lin et al., "Feature Pyramid Networks for Object Detection", 2017. Backbone, pyramid and RPN
head are Model Garden's; proposals, targets, losses and suppression are those of `FasterRCNN`. Model
Garden's own could not do: its targets are made on the CPU and for one shape, its score loss is
divided by the number of proposals instead of anchors, its RoI alignment must know all shapes
beforehand, and its suppression takes a graph for each class. Nor could its detection head, whose
batch norm the paper does not have.

Cell i of level l stands at pixel 2^l i, for anchors and crops alike. Proposals of all levels are
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
from inatdet.detection.faster_rcnn import FasterRCNN, FirstStage
from inatdet.detection.fpn_config import FPNConfig
from inatdet.networks import backbones


class FPNFasterRCNN(FasterRCNN):
    """The detector; see `FasterRCNN` for its arguments and what it does."""

    def __init__(
        self, config: FPNConfig, num_classes: int, priors: np.ndarray | None = None, **kwargs
    ):
        super().__init__(config, num_classes, priors, **kwargs)
        self._canvases = config.canvas_sizes()
        self._levels = range(config.min_level, config.max_level + 1)
        self._cells = [
            tf.constant(
                anchor_grid.cell_anchors(
                    config.anchors.size * 2**level, config.anchors.scales, config.anchors.ratios
                )
            )
            for level in self._levels
        ]
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
        self.box_head = heads.BoxHead(stage, num_classes, name="box_head")
        self.box_head(tf.zeros([1, *crop]))

    def load_pretrained(self) -> None:
        """Loads the weights that `backbone.weights` names into the backbone."""
        backbones.load_pretrained(self._config.backbone, self.backbone)

    def _first_stage(
        self, image: tf.Tensor, image_size: tf.Tensor, training: bool | None
    ) -> FirstStage:
        backbone = self._config.backbone
        image = self._on_canvas(image)
        scaled = backbones.scale_pixels(backbone, image, image_size)
        features = self.backbone(scaled, training=backbones.training_mode(backbone, training))
        pyramid = self.decoder(features, training=training)
        scores, codes = self.rpn_head(pyramid, training=training)
        batch = tf.shape(image)[0]

        def flat(by_level: dict[str, tf.Tensor], shape: list[int]) -> tf.Tensor:
            parts = [tf.reshape(by_level[str(level)], [batch, *shape]) for level in self._levels]
            return tf.cast(tf.concat(parts, axis=1), tf.float32)

        anchors = [
            anchor_grid.grid_anchors(cell, tf.shape(pyramid[str(level)])[1:3], 2**level)
            for level, cell in zip(self._levels, self._cells)
        ]
        object_logits = flat(scores, [-1])
        return FirstStage(
            pyramid,
            tf.concat(anchors, axis=0),
            flat(codes, [-1, 4]),
            # The softmax of 0 and a logit is the sigmoid that Model Garden means by it.
            tf.stack([tf.zeros_like(object_logits), object_logits], axis=-1),
        )

    def _on_canvas(self, image: tf.Tensor) -> tf.Tensor:
        """Pads images at the bottom and the right, up to the smallest canvas that holds them."""
        size = tf.shape(image)[1:3]
        canvases = tf.constant(self._canvases)
        holds = tf.reduce_all(canvases >= size, axis=1)
        tf.debugging.assert_equal(
            tf.reduce_any(holds), True, "an image is larger than every canvas of the settings"
        )
        missing = canvases[tf.argmax(holds, output_type=tf.int32)] - size
        return tf.pad(image, [[0, 0], [0, missing[0]], [0, missing[1]], [0, 0]])

    def _second_stage(
        self,
        features: dict[str, tf.Tensor],
        boxes: tf.Tensor,
        image_size: tf.Tensor,
        training: bool | None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        head = self._config.head
        cut = crops.crop_from_pyramid(
            [features[str(level)] for level in self._levels],
            self._levels,
            boxes,
            image_size,
            head.level4_size,
            head.crop_size,
            head.samples,
        )
        return self._classify_crops(cut, boxes, training)


def _dense_layers(crop: list[int], hidden: Sequence[int]) -> tf_keras.Model:
    """Dense layers with ReLU on crops `[crops, *crop]`, to features `[crops, 1, 1, hidden[-1]]`."""
    crops = tf_keras.Input(crop, name="crops")
    x = tf_keras.layers.Reshape([1, 1, math.prod(crop)])(crops)
    for number, units in enumerate(hidden):
        x = tf_keras.layers.Conv2D(units, 1, activation="relu", name=f"dense{number}")(x)
    return tf_keras.Model(crops, x, name="dense_layers")
