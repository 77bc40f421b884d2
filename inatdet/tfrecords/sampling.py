"""How often an epoch shows each image: what long-tail training changes about the data.

Each image has an expected number of copies per epoch, which depends on the labels of its boxes, or
on its own label where whole images are classified. It is shown as often as the integer part says,
and once more with the probability of the fraction, drawn again in each epoch. The examples stream
by, still encoded; nothing is stored and no second pass is made. The copies of an image follow one
another, so they must be shuffled afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from inatdet.choices import Choice
from inatdet.data.counts import LabelCounts
from inatdet.tfrecords import examples
from inatdet.tfrecords.lookup import LabelLookup


class Sampling(Choice):
    """How often images are shown.

    `NONE`: each once per epoch.

    `REPEAT_FACTOR`: images with a rare label more often (Gupta et al., "LVIS", 2019, section 6.4).
    With f(c) the share of images that have a box of label c and t the threshold,
    r(c) = max(1, sqrt(t / f(c))); an image has max r(c) copies over its labels.

    `CLASS_BALANCED`: a label drawn uniformly, then an image with a box of it, uniformly (Shen et
    al., "Relay Backpropagation", 2016, class-aware sampling; for images of one label also the
    class-balanced sampling of Kang et al., "Decoupling Representation and Classifier", 2020). With
    N images, C labels that occur, and n(c) images with label c, an image has the sum of
    N / (C n(c)) over its labels as its expected copies: as often as in N such draws. Images without
    a label are not shown.
    """

    NONE = "none"
    REPEAT_FACTOR = "repeat_factor"
    CLASS_BALANCED = "class_balanced"


def boxed_categories(serialized: tf.Tensor) -> tf.Tensor:
    """The category ids int64 `[boxes]` of a serialized example's boxes, except around a crowd."""
    category_ids, is_crowd = examples.decode_categories(serialized)
    return tf.boolean_mask(category_ids, ~is_crowd)


PART = "part"
"""In an example, the number of the part that is meant, where not all of it is."""


class Copying(Protocol):
    """Repeats and drops examples, or divides them into parts.

    Attributes:
        factors: what it goes by, one number per label 1, 2, ...
    """

    @property
    def factors(self) -> tuple[float, ...]:
        """See the class."""

    def expected(self, serialized: tf.Tensor) -> tf.Tensor:
        """The expected copies of a serialized example, or of its parts, per epoch, float32 `[]`."""

    def repeated(
        self,
        data: tf.data.Dataset,
        draw_of: Callable[[dict[str, tf.Tensor]], tf.Tensor],
    ) -> tf.data.Dataset:
        """Repeats, drops or divides examples.

        Args:
            data: examples with a `record`, serialized, each once.
            draw_of: from an example to a number from 0 to 1, drawn again in each epoch: one more
                than the whole copies expected where it is less than what is left of them.
        """


@dataclass(frozen=True)
class Resampler:
    """Repeats and drops encoded examples.

    Attributes:
        sampling: the rule.
        lookup: gives the labels that count.
        factors: one per label 1, 2, ..., of `factors_of`.
        categories: from a serialized example to the category ids int64 `[any]` that count; by
            default those of its boxes, except around a crowd.
    """

    sampling: Sampling
    lookup: LabelLookup
    factors: tuple[float, ...]
    categories: Callable[[tf.Tensor], tf.Tensor] = boxed_categories

    def expected(self, serialized: tf.Tensor) -> tf.Tensor:
        """The expected copies of a serialized example per epoch, float32 `[]`."""
        labels = self.lookup(self.categories(serialized))
        labels = tf.unique(tf.boolean_mask(labels, labels > 0)).y
        factors = tf.gather(tf.constant(self.factors, tf.float32), labels - 1)
        if self.sampling is Sampling.REPEAT_FACTOR:
            return tf.reduce_max(tf.concat([factors, [1.0]], axis=0))
        return tf.reduce_sum(factors)

    def repeated(
        self,
        data: tf.data.Dataset,
        draw_of: Callable[[dict[str, tf.Tensor]], tf.Tensor],
    ) -> tf.data.Dataset:
        """Repeats and drops examples.

        Args:
            data: examples with a `record`, serialized, each once.
            draw_of: from an example to a number from 0 to 1, drawn again in each epoch.
        """
        counted = data.map(
            lambda example: (example, self._copies(example["record"], draw_of(example))),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return counted.flat_map(
            lambda example, copies: tf.data.Dataset.from_tensors(example).repeat(copies)
        )

    def _copies(self, serialized: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        expected = self.expected(serialized)
        whole = tf.floor(expected)
        return tf.cast(whole, tf.int64) + tf.cast(draw < expected - whole, tf.int64)


def factors_of(sampling: Sampling, counts: LabelCounts, threshold: float) -> np.ndarray:
    """How much each label contributes to the copies of an image; see `Sampling`.

    Args:
        sampling: the rule.
        counts: over the images that are trained on.
        threshold: t of `REPEAT_FACTOR`.

    Returns:
        float64 `[labels]`; for a label that no image has, 1, or 0 with `CLASS_BALANCED`.
    """
    images = np.array(counts.images, np.float64)
    if sampling is Sampling.NONE:
        return np.ones_like(images)
    occurs = images > 0
    present = np.maximum(images, 1.0)
    if sampling is Sampling.REPEAT_FACTOR:
        factors = np.maximum(1.0, np.sqrt(threshold * counts.total_images / present))
        return np.where(occurs, factors, 1.0)
    factors = counts.total_images / (max(occurs.sum(), 1) * present)
    return np.where(occurs, factors, 0.0)


def expected_images(sampling: Sampling, counts: LabelCounts, threshold: float) -> float:
    """How many images an epoch shows, copies included.

    Args:
        sampling: the rule.
        counts: over the images that are trained on.
        threshold: t of `REPEAT_FACTOR`.

    Returns:
        With `REPEAT_FACTOR` an upper bound if images have several labels; it is reached if no image
        has two labels that are repeated.
    """
    factors = factors_of(sampling, counts, threshold)
    shown = np.array(counts.images, np.float64)
    if sampling is Sampling.CLASS_BALANCED:
        return float(shown @ factors)
    return counts.total_images + float(shown @ (factors - 1.0))


def is_single_instance(serialized: tf.Tensor) -> tf.Tensor:
    """Whether a serialized example has exactly one box, and that is not around a crowd."""
    _, is_crowd = examples.decode_categories(serialized)
    return tf.equal(tf.size(is_crowd), 1) & ~tf.reduce_any(is_crowd)
