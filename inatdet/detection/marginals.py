"""Coarse probabilities from a fine model, before any suppression.

A proposal's probability of being a bird is the sum of its probabilities of all bird species; of
being an animal, the sum over all species, which is one minus the background's. Suppression then
happens once, at the coarse level. Deriving coarse results from fine detections instead loses the
probability of all but the best few species, and counts one animal under several names.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from inatdet.detection import boxes as box_math
from inatdet.detection.detector_config import MarginalBoxes
from inatdet.detection.postprocess import BoxCodes, ClassifiedProposals


def marginals(
    fine: ClassifiedProposals,
    groupings: Sequence[tuple[np.ndarray, int]],
    boxes: MarginalBoxes = MarginalBoxes.MOST_PROBABLE,
) -> list[ClassifiedProposals]:
    """Sums the probabilities of the classes of each group, at some levels.

    P(group) = sum of P(class) over the classes of the group.

    Args:
        fine: proposals with probabilities and boxes of the fine classes.
        groupings: for each level, int `[classes]`, the group of each class, 0..groups - 1, and how
            many groups there are; a group without a class has probability 0.
        boxes: the box of a group is that of its most probable class, the first one in case of
            ties; or the mean of its classes' box codes, each weighted by P(class), so the mean of
            their centers, and of the logarithms of their heights and widths. The mean takes the box
            codes of all classes for all proposals.

    Returns:
        For each level the same proposals with probabilities and boxes of its groups.
    """
    # Segments run along the first axis: [classes, batch * n].
    by_class = tf.transpose(tf.reshape(fine.scores, [-1, fine.scores.shape[-1]]))
    # Most of what means cost, and the same for all levels.
    weighted = _weighted_codes(fine) if groupings and boxes == MarginalBoxes.MEAN else None
    levels = []
    for group_of_class, num_groups in groupings:
        group = tf.constant(group_of_class, tf.int32)
        total = tf.math.unsorted_segment_sum(by_class, group, num_groups)
        total = _by_proposal(total, fine.scores)
        if weighted is not None:
            box_codes = _mean_boxes(weighted, total, group)
        else:
            best_class = _best_class(by_class, group, num_groups)
            box_codes = _boxes_of(_by_proposal(best_class, fine.scores), fine)
        # Rounding must not lift a sum of probabilities above 1.
        scores = tf.minimum(total, 1.0)
        levels.append(ClassifiedProposals(scores, box_codes, fine.boxes, fine.valid))
    return levels


def _by_proposal(values: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """From `[groups, batch * n]` to `[batch, n, groups]`; `scores` are `[batch, n, classes]`."""
    shape = tf.shape(scores)
    return tf.reshape(tf.transpose(values), [shape[0], shape[1], values.shape[0]])


def _best_class(by_class: tf.Tensor, group: tf.Tensor, num_groups: int) -> tf.Tensor:
    """The most probable class of each group.

    Args:
        by_class: probabilities `[classes, batch * n]`.
        group: int32 `[classes]`.
        num_groups: how many groups; the class of one that has none is arbitrary.

    Returns:
        int32 `[groups, batch * n]`.
    """
    num_classes = by_class.shape[0]
    best = tf.math.unsorted_segment_max(by_class, group, num_groups)
    is_best = by_class == tf.gather(best, group)
    number = tf.where(is_best, tf.range(num_classes)[:, tf.newaxis], num_classes)
    best_class = tf.math.unsorted_segment_min(number, group, num_groups)
    return tf.minimum(best_class, num_classes - 1)  # where a group has no class


def _boxes_of(class_of_group: tf.Tensor, fine: ClassifiedProposals) -> BoxCodes:
    """The boxes of groups that are those of one class each, int32 `[batch, n, groups]`."""
    return lambda proposals, groups: fine.box_codes(
        proposals, box_math.of_pairs(class_of_group, proposals, groups)
    )


def _weighted_codes(fine: ClassifiedProposals) -> tf.Tensor:
    """The box codes of all classes for all proposals, times P(class): `[classes, batch, n, 4]`."""
    count, num_classes = fine.scores.shape[1:]
    batch = tf.shape(fine.scores)[0]

    def of_all_pairs(numbers: tf.Tensor) -> tf.Tensor:
        return tf.broadcast_to(tf.reshape(numbers, [-1]), [batch, num_classes * count])

    classes = of_all_pairs(tf.repeat(tf.range(num_classes), count))
    places = of_all_pairs(tf.tile(tf.range(count), [num_classes]))
    codes = tf.reshape(fine.box_codes(places, classes), [batch, num_classes, count, 4])
    by_class = tf.transpose(fine.scores, [2, 0, 1])
    return tf.transpose(codes, [1, 0, 2, 3]) * by_class[..., tf.newaxis]


def _mean_boxes(weighted: tf.Tensor, total: tf.Tensor, group: tf.Tensor) -> BoxCodes:
    """The boxes of groups that are means over their classes, weighted by probability.

    Where a sum of probabilities is 0, its box is the proposal's own.

    Args:
        weighted: of `_weighted_codes`.
        total: `[batch, n, groups]`, the sums of probabilities.
        group: int32 `[classes]`.
    """
    sums = tf.math.unsorted_segment_sum(weighted, group, total.shape[-1])
    mean = tf.math.divide_no_nan(tf.transpose(sums, [1, 2, 0, 3]), total[..., tf.newaxis])
    return functools.partial(box_math.of_pairs, mean)
