"""The best labels of images at every level, from the probabilities of all labels."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.training import applying

Best = tuple[tf.Tensor, tf.Tensor]
"""Labels int32 `[images, k]` and their probabilities float32 `[images, k]`, best first."""


class Ranking:
    """Ranks labels inside a graph.

    The probability of a coarser label is the sum over all its labels, before any is left out.

    Args:
        taxonomy: the label spaces.
        granularity: the level of the probabilities.
        coarser: the levels at which they are summed.
        most: how many labels of an image are kept at each level, at most.

    Attributes:
        levels: the level of the probabilities, and the coarser ones.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        granularity: Granularity,
        coarser: Sequence[Granularity],
        most: int,
    ):
        self.levels = (granularity, *coarser)
        self._groups = {level: applying.groups(taxonomy, granularity, level) for level in coarser}
        self._most = most

    def __call__(self, probabilities: tf.Tensor) -> dict[str, Best]:
        """The best labels by level.

        Args:
            probabilities: float32 `[images, classes]`, of the labels 1, 2, ...
        """
        ranked = {str(self.levels[0]): self._best(probabilities)}
        for level, (group_of_class, count) in self._groups.items():
            summed = tf.math.unsorted_segment_sum(
                tf.transpose(probabilities), tf.constant(group_of_class, tf.int32), count
            )
            # Rounding must not lift a sum of probabilities above 1.
            ranked[str(level)] = self._best(tf.minimum(tf.transpose(summed), 1.0))
        return ranked

    def _best(self, probabilities: tf.Tensor) -> Best:
        # Of equal ones, the lower label comes first.
        best, place = tf.math.top_k(probabilities, min(self._most, probabilities.shape[-1]))
        return place + 1, best
