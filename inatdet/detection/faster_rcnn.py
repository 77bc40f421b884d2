"""Faster R-CNN: its two stages in turn, in training and in detection.

Source: Ren et al., "Faster R-CNN", 2015, with the defaults of the TensorFlow Object Detection API
(see `inatdet.detection.config`). A form builds the layers and says how its stages use them:
`inatdet.detection.c4` is the paper's, `inatdet.detection.fpn` has a feature pyramid. Shapes are
free: each image keeps its own size, and batches are padded at the bottom and on the right.
"""

from __future__ import annotations

import abc
from typing import NamedTuple

import tensorflow as tf
import tf_keras

from inatdet.detection import anchors as anchor_grid
from inatdet.detection import postprocess
from inatdet.detection.detector_config import DetectorConfig
from inatdet.detection.first_stage import AnchorOutputs, FirstStage
from inatdet.detection.heads import BoxHead
from inatdet.detection.proposals import Proposals
from inatdet.detection.second_stage import SecondStage
from inatdet.detection.targets import GroundTruth
from inatdet.networks import backbones
from inatdet.training.regularization import weight_penalty


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


class FasterRCNN(tf_keras.Model, abc.ABC):
    """A detector; callers need no more of it than its public methods.

    Forms build their layers as attributes, whose names are those of the checkpoints, and the two
    stages that use these layers.

    Args:
        config: its settings.
        num_classes: labels without the background.
    """

    box_head: BoxHead
    first_stage: FirstStage
    second_stage: SecondStage

    def __init__(self, config: DetectorConfig, num_classes: int, **kwargs):
        # Images and boxes stay float32, whatever the layers compute in.
        super().__init__(dtype=tf.float32, **kwargs)
        self._config = config
        self._num_classes = num_classes

    @property
    def num_classes(self) -> int:
        """Labels without the background."""
        return self._num_classes

    @property
    @abc.abstractmethod
    def backbone_parts(self) -> tuple[tf_keras.Model, ...]:
        """The backbone: whole, or its trunk and the stage behind it."""

    def load_pretrained(self) -> None:
        """Loads the weights that `backbone.weights` names into the backbone."""
        backbones.load_pretrained(self._config.backbone, *self.backbone_parts)

    def losses_of(
        self, batch: dict[str, tf.Tensor], training: bool | None
    ) -> tuple[Losses, Diagnostics]:
        """Samples anchors and proposals against the ground truth and computes the losses.

        Args:
            batch: `image` `[batch, height, width, 3]`, 0..255; `image_size` int32 `[batch, 2]`;
                `boxes` `[batch, m, 4]`, `ymin, xmin, ymax, xmax` in pixels; `labels` int32
                `[batch, m]`, 0 for padding. With `seed` int64 `[]`, the sampling is repeatable.
                Instead of `image`, there may be its `features`, of the first stage.
            training: whether batch norm, where it is trained, uses the batch's statistics.

        Returns:
            The weighted losses, and what was sampled.
        """
        image_size, truth = batch["image_size"], GroundTruth(batch["boxes"], batch["labels"])
        if "features" in batch:
            outputs = self.first_stage.outputs_of(batch["features"], training)
        else:
            outputs = self.first_stage(batch["image"], image_size, training)
        inside = anchor_grid.inside_image(outputs.anchors, image_size)
        first_seed, second_seed = _seeds(batch)
        first = self.first_stage.losses(outputs, inside, truth, first_seed)
        found = self.first_stage.propose(outputs, inside, image_size)
        second = self.second_stage.losses(
            outputs.features, found, image_size, truth, training, second_seed
        )
        return (
            Losses(first.classes, first.boxes, second.classes, second.boxes),
            Diagnostics(
                _mean_count(first.sample.positive),
                _mean_count(found.valid),
                _mean_count(second.sample.positive),
            ),
        )

    def weight_penalty(self) -> tf.Tensor:
        """What weight decay adds to the loss, a scalar: of kernels, not biases or batch norm."""
        return weight_penalty(self.trainable_variables, self._config.losses.weight_decay)

    def classify(
        self, batch: dict[str, tf.Tensor], training: bool | None = None
    ) -> postprocess.ClassifiedProposals:
        """Both stages, up to the probabilities of all classes for every proposal.

        Args:
            batch: `image` `[batch, height, width, 3]`, 0..255, and `image_size` int32 `[batch, 2]`.
            training: whether batch norm, where it is trained, uses the batch's statistics.
        """
        outputs, found = self._proposed(batch, training)
        return self.second_stage.classify(outputs.features, found, batch["image_size"], training)

    def proposals_of(
        self, batch: dict[str, tf.Tensor], training: bool | None = None
    ) -> postprocess.BatchDetections:
        """The first stage alone: its proposals as detections of one label, scored by objectness.

        Args:
            batch: as for `classify`.
            training: likewise.
        """
        _, found = self._proposed(batch, training)
        labels = tf.cast(found.valid, tf.int32)
        return postprocess.BatchDetections(
            found.boxes, found.scores, labels, tf.reduce_sum(labels, axis=1)
        )

    def _proposed(
        self, batch: dict[str, tf.Tensor], training: bool | None
    ) -> tuple[AnchorOutputs, Proposals]:
        """The first stage in detection."""
        image_size = batch["image_size"]
        outputs = self.first_stage(batch["image"], image_size, training)
        # An anchor centered in the padding does not exist when the image stands alone.
        usable = anchor_grid.centered_inside_image(outputs.anchors, image_size)
        return outputs, self.first_stage.propose(outputs, usable, image_size)

    def call(
        self, batch: dict[str, tf.Tensor], training: bool | None = None
    ) -> postprocess.BatchDetections:
        """Detects.

        Args:
            batch: `image` `[batch, height, width, 3]`, 0..255, and `image_size` int32 `[batch, 2]`.
            training: whether batch norm, where it is trained, uses the batch's statistics.

        Returns:
            The detections, in pixels of the (resized) images.
        """
        return self.detections_of(self.classify(batch, training), batch["image_size"])

    def detections_of(
        self, classified: postprocess.ClassifiedProposals, image_size: tf.Tensor
    ) -> postprocess.BatchDetections:
        """The detections among classified proposals; see `postprocess.detections_of`."""
        return postprocess.detections_of(
            classified, image_size, self._config.detections, self._config.box_code_scales
        )


def _seeds(batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor | None, tf.Tensor | None]:
    """Of the sampling in the two stages; other numbers than those that the input draws."""
    if "seed" not in batch:
        return None, None
    return tf.stack([batch["seed"], 1]), tf.stack([batch["seed"], 2])


def _mean_count(flags: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.reduce_sum(tf.cast(flags, tf.float32), axis=1))
