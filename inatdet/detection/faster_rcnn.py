"""Faster R-CNN: what its forms have in common.

Source: Ren et al., "Faster R-CNN", 2015, with the defaults of the TensorFlow Object Detection API
(see `inatdet.detection.config`). Where anchors lie, what they and the proposals are judged by is a
form's own (`inatdet.detection.c4` is the paper's, `inatdet.detection.fpn` has a feature pyramid);
what they should have said, the losses and what becomes of their answers is the same for all, and
here. Shapes are free: each image keeps its own size, and batches are padded at the bottom and the
right.
"""

from __future__ import annotations

import abc
import functools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

from inatdet.detection import anchors as anchor_grid
from inatdet.detection import heads, losses, postprocess, proposals, targets
from inatdet.detection.config import DetectorConfig
from inatdet.training import label_priors


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
        box_codes: gives the box codes of pairs of a proposal and a class.
        boxes: float32 `[batch, n, 4]`, the proposals.
        valid: bool `[batch, n]`, which proposals are real.
    """

    scores: tf.Tensor
    box_codes: postprocess.BoxCodes
    boxes: tf.Tensor
    valid: tf.Tensor


class FirstStage(NamedTuple):
    """The word of the region proposal network on every anchor.

    Attributes:
        features: what the second stage cuts its crops from; of the detector's own form.
        anchors: float32 `[anchors, 4]`, `ymin, xmin, ymax, xmax` in pixels.
        box_codes: float32 `[batch, anchors, 4]`.
        objectness: float32 logits `[batch, anchors, 2]`: background, object.
    """

    features: Any
    anchors: tf.Tensor
    box_codes: tf.Tensor
    objectness: tf.Tensor


class FasterRCNN(tf_keras.Model, abc.ABC):
    """A detector; programs need no more of it than its public methods.

    Args:
        config: its settings.
        num_classes: labels without the background.
        priors: `[classes]`, shares of the labels in training, for logit adjustment.
    """

    box_head: heads.BoxHead  # of the form's making

    def __init__(
        self,
        config: DetectorConfig,
        num_classes: int,
        priors: np.ndarray | None = None,
        **kwargs,
    ):
        # Images and boxes stay float32, whatever the layers compute in.
        super().__init__(dtype=tf.float32, **kwargs)
        self._config = config
        self._num_classes = num_classes
        self._priors = priors

    @property
    def num_classes(self) -> int:
        """Labels without the background."""
        return self._num_classes

    @abc.abstractmethod
    def load_pretrained(self) -> None:
        """Loads the weights that `backbone.weights` names into the backbone."""

    @abc.abstractmethod
    def _first_stage(
        self, image: tf.Tensor, image_size: tf.Tensor, training: bool | None
    ) -> FirstStage:
        """Looks at images `[batch, height, width, 3]`, 0..255, of sizes int32 `[batch, 2]`."""

    @abc.abstractmethod
    def _second_stage(
        self, features: Any, boxes: tf.Tensor, image_size: tf.Tensor, training: bool | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Classifies boxes.

        Args:
            features: of `FirstStage`.
            boxes: `[batch, n, 4]`, `ymin, xmin, ymax, xmax` in pixels.
            image_size: int32 `[batch, 2]`, height and width without padding.
            training: whether batch norm, where it is trained, uses the batch's statistics.

        Returns:
            Logits `[batch, n, classes + 1]`, the background first, and features for the box codes
            of `box_head`, `[batch, n, features]`; both float32.
        """

    def _classify_crops(
        self, crops: tf.Tensor, boxes: tf.Tensor, training: bool | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What `_second_stage` returns, of crops `[batch * n, size, size, channels]`."""
        box_head = self.box_head
        if self._config.head.xla:
            box_head = tf.function(box_head, jit_compile=True)
        lead = tf.shape(boxes)[:2]
        return tuple(
            tf.reshape(x, tf.concat([lead, [x.shape[-1]]], axis=0))
            for x in box_head(crops, training=training)
        )

    def _proposals(
        self, first: FirstStage, usable: tf.Tensor, image_size: tf.Tensor
    ) -> proposals.Proposals:
        return proposals.select_proposals(
            first.anchors,
            first.box_codes,
            first.objectness,
            usable,
            image_size,
            self._config.rpn.candidates,
            self._config.rpn.nms_iou,
            self._config.rpn.min_score,
            self._config.rpn.max_proposals,
            self._config.box_code_scales,
        )

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
            targets.box_code_targets(
                chosen_anchors, truth, matches, chosen, config.box_code_scales
            ),
            chosen.positive,
            chosen.weight,
            config.losses.smooth_l1_delta,
        )

        found = self._proposals(first, inside, image_size)
        boxes, is_box = found.boxes, found.valid
        if config.head.add_ground_truth:
            boxes = tf.concat([boxes, truth], axis=1)
            is_box = tf.concat([is_box, is_truth], axis=1)
        matches = targets.match(
            boxes,
            is_box,
            truth,
            is_truth,
            config.head.positive_iou,
            config.head.positive_iou,
            force=False,
        )
        chosen = targets.sample(matches, config.head.sample_size, config.head.positive_fraction)
        boxes = tf.gather(boxes, chosen.indices, batch_dims=1)
        logits, features = self._second_stage(first.features, boxes, image_size, training)
        codes = self.box_head.box_codes(features)
        class_targets = targets.class_targets(labels, matches, chosen)
        classes = losses.classification_loss(logits, class_targets, chosen.weight)
        box_losses = losses.localisation_loss(
            tf.gather(codes, tf.maximum(class_targets - 1, 0), batch_dims=2),
            targets.box_code_targets(boxes, truth, matches, chosen, config.box_code_scales),
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

    def weight_penalty(self) -> tf.Tensor:
        """What weight decay adds to the loss, a scalar: all kernels, no bias and no batch norm."""
        decay = self._config.losses.weight_decay
        if not decay:
            return tf.constant(0.0)
        kernels = [v for v in self.trainable_variables if "kernel" in v.name]
        return decay * tf.add_n([tf.nn.l2_loss(tf.cast(v, tf.float32)) for v in kernels])

    def classify(
        self, batch: dict[str, tf.Tensor], training: bool | None = None
    ) -> ClassifiedProposals:
        """Both stages, up to the probabilities of every proposal.

        Args:
            batch: `image` `[batch, height, width, 3]`, 0..255, and `image_size` int32 `[batch, 2]`.
            training: whether batch norm, where it is trained, uses the batch's statistics.

        Returns:
            The proposals, each with the probability of every class. Box codes are computed when
            they are asked for: those of all classes take as long as a tenth of the second stage.
        """
        image_size = batch["image_size"]
        first = self._first_stage(batch["image"], image_size, training)
        # An anchor centred in the padding does not exist when the image stands alone.
        usable = anchor_grid.centred_inside_image(first.anchors, image_size)
        found = self._proposals(first, usable, image_size)
        logits, features = self._second_stage(first.features, found.boxes, image_size, training)
        tau = self._config.detections.logit_adjustment
        if tau:
            scores = label_priors.adjusted_probabilities(logits, self._priors, tau)
        else:
            scores = tf.nn.softmax(logits)[..., 1:]
        box_codes = functools.partial(self.box_head.box_codes_of_pairs, features)
        return ClassifiedProposals(scores, box_codes, found.boxes, found.valid)

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
        found = postprocess.detections_of(
            *classified,
            image_size,
            output.candidates,
            output.nms_iou,
            output.max_per_class,
            output.max_detections,
            self._config.box_code_scales,
        )
        return postprocess.above(found, output.min_score)


def _mean_count(flags: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.reduce_sum(tf.cast(flags, tf.float32), axis=1))
