"""From anchors and their scores to a few hundred proposals per image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from inatdet.detection import boxes as box_math
from inatdet.detection.detector_config import ProposalConfig


class Proposals(NamedTuple):
    """The proposals of a batch, best first.

    Attributes:
        boxes: float32 `[batch, proposals, 4]`, `ymin, xmin, ymax, xmax` in pixels, inside the
            image; zeros after the last.
        scores: float32 `[batch, proposals]`, the probability of an object; zeros after the last.
        valid: bool `[batch, proposals]`, False after the last.
    """

    boxes: tf.Tensor
    scores: tf.Tensor
    valid: tf.Tensor


def select_proposals(
    anchors: tf.Tensor,
    box_codes: tf.Tensor,
    objectness: tf.Tensor,
    usable: tf.Tensor,
    image_size: tf.Tensor,
    *,
    config: ProposalConfig,
    code_scales: Sequence[float],
) -> Proposals:
    """Decodes, clips and suppresses the anchors' boxes.

    Anchors across an image's border are themselves clipped before they are decoded, as the Object
    Detection API does in detection. In training, that API and `usable` leave out the anchors that
    clipping would change.

    Args:
        anchors: `[anchors, 4]`.
        box_codes: `[batch, anchors, 4]`.
        objectness: logits `[batch, anchors, 2]`: background, object.
        usable: bool `[batch, anchors]`; the others yield no proposal.
        image_size: `[batch, 2]`, height and width without padding.
        config: how many of the boxes go into the suppression, its threshold, and what is kept.
        code_scales: of the box codes.

    Returns:
        The proposals. No gradient passes through them.
    """
    anchors = box_math.clip(anchors[tf.newaxis], image_size)
    boxes = box_math.decode(box_codes, anchors, code_scales)
    boxes = box_math.clip(boxes, image_size)
    scores = tf.nn.softmax(objectness)[..., 1]
    scores = tf.where(usable & (box_math.area(boxes) > 0), scores, -1.0)
    if config.candidates:
        scores, best = tf.math.top_k(scores, tf.minimum(config.candidates, tf.shape(scores)[1]))
        boxes = tf.gather(boxes, best, batch_dims=1)
    indices, count = box_math.keep_best(boxes, scores, config.max_proposals, config.nms_iou)
    boxes = tf.gather(boxes, indices, batch_dims=1)
    scores = tf.gather(scores, indices, batch_dims=1)
    # After the suppression, in which a box never yields to one of a lower score.
    valid = tf.sequence_mask(count, config.max_proposals) & (scores > config.min_score)
    boxes = tf.where(valid[..., tf.newaxis], boxes, 0.0)
    scores = tf.where(valid, scores, 0.0)
    return Proposals(tf.stop_gradient(boxes), tf.stop_gradient(scores), valid)
