"""A small detector in the C4 form, and batches of noise for it."""

import numpy as np
import tensorflow as tf

from inatdet.detection.detector_config import FasterRCNNConfig

NUM_CLASSES = 4


def small_config(**model):
    """Settings with a narrow backbone, and overrides by section."""
    config = FasterRCNNConfig()
    config.override(
        {
            "backbone": {"width": 0.125, "batch_norm": "trained", "weights": ""},
            "anchors": {"base": 64.0},
            "rpn": {"channels": 16, "max_proposals": 20, "sample_size": 32},
            "head": {"sample_size": 8},
        }
    )
    config.override(model)
    return config


def batch_of(sizes, padded=None, seed=0, boxes=2):
    """A padded batch of noise of these heights and widths, with one box in each image.

    Args:
        sizes: height and width of each image.
        padded: height and width of the batch, if not those of the largest image.
        seed: of the noise.
        boxes: places for boxes, of which the first is used; 0 gives images without boxes.
    """
    rng = np.random.default_rng(seed)
    height, width = padded or np.max(sizes, axis=0)
    images = np.zeros((len(sizes), height, width, 3), np.float32)
    truth = np.zeros((len(sizes), boxes, 4), np.float32)
    labels = np.zeros((len(sizes), boxes), np.int32)
    for index, (h, w) in enumerate(sizes):
        images[index, :h, :w] = rng.uniform(0, 255, (h, w, 3))
        if boxes:
            truth[index, 0] = [h * 0.2, w * 0.2, h * 0.8, w * 0.9]
            labels[index, 0] = 1 + index % NUM_CLASSES
    return {
        "image": tf.constant(images),
        "image_size": tf.constant(sizes, tf.int32),
        "boxes": tf.constant(truth),
        "labels": tf.constant(labels),
    }


def assert_padding_changes_nothing(model):
    """Asserts that pixels outside an image do not change what a model detects in it."""
    clean = batch_of([(64, 80)], padded=(96, 96))
    dirty = dict(clean)
    inside = np.zeros((1, 96, 96, 1), bool)
    inside[:, :64, :80] = True
    dirty["image"] = tf.where(inside, clean["image"], 200.0)
    for a, b in zip(model(clean, training=False), model(dirty, training=False)):
        np.testing.assert_array_equal(a, b)
