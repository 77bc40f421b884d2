"""From the categories that records name to labels, inside a graph."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from inatdet.data.granularity import Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.data.taxonomy import Taxonomy


class LabelLookup:
    """The labels of categories at one level.

    Args:
        taxonomy: the label spaces.
        granularity: the level.

    Attributes:
        granularity: the level.
    """

    def __init__(self, taxonomy: Taxonomy, granularity: Granularity):
        label_of = taxonomy.label_of_category(granularity)
        self.granularity = granularity
        self._ids = np.array(sorted(label_of), np.int64)
        self._labels = np.array([label_of[i] for i in self._ids.tolist()], np.int32)

    def __call__(self, category_ids: tf.Tensor) -> tf.Tensor:
        """Labels int32 `[boxes]` of category ids int64 `[boxes]`; 0 where a category has none."""
        ids, labels = tf.constant(self._ids), tf.constant(self._labels)
        place = tf.minimum(tf.searchsorted(ids, category_ids), len(self._ids) - 1)
        return tf.where(tf.gather(ids, place) == category_ids, tf.gather(labels, place), NO_LABEL)
