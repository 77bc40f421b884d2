"""The second stage: classes and boxes of the proposals, and its losses.

How a form cuts proposals out of its features is its own (`c4`, `fpn`); matching, sampling, losses
and probabilities are the same for all.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from inatdet.detection import targets
from inatdet.detection.detector_config import DetectorConfig
from inatdet.detection.heads import BoxHead
from inatdet.detection.level_losses import WeightedLevel, loss_at_levels
from inatdet.detection.losses import StageLosses, classification_loss, localization_loss
from inatdet.detection.postprocess import ClassifiedProposals
from inatdet.detection.proposals import Proposals
from inatdet.training import label_priors


class SecondStage(abc.ABC):
    """Classifies proposals and refines their boxes.

    Like the first stage, this is deliberately not a Keras layer: the model owns all layers.

    Args:
        config: the detector's settings.
        box_head: classifies crops.
        priors: `[classes]`, shares of the labels in training, for logit adjustment.
        levels: at which classes are judged in training; if none, only at the model's own.
    """

    def __init__(
        self,
        config: DetectorConfig,
        box_head: BoxHead,
        priors: np.ndarray | None,
        levels: Sequence[WeightedLevel],
    ):
        self._config = config
        self._box_head = box_head
        self._priors = priors
        self._levels = levels

    @abc.abstractmethod
    def crop(self, features: Any, boxes: tf.Tensor, image_size: tf.Tensor) -> tf.Tensor:
        """Cuts boxes out of the features.

        Args:
            features: of `AnchorOutputs`.
            boxes: `[batch, n, 4]`, `ymin, xmin, ymax, xmax` in pixels.
            image_size: int32 `[batch, 2]`, height and width without padding.

        Returns:
            `[batch * n, size, size, channels]`, the boxes of the first image first.
        """

    def training_mode(self, training: bool | None) -> bool | None:
        """The `training` argument for the box head; a form's backbone may be frozen."""
        return training

    def __call__(
        self, features: Any, boxes: tf.Tensor, image_size: tf.Tensor, training: bool | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Classifies boxes.

        Args:
            features: of `AnchorOutputs`.
            boxes: `[batch, n, 4]`, `ymin, xmin, ymax, xmax` in pixels.
            image_size: int32 `[batch, 2]`, height and width without padding.
            training: whether batch norm, where it is trained, uses the batch's statistics.

        Returns:
            Logits `[batch, n, classes + 1]`, the background first, and features for the box codes
            of the box head, `[batch, n, features]`; both float32.
        """
        crops = self.crop(features, boxes, image_size)
        box_head = self._box_head
        if self._config.head.xla:
            box_head = tf.function(box_head, jit_compile=True)
        lead = tf.shape(boxes)[:2]
        return tuple(
            tf.reshape(x, tf.concat([lead, [x.shape[-1]]], axis=0))
            for x in box_head(crops, training=self.training_mode(training))
        )

    def losses(
        self,
        features: Any,
        proposals: Proposals,
        image_size: tf.Tensor,
        truth: targets.GroundTruth,
        training: bool | None,
        seed: tf.Tensor | None = None,
    ) -> StageLosses:
        """Samples proposals against the ground truth and computes the stage's losses.

        Args:
            features: of `AnchorOutputs`.
            proposals: of the first stage.
            image_size: int32 `[batch, 2]`, height and width without padding.
            truth: the ground truth.
            training: whether batch norm, where it is trained, uses the batch's statistics.
            seed: of the sampling; see `targets.sample`.
        """
        config = self._config
        boxes, is_box = proposals.boxes, proposals.valid
        if config.head.add_ground_truth:
            boxes = tf.concat([boxes, truth.boxes], axis=1)
            is_box = tf.concat([is_box, truth.is_real], axis=1)
        matches = targets.match(
            boxes,
            is_box,
            truth,
            positive_iou=config.head.positive_iou,
            negative_iou=config.head.positive_iou,
            force=False,
        )
        chosen = targets.sample(
            matches, config.head.sample_size, config.head.positive_fraction, seed
        )
        boxes = tf.gather(boxes, chosen.indices, batch_dims=1)
        logits, pooled = self(features, boxes, image_size, training)
        class_targets = targets.class_targets(truth, matches, chosen)
        box_losses = localization_loss(
            self._box_head.box_codes_of_labels(pooled, class_targets),
            targets.box_code_targets(boxes, truth, matches, chosen, config.box_code_scales),
            chosen.positive,
            chosen.weight,
            delta=config.losses.smooth_l1_delta,
        )
        return StageLosses(
            self._class_loss(logits, class_targets, chosen.weight) * config.losses.classes_weight,
            box_losses * config.losses.boxes_weight,
            chosen,
        )

    def _class_loss(self, logits: tf.Tensor, labels: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        if self._levels:
            return loss_at_levels(logits, labels, weight, self._levels)
        weights = self._config.losses.level_weights.as_dict()
        assert not weights, "a model with weights of levels is built with these levels"
        return classification_loss(logits, labels, weight)

    def classify(
        self, features: Any, proposals: Proposals, image_size: tf.Tensor, training: bool | None
    ) -> ClassifiedProposals:
        """The probabilities of all classes for every proposal.

        Box codes are computed when they are asked for: those of all classes take as long as a tenth
        of this stage.

        Args:
            features: of `AnchorOutputs`.
            proposals: of the first stage.
            image_size: int32 `[batch, 2]`, height and width without padding.
            training: whether batch norm, where it is trained, uses the batch's statistics.
        """
        logits, pooled = self(features, proposals.boxes, image_size, training)
        tau = self._config.detections.logit_adjustment
        if tau:
            assert self._priors is not None, "a model with logit adjustment is built with priors"
            scores = label_priors.adjusted_probabilities(logits, self._priors, tau)
        else:
            scores = tf.nn.softmax(logits)[..., 1:]
        box_codes = functools.partial(self._box_head.box_codes_of_pairs, pooled)
        return ClassifiedProposals(scores, box_codes, proposals.boxes, proposals.valid)
