"""Faster R-CNN in the C4 form: one feature map, the network's last stage on each proposal.

Source: Ren et al., "Faster R-CNN", 2015, with the defaults of the TensorFlow Object Detection API
(see `inatdet.detection.config`). Shapes are free: each image keeps its own size, batches are padded
at the bottom and the right, and nothing is computed from a static height, width or batch size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

from inatdet.detection import anchors as anchor_grid
from inatdet.detection import (
    crops,
    heads,
    inception_v3,
    label_priors,
    losses,
    postprocess,
    proposals,
    targets,
)
from inatdet.detection.config import FasterRCNNConfig


class Losses(NamedTuple):
    """The four losses, already weighted; scalars."""

    rpn_objectness: tf.Tensor
    rpn_boxes: tf.Tensor
    classes: tf.Tensor
    boxes: tf.Tensor


class Diagnostics(NamedTuple):
    """What was sampled, averaged over the images of a batch; scalars."""

    rpn_positives: tf.Tensor
    proposals: tf.Tensor
    positives: tf.Tensor


class ClassifiedProposals(NamedTuple):
    """The second stage's word on every proposal.

    Attributes:
        scores: float32 `[batch, n, classes]`, probabilities, without the background's.
        box_codes: float32 `[batch, n, classes, 4]`.
        boxes: float32 `[batch, n, 4]`, the proposals.
        valid: bool `[batch, n]`, which proposals are real.
    """

    scores: tf.Tensor
    box_codes: tf.Tensor
    boxes: tf.Tensor
    valid: tf.Tensor


class _FirstStage(NamedTuple):
    features: tf.Tensor
    anchors: tf.Tensor
    box_codes: tf.Tensor
    objectness: tf.Tensor


class FasterRCNN(tf_keras.Model):
    """The detector.

    Args:
        config: its settings.
        num_classes: labels without the background.
        priors: `[classes]`, shares of the labels in training, for logit adjustment.
    """

    def __init__(
        self,
        config: FasterRCNNConfig,
        num_classes: int,
        priors: np.ndarray | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._config = config
        self._num_classes = num_classes
        self._priors = priors
        backbone = config.backbone
        options = {
            "padding": inception_v3.Padding(backbone.padding),
            "width": backbone.width,
            "batch_norm": inception_v3.BatchNorm(backbone.batch_norm),
            "momentum": backbone.batch_norm_momentum,
        }
        self.trunk = inception_v3.trunk(**options)
        channels = self.trunk.output_shape[-1]
        cell = anchor_grid.cell_anchors(
            config.anchors.base, config.anchors.scales, config.anchors.ratios
        )
        self._cell = tf.constant(cell)
        self.rpn_head = heads.RegionProposalHead(
            config.rpn.channels, len(cell), config.rpn.initializer_stddev, name="rpn_head"
        )
        self.rpn_head(tf.zeros([1, 1, 1, channels]))
        crop_size = config.head.crop_size // config.head.pool_size
        self.head_stage = inception_v3.head_stage(channels, crop_size, **options)
        self.box_head = heads.BoxHead(self.head_stage, num_classes, name="box_head")
        self.box_head(tf.zeros([1, crop_size, crop_size, channels]))

    @property
    def num_classes(self) -> int:
        """Labels without the background."""
        return self._num_classes

    def load_pretrained(self, path: str) -> None:
        """Loads ImageNet weights into both stages; see `inception_v3.load_pretrained`."""
        inception_v3.load_pretrained([self.trunk, self.head_stage], path)

    def _first_stage(
        self, image: tf.Tensor, image_size: tf.Tensor, training: bool | None
    ) -> _FirstStage:
        # The padding becomes 0 after scaling: what SAME convolutions see beyond the border too.
        rows = tf.sequence_mask(image_size[:, 0], tf.shape(image)[1])
        columns = tf.sequence_mask(image_size[:, 1], tf.shape(image)[2])
        inside = (rows[:, :, tf.newaxis] & columns[:, tf.newaxis, :])[..., tf.newaxis]
        scaled = tf.where(inside, tf.cast(image, tf.float32) * (2.0 / 255.0) - 1.0, 0.0)
        features = self.trunk(scaled, training=training)
        box_codes, objectness = self.rpn_head(features)
        anchors = anchor_grid.grid_anchors(
            self._cell, tf.shape(features)[1:3], self._config.anchors.stride
        )
        return _FirstStage(features, anchors, box_codes, objectness)

    def _proposals(
        self, first: _FirstStage, usable: tf.Tensor, image_size: tf.Tensor
    ) -> proposals.Proposals:
        return proposals.select_proposals(
            first.anchors,
            first.box_codes,
            first.objectness,
            usable,
            image_size,
            self._config.rpn.max_proposals,
            self._config.rpn.nms_iou,
        )

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
        logits, codes = self.box_head(cut, training=training)
        lead = tf.shape(boxes)[:2]
        logits = tf.reshape(logits, tf.concat([lead, [self._num_classes + 1]], 0))
        codes = tf.reshape(codes, tf.concat([lead, [self._num_classes, 4]], 0))
        return logits, codes

    def losses_of(
        self, batch: dict[str, tf.Tensor], training: bool | None
    ) -> tuple[Losses, Diagnostics]:
        """Samples anchors and proposals against the ground truth and computes the losses.

        Args:
            batch: `image` `[batch, height, width, 3]`, 0..255; `image_size` int32 `[batch, 2]`;
                `boxes` `[batch, m, 4]` in pixels; `labels` int32 `[batch, m]`, 0 for padding.
            training: whether batch norm, where it is trained, uses the batch's statistics.

        Returns:
            The weighted losses, and what was sampled.
        """
        config = self._config
        image_size, truth, labels = batch["image_size"], batch["boxes"], batch["labels"]
        is_truth = labels > 0
        first = self._first_stage(batch["image"], image_size, training)
        inside = anchor_grid.inside_image(first.anchors, image_size)

        matches = targets.match(
            first.anchors[tf.newaxis],
            inside,
            truth,
            is_truth,
            config.rpn.positive_iou,
            config.rpn.negative_iou,
            force=True,
        )
        chosen = targets.sample(matches, config.rpn.sample_size, config.rpn.positive_fraction)
        rpn_sample = chosen
        chosen_anchors = tf.gather(first.anchors, chosen.indices)
        rpn_objectness = losses.classification_loss(
            tf.gather(first.objectness, chosen.indices, batch_dims=1),
            tf.cast(chosen.positive, tf.int32),
            chosen.weight,
        )
        rpn_boxes = losses.localisation_loss(
            tf.gather(first.box_codes, chosen.indices, batch_dims=1),
            targets.box_code_targets(chosen_anchors, truth, matches, chosen),
            chosen.positive,
            chosen.weight,
            config.losses.smooth_l1_delta,
        )

        found = self._proposals(first, inside, image_size)
        matches = targets.match(
            found.boxes,
            found.valid,
            truth,
            is_truth,
            config.head.positive_iou,
            config.head.positive_iou,
            force=False,
        )
        chosen = targets.sample(matches, config.head.sample_size, config.head.positive_fraction)
        boxes = tf.gather(found.boxes, chosen.indices, batch_dims=1)
        logits, codes = self._second_stage(first.features, boxes, image_size, training)
        class_targets = targets.class_targets(labels, matches, chosen)
        classes = losses.classification_loss(logits, class_targets, chosen.weight)
        box_losses = losses.localisation_loss(
            tf.gather(codes, tf.maximum(class_targets - 1, 0), batch_dims=2),
            targets.box_code_targets(boxes, truth, matches, chosen),
            chosen.positive,
            chosen.weight,
            config.losses.smooth_l1_delta,
        )
        weights = config.losses
        return (
            Losses(
                rpn_objectness * weights.rpn_objectness_weight,
                rpn_boxes * weights.rpn_boxes_weight,
                classes * weights.classes_weight,
                box_losses * weights.boxes_weight,
            ),
            Diagnostics(
                _mean_count(rpn_sample.positive),
                _mean_count(found.valid),
                _mean_count(chosen.positive),
            ),
        )

    def classify(
        self, batch: dict[str, tf.Tensor], training: bool | None = None
    ) -> ClassifiedProposals:
        """Both stages, up to the probabilities of every proposal.

        Args:
            batch: `image` `[batch, height, width, 3]`, 0..255, and `image_size` int32 `[batch, 2]`.
            training: whether batch norm, where it is trained, uses the batch's statistics.

        Returns:
            The proposals, each with the probability and the box code of every class.
        """
        image_size = batch["image_size"]
        first = self._first_stage(batch["image"], image_size, training)
        # An anchor centred in the padding does not exist when the image stands alone.
        centre = (first.anchors[:, :2] + first.anchors[:, 2:]) / 2
        limit = tf.cast(image_size, tf.float32)[:, tf.newaxis, :]
        usable = tf.reduce_all(centre[tf.newaxis] < limit, axis=-1)
        found = self._proposals(first, usable, image_size)
        logits, codes = self._second_stage(first.features, found.boxes, image_size, training)
        tau = self._config.detections.logit_adjustment
        if tau:
            scores = label_priors.adjusted_probabilities(logits, self._priors, tau)
        else:
            scores = tf.nn.softmax(logits)[..., 1:]
        return ClassifiedProposals(scores, codes, found.boxes, found.valid)

    def call(
        self, batch: dict[str, tf.Tensor], training: bool | None = None
    ) -> postprocess.Detections:
        """Detects.

        Args:
            batch: `image` `[batch, height, width, 3]`, 0..255, and `image_size` int32 `[batch, 2]`.
            training: whether batch norm, where it is trained, uses the batch's statistics.

        Returns:
            The detections, in pixels of the (resized) images.
        """
        return self.detections_of(self.classify(batch, training), batch["image_size"])

    def detections_of(
        self, classified: ClassifiedProposals, image_size: tf.Tensor
    ) -> postprocess.Detections:
        """The detections among classified proposals; see `postprocess.detections_of`."""
        output = self._config.detections
        return postprocess.detections_of(
            *classified,
            image_size,
            output.candidates,
            output.nms_iou,
            output.max_per_class,
            output.max_detections,
        )


def _mean_count(flags: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.reduce_sum(tf.cast(flags, tf.float32), axis=1))
