"""What caching features will take, measured on a few images for a plan of training."""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf

from inatdet import outputs
from inatdet.detection import pixels
from inatdet.detection.config import FasterRCNNTask
from inatdet.detection.faster_rcnn import FasterRCNN
from inatdet.detection.feature_cache import FeatureCache, from_bits
from inatdet.networks import inception_v3
from inatdet.tfrecords.journal import count_boxed_images
from inatdet.training.estimates import LEAST_STEPS, NOTHING, Preparation, Span, is_enough, span_of


class PlannedFeatures:
    """Stands in for a `FeatureCache` where nothing is to be kept: its features are invented.

    Batches can be made before `measure` is called, but not read.

    Args:
        config: the task's settings; its trunk is frozen to its end.
    """

    def __init__(self, config: FasterRCNNTask):
        self._config = config
        self._channels = 0

    def features_of(self, encoded: tf.Tensor, flips: tf.Tensor) -> tf.Tensor:
        """Invents features of the sizes that the images' own have; see `FeatureCache`."""
        del flips
        shapes = tf.map_fn(tf.image.extract_jpeg_shape, encoded, fn_output_signature=tf.int32)
        edges = self._config.short_edge, self._config.long_edge
        largest = tf.reduce_max(pixels.resized_sizes(shapes[:, :2], *edges), axis=0)
        cells = tf.unstack(-(-largest // inception_v3.TRUNK_STRIDE))
        found = tf.numpy_function(self._invent, [tf.shape(encoded)[0], *cells], tf.uint16)
        return from_bits(found)

    def _invent(self, *shape: np.ndarray) -> np.ndarray:
        assert self._channels, "features are invented before it was measured what real ones take"
        return np.zeros([*shape, self._channels], np.uint16)

    def measure(self, model: FasterRCNN, most_images: int, most_seconds: float) -> Preparation:
        """Measures how long the features of an image take, both flips.

        Args:
            model: with any weights; if features were computed with these, none will be again.
            most_images: how many, at least `LEAST_STEPS`, after the first, with which the graph is
                built.
            most_seconds: after how long to stop, if `LEAST_STEPS` images have been measured.
        """
        config = self._config
        self._channels = model.backbone_parts[0].output_shape[-1]
        cache = FeatureCache(config)
        free = outputs.free_space(config.feature_cache)
        if (before := cache.count(model)) is not None:
            return Preparation("features", before, 0, free, NOTHING)
        # One after another, as they are computed; the first one builds the graph.
        computed = cache.computed(model, np.ones(1 + max(most_images, LEAST_STEPS), bool))
        seconds: list[float] = []
        sizes: list[int] = []
        start = time.monotonic()
        for _, features in computed:
            seconds.append(time.monotonic() - start)
            sizes.append(features.nbytes)
            if is_enough(seconds[1:], most_images, most_seconds):
                break
            start = time.monotonic()
        if not seconds:
            return Preparation("features", 0, 0, free, NOTHING)
        images = count_boxed_images(config.train_data.input_path) or cache.count_images()
        taken = span_of(seconds[1:], seconds[0]).times(max(images - 1, 0))
        size = round(sum(sizes) / len(sizes) * images)
        return Preparation("features", images, size, free, Span.exactly(seconds[0]) + taken)
