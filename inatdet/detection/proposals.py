"""First stage: anchors and their scores become a few hundred proposals an image."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from inatdet.detection import boxes as box_math


class Proposals(NamedTuple):
    """The proposals of a batch, best first.

    Attributes:
        boxes: float32 `[batch, proposals, 4]`, `ymin, xmin, ymax, xmax` in pixels, inside the
            image; zeros behind the last.
        scores: float32 `[batch, proposals]`, the probability of an object; zeros behind the last.
        valid: bool `[batch, proposals]`, False behind the last.
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
    max_proposals: int,
    iou_threshold: float,
) -> Proposals:
    """Decodes, clips and thins the anchors. Nothing is cut before the suppression.

    Args:
        anchors: `[anchors, 4]`.
        box_codes: `[batch, anchors, 4]`.
        objectness: logits `[batch, anchors, 2]`: background, object.
        usable: bool `[batch, anchors]`; the others yield no proposal.
        image_size: `[batch, 2]`, height and width without padding.
        max_proposals: how many to keep at the most.
        iou_threshold: of the suppression.

    Returns:
        The proposals. No gradient passes through them.
    """
    boxes = box_math.clip(box_math.decode(box_codes, anchors[tf.newaxis]), image_size)
    scores = tf.nn.softmax(objectness)[..., 1]
    scores = tf.where(usable & (box_math.area(boxes) > 0), scores, -1.0)
    indices, count = box_math.keep_best(boxes, scores, max_proposals, iou_threshold)
    valid = tf.sequence_mask(count, max_proposals)
    boxes = tf.where(valid[..., tf.newaxis], tf.gather(boxes, indices, batch_dims=1), 0.0)
    scores = tf.where(valid, tf.gather(scores, indices, batch_dims=1), 0.0)
    return Proposals(tf.stop_gradient(boxes), tf.stop_gradient(scores), valid)
