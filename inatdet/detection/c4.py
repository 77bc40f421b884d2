"""Faster R-CNN in the C4 form: one feature map, the network's last stage on each proposal.

The paper's detector. Nothing depends on a static height, width or batch size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from inatdet.detection import anchors as anchor_grid
from inatdet.detection import crops, heads
from inatdet.detection.detector_config import FasterRCNNConfig
from inatdet.detection.faster_rcnn import FasterRCNN
from inatdet.detection.first_stage import AnchorOutputs, FirstStage
from inatdet.detection.level_losses import WeightedLevel
from inatdet.detection.second_stage import SecondStage
from inatdet.networks import backbones, padding


class C4FasterRCNN(FasterRCNN):
    """The detector.

    Args:
        config: its settings.
        num_classes: labels without the background.
        priors: `[classes]`, shares of the labels in training, for logit adjustment.
        levels: at which classes are judged in training; if none, only at the model's own.
    """

    def __init__(
        self,
        config: FasterRCNNConfig,
        num_classes: int,
        priors: np.ndarray | None = None,
        levels: Sequence[WeightedLevel] = (),
        **kwargs,
    ):
        super().__init__(config, num_classes, **kwargs)
        crop_size = config.head.crop_size // config.head.pool_size
        backbone = backbones.split(config.backbone, crop_size)
        self.trunk, self.head_stage = backbone.trunk, backbone.stage
        channels = self.trunk.output_shape[-1]
        cell = anchor_grid.cell_anchors(
            config.anchors.base, config.anchors.scales, config.anchors.ratios
        )
        self.rpn_head = heads.RegionProposalHead(
            config.rpn.channels, len(cell), config.rpn.initializer_stddev, name="rpn_head"
        )
        self.rpn_head(tf.zeros([1, 1, 1, channels]))
        self.box_head = heads.BoxHead(
            self.head_stage,
            num_classes,
            class_agnostic_boxes=config.head.class_agnostic_boxes,
            position_sensitive_boxes=config.head.position_sensitive_boxes,
            separate_objectness=config.head.separate_objectness,
            name="box_head",
        )
        self.box_head(tf.zeros([1, crop_size, crop_size, channels]))
        self.first_stage = _C4FirstStage(config, backbone, self.rpn_head, cell)
        self.second_stage = _C4SecondStage(config, self.box_head, priors, levels)

    @property
    def backbone_parts(self) -> tuple[tf_keras.Model, ...]:
        """The layers before the crops, and those behind them."""
        return self.trunk, self.head_stage


class _C4FirstStage(FirstStage):
    def __init__(
        self,
        config: FasterRCNNConfig,
        backbone: backbones.SplitBackbone,
        rpn_head: heads.RegionProposalHead,
        cell: np.ndarray,
    ):
        super().__init__(config)
        self._backbone = backbone
        self._rpn_head = rpn_head
        self._cell = tf.constant(cell)

    def features_of(
        self, image: tf.Tensor, image_size: tf.Tensor, training: bool | None
    ) -> tf.Tensor:
        config = self._config.backbone
        scaled = backbones.scale_pixels(config, image, image_size)
        mode = backbones.training_mode(config, training)
        if self._backbone.masked_trunk is not None:
            aligned = padding.align(scaled, image_size)
            return self._backbone.masked_trunk(aligned, training=mode)
        return self._backbone.trunk(scaled, training=mode)

    def outputs_of(self, features: tf.Tensor, training: bool | None) -> AnchorOutputs:
        # What was computed before may have fewer bits, and a shape that only the trunk knows.
        trunk = self._backbone.trunk
        features = tf.cast(features, trunk.compute_dtype)
        features = tf.ensure_shape(features, [None, None, None, trunk.output_shape[-1]])
        box_codes, objectness = self._rpn_head(features)
        anchors = anchor_grid.grid_anchors(
            self._cell, tf.shape(features)[1:3], self._config.anchors.stride
        )
        return AnchorOutputs(features, anchors, box_codes, objectness)


class _C4SecondStage(SecondStage):
    def crop(self, features: tf.Tensor, boxes: tf.Tensor, image_size: tf.Tensor) -> tf.Tensor:
        return crops.crop_and_pool(
            features,
            boxes,
            image_size,
            stride=self._config.anchors.stride,
            crop_size=self._config.head.crop_size,
            pool_size=self._config.head.pool_size,
        )

    def training_mode(self, training: bool | None) -> bool | None:
        # The box head has the backbone's last stage in it.
        return backbones.training_mode(self._config.backbone, training)
