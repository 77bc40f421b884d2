"""The first stage: a region proposal network, what it proposes and its losses.

How a form looks at images is its own (`c4`, `fpn`); matching, sampling, losses and proposals are
the same for all.
"""

from __future__ import annotations

import abc
from typing import Any, NamedTuple

import tensorflow as tf

from inatdet.detection import targets
from inatdet.detection.detector_config import DetectorConfig
from inatdet.detection.losses import StageLosses, classification_loss, localization_loss
from inatdet.detection.proposals import Proposals, select_proposals


class AnchorOutputs(NamedTuple):
    """The region proposal network's output for every anchor.

    Attributes:
        features: what the second stage cuts its crops from; their type depends on the form.
        anchors: float32 `[anchors, 4]`, `ymin, xmin, ymax, xmax` in pixels.
        box_codes: float32 `[batch, anchors, 4]`.
        objectness: float32 logits `[batch, anchors, 2]`: background, object.
    """

    features: Any
    anchors: tf.Tensor
    box_codes: tf.Tensor
    objectness: tf.Tensor


class FirstStage(abc.ABC):
    """Looks at images and proposes boxes.

    This is deliberately not a Keras layer: the model owns all layers, under the names that
    checkpoints have for them, and the stages only use them.

    Args:
        config: the detector's settings.
    """

    def __init__(self, config: DetectorConfig):
        self._config = config

    def __call__(
        self, image: tf.Tensor, image_size: tf.Tensor, training: bool | None
    ) -> AnchorOutputs:
        """Computes features, and scores every anchor.

        Args:
            image: `[batch, height, width, 3]`, 0..255.
            image_size: int32 `[batch, 2]`, height and width without padding.
            training: whether batch norm, where it is trained, uses the batch's statistics.
        """
        return self.outputs_of(self.features_of(image, image_size, training), training)

    @abc.abstractmethod
    def features_of(self, image: tf.Tensor, image_size: tf.Tensor, training: bool | None) -> Any:
        """Computes what proposals are made and crops are cut from; see `__call__`."""

    @abc.abstractmethod
    def outputs_of(self, features: Any, training: bool | None) -> AnchorOutputs:
        """Scores every anchor.

        Args:
            features: of `features_of`.
            training: whether batch norm, where it is trained, uses the batch's statistics.
        """

    def propose(
        self, outputs: AnchorOutputs, usable: tf.Tensor, image_size: tf.Tensor
    ) -> Proposals:
        """The best boxes; see `proposals.select_proposals`.

        Args:
            outputs: for every anchor.
            usable: bool `[batch, anchors]`; the others yield no proposal.
            image_size: int32 `[batch, 2]`, height and width without padding.
        """
        return select_proposals(
            outputs.anchors,
            outputs.box_codes,
            outputs.objectness,
            usable,
            image_size,
            config=self._config.rpn,
            code_scales=self._config.box_code_scales,
        )

    def losses(
        self,
        outputs: AnchorOutputs,
        usable: tf.Tensor,
        truth: targets.GroundTruth,
        seed: tf.Tensor | None = None,
    ) -> StageLosses:
        """Samples anchors against the ground truth and computes the stage's losses.

        Args:
            outputs: for every anchor.
            usable: bool `[batch, anchors]`; the others are not sampled.
            truth: the ground truth.
            seed: of the sampling; see `targets.sample`.
        """
        config = self._config
        matches = targets.match(
            outputs.anchors[tf.newaxis],
            usable,
            truth,
            positive_iou=config.rpn.positive_iou,
            negative_iou=config.rpn.negative_iou,
            force=True,
        )
        chosen = targets.sample(matches, config.rpn.sample_size, config.rpn.positive_fraction, seed)
        objectness = classification_loss(
            tf.gather(outputs.objectness, chosen.indices, batch_dims=1),
            tf.cast(chosen.positive, tf.int32),
            chosen.weight,
        )
        boxes = localization_loss(
            tf.gather(outputs.box_codes, chosen.indices, batch_dims=1),
            targets.box_code_targets(
                tf.gather(outputs.anchors, chosen.indices),
                truth,
                matches,
                chosen,
                config.box_code_scales,
            ),
            chosen.positive,
            chosen.weight,
            delta=config.losses.smooth_l1_delta,
        )
        return StageLosses(
            objectness * config.losses.rpn_objectness_weight,
            boxes * config.losses.rpn_boxes_weight,
            chosen,
        )
