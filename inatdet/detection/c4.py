"""Faster R-CNN in the C4 form: one feature map, the network's last stage on each proposal.

The paper's detector. Nothing is computed from a static height, width or batch size.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from inatdet.detection import anchors as anchor_grid
from inatdet.detection import crops, heads
from inatdet.detection.config import FasterRCNNConfig
from inatdet.detection.faster_rcnn import FasterRCNN, FirstStage
from inatdet.networks import backbones, padding


class C4FasterRCNN(FasterRCNN):
    """The detector; see `FasterRCNN` for its arguments and what it does."""

    def __init__(
        self,
        config: FasterRCNNConfig,
        num_classes: int,
        priors: np.ndarray | None = None,
        **kwargs,
    ):
        super().__init__(config, num_classes, priors, **kwargs)
        crop_size = config.head.crop_size // config.head.pool_size
        self.trunk, self.head_stage = backbones.trunk_and_stage(config.backbone, crop_size)
        twin = backbones.masked_twin(config.backbone, self.trunk)
        self._twin = lambda: twin  # a function, lest Keras keep the weights in checkpoints twice
        channels = self.trunk.output_shape[-1]
        cell = anchor_grid.cell_anchors(
            config.anchors.base, config.anchors.scales, config.anchors.ratios
        )
        self._cell = tf.constant(cell)
        self.rpn_head = heads.RegionProposalHead(
            config.rpn.channels, len(cell), config.rpn.initializer_stddev, name="rpn_head"
        )
        self.rpn_head(tf.zeros([1, 1, 1, channels]))
        self.box_head = heads.BoxHead(self.head_stage, num_classes, name="box_head")
        self.box_head(tf.zeros([1, crop_size, crop_size, channels]))

    def load_pretrained(self) -> None:
        """Loads the weights that `backbone.weights` names into both stages."""
        backbones.load_pretrained(self._config.backbone, self.trunk, self.head_stage)

    def _first_stage(
        self, image: tf.Tensor, image_size: tf.Tensor, training: bool | None
    ) -> FirstStage:
        backbone = self._config.backbone
        scaled = backbones.scale_pixels(backbone, image, image_size)
        mode = backbones.training_mode(backbone, training)
        if self._twin():
            features = self._twin()(padding.align(scaled, image_size), training=mode)
        else:
            features = self.trunk(scaled, training=mode)
        box_codes, objectness = self.rpn_head(features)
        anchors = anchor_grid.grid_anchors(
            self._cell, tf.shape(features)[1:3], self._config.anchors.stride
        )
        return FirstStage(features, anchors, box_codes, objectness)

    def _second_stage(
        self, features: tf.Tensor, boxes: tf.Tensor, image_size: tf.Tensor, training: bool | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        cut = crops.crop_and_pool(
            features,
            boxes,
            image_size,
            self._config.anchors.stride,
            self._config.head.crop_size,
            self._config.head.pool_size,
        )
        mode = backbones.training_mode(self._config.backbone, training)
        return self._classify_crops(cut, boxes, mode)
