"""The targets of anchors and proposals: matching with the ground truth, and sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from inatdet.detection import boxes as box_math


class GroundTruth(NamedTuple):
    """The true boxes of a batch, padded.

    Attributes:
        boxes: float32 `[batch, m, 4]`, `ymin, xmin, ymax, xmax` in pixels.
        labels: int32 `[batch, m]`, 1..classes; 0 for padding.
    """

    boxes: tf.Tensor
    labels: tf.Tensor

    @property
    def is_real(self) -> tf.Tensor:
        """Bool `[batch, m]`, False for padding."""
        return self.labels > 0


class Matches(NamedTuple):
    """Which ground truth each box is assigned to.

    Attributes:
        box: int32 `[batch, n]`, index of the ground truth; meaningful only where `positive`.
        positive: bool `[batch, n]`.
        negative: bool `[batch, n]`; a box may be neither.
    """

    box: tf.Tensor
    positive: tf.Tensor
    negative: tf.Tensor


class Sample(NamedTuple):
    """A minibatch of boxes of each image.

    Attributes:
        indices: int32 `[batch, size]` into the boxes sampled from.
        positive: bool `[batch, size]`.
        weight: float32 `[batch, size]`: 1 for a sampled box, 0 for filling.
    """

    indices: tf.Tensor
    positive: tf.Tensor
    weight: tf.Tensor


def match(
    boxes: tf.Tensor,
    usable: tf.Tensor,
    truth: GroundTruth,
    *,
    positive_iou: float,
    negative_iou: float,
    force: bool,
) -> Matches:
    """Assigns each box the ground truth that it overlaps most.

    Args:
        boxes: `[batch, n, 4]` or `[1, n, 4]`, anchors or proposals.
        usable: bool `[batch, n]`; the others are neither positive nor negative.
        truth: the ground truth.
        positive_iou: a box is positive at or above this overlap.
        negative_iou: a box is negative below this overlap.
        force: whether the box that overlaps a ground truth most is positive for it whatever their
            overlap, as in the Object Detection API; in case of ties, the first box, and the first
            ground truth. A ground truth that no box overlaps forces none (the Object Detection
            API would force its first anchor).

    Returns:
        The matches.
    """
    # The extra column keeps the arg max defined for images and batches without a box.
    paddings = [[0, 0], [0, 0], [0, 1]]
    allowed = usable[:, :, tf.newaxis] & truth.is_real[:, tf.newaxis, :]
    overlap = tf.where(allowed, box_math.iou(boxes, truth.boxes), -1.0)
    overlap = tf.pad(overlap, paddings, constant_values=-1.0)
    best_box = tf.argmax(overlap, axis=2, output_type=tf.int32)
    best_overlap = tf.reduce_max(overlap, axis=2)
    positive = best_overlap >= positive_iou
    if force:
        best_of_truth = tf.argmax(overlap, axis=1, output_type=tf.int32)
        count = tf.shape(overlap)[1]
        forced = tf.one_hot(best_of_truth, count, on_value=True, off_value=False, axis=1)
        forced &= overlap > 0
        is_forced = tf.reduce_any(forced, axis=2)
        forced_box = tf.argmax(tf.cast(forced, tf.uint8), axis=2, output_type=tf.int32)
        best_box = tf.where(is_forced, forced_box, best_box)
        positive |= is_forced
    negative = usable & (best_overlap < negative_iou) & ~positive
    return Matches(best_box, positive, negative)


def sample(
    matches: Matches, size: int, positive_fraction: float, seed: tf.Tensor | None = None
) -> Sample:
    """Draws a minibatch at random: positives first, then negatives to fill it.

    Args:
        matches: of `n` boxes per image.
        size: boxes to draw per image.
        positive_fraction: the largest share of positives; if there are fewer, negatives take
            their places, and if those are too few, the minibatch is smaller.
        seed: int64 `[2]`, repeats a draw; None draws anew.

    Returns:
        The sample; the positives come first.
    """
    shape = tf.shape(matches.positive)
    key = tf.random.uniform(shape) if seed is None else tf.random.stateless_uniform(shape, seed)
    missing = tf.maximum(0, size - tf.shape(key)[1])
    max_positive = int(size * positive_fraction)
    positive_key = _pad_keys(tf.where(matches.positive, key, -1.0), missing)
    if max_positive:
        last = tf.math.top_k(positive_key, max_positive).values[:, -1:]
        chosen = matches.positive & (key >= last)
    else:
        chosen = tf.zeros_like(matches.positive)
    # 2 to 3: chosen positives; 0 to 1: negatives; -1: everything else.
    key = tf.where(chosen, key + 2.0, tf.where(matches.negative, key, -1.0))
    best = tf.math.top_k(_pad_keys(key, missing), size)
    weight = tf.cast(best.values >= 0, tf.float32)
    indices = tf.where(best.values >= 0, best.indices, 0)
    return Sample(indices, best.values >= 2, weight)


def _pad_keys(keys: tf.Tensor, missing: tf.Tensor) -> tf.Tensor:
    return tf.pad(keys, [[0, 0], [0, missing]], constant_values=-1.0)


def box_code_targets(
    boxes: tf.Tensor,
    truth: GroundTruth,
    matches: Matches,
    chosen: Sample,
    scales: Sequence[float],
) -> tf.Tensor:
    """The target codes of the sampled boxes.

    Args:
        boxes: `[batch, size, 4]`, the sampled anchors or proposals.
        truth: the ground truth.
        matches: of all boxes.
        chosen: which were sampled.
        scales: of the box codes.

    Returns:
        float32 `[batch, size, 4]`; zeros for those that are not positive.
    """
    true_boxes = tf.pad(truth.boxes, [[0, 0], [0, 1], [0, 0]])
    matched = tf.gather(matches.box, chosen.indices, batch_dims=1)
    codes = box_math.encode(tf.gather(true_boxes, matched, batch_dims=1), boxes, scales)
    return tf.where(chosen.positive[..., tf.newaxis], codes, 0.0)


def class_targets(truth: GroundTruth, matches: Matches, chosen: Sample) -> tf.Tensor:
    """The target labels of the sampled boxes.

    Args:
        truth: the ground truth.
        matches: of all boxes.
        chosen: which were sampled.

    Returns:
        int32 `[batch, size]`: 0, background, for those that are not positive.
    """
    labels = tf.pad(truth.labels, [[0, 0], [0, 1]])
    matched = tf.gather(matches.box, chosen.indices, batch_dims=1)
    return tf.where(chosen.positive, tf.gather(labels, matched, batch_dims=1), 0)
