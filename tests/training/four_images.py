"""Four images with boxes, and settings with which no draw can tell batches of them apart."""

import numpy as np
import tensorflow as tf

from tests.settings import RESNET_OVERRIDE

IMAGES = 4
# Everything is sampled, so that no draw can tell the batches apart.
SETTINGS = (
    f"{RESNET_OVERRIDE},task.model.backbone.batch_norm=frozen,"
    "task.model.rpn.channels=16,task.model.rpn.sample_size=1000,"
    "task.model.rpn.positive_fraction=1.0,task.model.rpn.max_proposals=12,"
    "task.model.head.sample_size=12,task.model.head.positive_fraction=1.0,"
    "task.model.head.crop_size=4,task.short_edge=64,task.long_edge=64"
)


def images(first, last):
    """A batch of some of four images, with one to three boxes each."""
    rng = np.random.default_rng(0)
    boxes = np.zeros((IMAGES, 3, 4), np.float32)
    labels = np.zeros((IMAGES, 3), np.int32)
    for image in range(IMAGES):
        for box in range(1 + image % 3):
            corner = rng.uniform(0, 28, 2)
            boxes[image, box] = [*corner, *(corner + rng.uniform(20, 36, 2))]
            labels[image, box] = 1 + box
    whole = {
        "image": rng.uniform(0, 255, (IMAGES, 64, 64, 3)).astype(np.float32),
        "image_size": np.full((IMAGES, 2), 64, np.int32),
        "boxes": boxes,
        "labels": labels,
    }
    return {name: tf.constant(value[first:last]) for name, value in whole.items()}
