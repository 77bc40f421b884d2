"""Coarse probabilities from a fine model, before any suppression.

A proposal's probability of being a bird is the sum of its probabilities of all bird species; of
being an animal, the sum over all species, which is one minus the background's. Suppression then
happens once, at the coarse level. Deriving coarse results from fine detections instead loses the
probability of all but the best few species, and counts one animal under several names.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from inatdet.detection import boxes as box_math
from inatdet.detection.postprocess import ClassifiedProposals


def marginal(
    fine: ClassifiedProposals, group_of_class: np.ndarray, num_groups: int
) -> ClassifiedProposals:
    """Sums the probabilities of the classes of each group.

    P(group) = sum of P(class) over the classes of the group. The box of a group is that of its most
    probable class, the first one in case of ties.

    Args:
        fine: proposals with probabilities and boxes of the fine classes.
        group_of_class: int `[classes]`, the group of each class, 0..num_groups - 1.
        num_groups: how many groups; a group without a class has probability 0.

    Returns:
        The same proposals with probabilities and boxes of the groups.
    """
    num_classes = len(group_of_class)
    shape = tf.shape(fine.scores)
    # Segments run along the first axis: [classes, batch * n].
    by_class = tf.transpose(tf.reshape(fine.scores, [-1, num_classes]))
    group = tf.constant(group_of_class, tf.int32)
    total = tf.math.unsorted_segment_sum(by_class, group, num_groups)
    best = tf.math.unsorted_segment_max(by_class, group, num_groups)
    is_best = by_class == tf.gather(best, group)
    number = tf.where(is_best, tf.range(num_classes)[:, tf.newaxis], num_classes)
    best_class = tf.math.unsorted_segment_min(number, group, num_groups)
    best_class = tf.minimum(best_class, num_classes - 1)  # where a group has no class

    def by_proposal(values: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.transpose(values), [shape[0], shape[1], num_groups])

    best_class = by_proposal(best_class)

    def box_codes(proposals: tf.Tensor, groups: tf.Tensor) -> tf.Tensor:
        return fine.box_codes(proposals, box_math.of_pairs(best_class, proposals, groups))

    # Rounding must not lift a sum of probabilities above 1.
    scores = tf.minimum(by_proposal(total), 1.0)
    return ClassifiedProposals(scores, box_codes, fine.boxes, fine.valid)
