"""Cross entropy at several levels of the taxonomy at once.

A model's probability of a coarse label is the sum of those of its classes, as in `marginals`. The
loss at a level is minus the logarithm of that sum for the true label, so a mistake within a coarse
label costs nothing at its level.

The weighted sum of these losses is the hierarchical cross entropy of Bertinetto et al., "Making
Better Mistakes: Leveraging Class Hierarchies with Deep Networks", 2020. They weight
-log P(label given the coarser label) at each level; -log P(label) is the sum of those at its level
and the coarser ones. So their weight of a level is the sum of ours there and at all finer ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.detection.losses import mean_over_samples
from inatdet.errors import InputError
from inatdet.training.applying import groups
from inatdet.training.config import LevelWeights

_SETTING = "task.model.losses.level_weights"


class WeightedLevel(NamedTuple):
    """A level at which classes are judged.

    Attributes:
        label_of_class: int `[classes + 1]`, the label of each class of the model at this level;
            that of the background, which comes first, is 0 at every level.
        weight: of the loss at this level; above 0.
    """

    label_of_class: np.ndarray
    weight: float


def weighted_levels(
    weights: LevelWeights, taxonomy: Taxonomy, granularity: Granularity
) -> list[WeightedLevel]:
    """The levels at which a model is trained.

    Args:
        weights: of levels; that of the model's own is 1 unless it is named.
        taxonomy: the label spaces.
        granularity: the model's own level.

    Returns:
        The levels whose weight is not 0; none at all where no level is named, which means the
        model's own alone.

    Raises:
        InputError: a level is not there, or finer than the model's, or no weight is above 0.
    """
    named = weights.as_dict()
    possible = taxonomy.coarser_or_equal(granularity)
    for name in named:
        if name in possible:
            continue
        if name in taxonomy.levels:
            reason = f"finer than task.granularity, {granularity}, whose labels it would divide"
        else:
            reason = "not a level of the taxonomy"
        raise InputError(f"{_SETTING} names {name}, {reason}; name any of {', '.join(possible)}")
    if not named:
        return []
    named.setdefault(granularity, 1.0)
    if not any(named.values()):
        raise InputError(
            f"{_SETTING} gives every level the weight 0, so classes would not be learned; give "
            f"one a weight above 0, or leave them all out, which trains {granularity} alone"
        )
    return [
        WeightedLevel(
            np.append(0, groups(taxonomy, granularity, level)[0] + 1), float(named[level])
        )
        for level in possible
        if named.get(level)
    ]


def loss_at_levels(
    logits: tf.Tensor, labels: tf.Tensor, weight: tf.Tensor, levels: Sequence[WeightedLevel]
) -> tf.Tensor:
    """The weighted sum of the cross entropies at some levels.

    Each is computed from logits, and never from a probability, which could be 0 in float32.

    Args:
        logits: `[batch, size, classes + 1]`, the background first.
        labels: int32 `[batch, size]`, of the model's own level; 0 for the background.
        weight: `[batch, size]`: 1 for a sampled box, 0 for filling.
        levels: the levels.

    Returns:
        A scalar: the mean over an image's sample, then over the images.
    """
    logits = tf.cast(logits, tf.float32)
    every_class = tf.reduce_logsumexp(logits, axis=-1)
    losses = tf.zeros_like(every_class)
    for level in levels:
        label_of_class = tf.constant(level.label_of_class, tf.int32)
        true_label = tf.gather(label_of_class, labels)[..., tf.newaxis]
        within = tf.where(label_of_class == true_label, logits, -np.inf)
        losses += level.weight * (every_class - tf.reduce_logsumexp(within, axis=-1))
    return mean_over_samples(losses, weight)
