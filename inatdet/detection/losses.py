"""The losses of both stages of Faster R-CNN."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from inatdet.detection.targets import Sample


class StageLosses(NamedTuple):
    """The losses of one stage, already weighted, and what they were computed on.

    Attributes:
        classes: a scalar; in the first stage, of background and object.
        boxes: a scalar.
        sample: the boxes that were sampled.
    """

    classes: tf.Tensor
    boxes: tf.Tensor
    sample: Sample


def classification_loss(logits: tf.Tensor, labels: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Softmax cross entropy: the mean over an image's sample, then over the images.

    Args:
        logits: `[batch, size, classes]`.
        labels: int32 `[batch, size]`.
        weight: `[batch, size]`: 1 for a sampled box, 0 for filling.

    Returns:
        A scalar.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=labels, logits=tf.cast(logits, tf.float32)
    )
    return mean_over_samples(losses, weight)


def mean_over_samples(losses: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """The mean over an image's sample, then over the images.

    Args:
        losses: `[batch, size]`.
        weight: `[batch, size]`: 1 for a sampled box, 0 for filling.

    Returns:
        A scalar.
    """
    return tf.reduce_mean(tf.reduce_sum(losses * weight, axis=1) / _sample_size(weight))


def localization_loss(
    codes: tf.Tensor, targets: tf.Tensor, positive: tf.Tensor, weight: tf.Tensor, *, delta: float
) -> tf.Tensor:
    """Smooth L1, summed over the four codes of the positives, divided by the whole sample's size.

    In the Huber form: d^2 / 2 for |d| <= delta, delta (|d| - delta / 2) beyond.

    Args:
        codes: `[batch, size, 4]`.
        targets: `[batch, size, 4]`.
        positive: bool `[batch, size]`.
        weight: `[batch, size]`: 1 for a sampled box, 0 for filling; its sum is the normalizer.
        delta: where the square becomes a line.

    Returns:
        A scalar, the mean over the images.
    """
    distance = tf.abs(tf.cast(codes, tf.float32) - targets)
    inner = tf.minimum(distance, delta)
    losses = tf.reduce_sum(inner * (distance - inner / 2), axis=-1)
    losses = tf.reduce_sum(tf.where(positive, losses, 0.0), axis=1)
    return tf.reduce_mean(losses / _sample_size(weight))


def _sample_size(weight: tf.Tensor) -> tf.Tensor:
    return tf.maximum(tf.reduce_sum(weight, axis=1), 1.0)
