"""A tiny set of TFRecords: bright rectangles of three colors on noise."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image as PILImage

from inatdet.data.annotations import Image
from inatdet.data.categories import Category
from inatdet.data.counts import CategoryCounts
from inatdet.data.taxonomy import Taxonomy
from inatdet.tfrecords import encoding
from inatdet.tfrecords.label_counts import SplitCounts

COLORS = [(255, 40, 40), (40, 255, 40), (40, 40, 255)]
CATEGORIES = (
    Category(0, "Rubra minor", "Aves"),
    Category(7, "Viridis minor", "Aves"),
    Category(3, "Caerula minor", "Insecta"),
)


def taxonomy() -> Taxonomy:
    """Three species of two super-classes, ids with a gap that start at 0."""
    return Taxonomy.from_categories(CATEGORIES, {0, 3, 7})


def write(
    directory: Path, count: int = 16, seed: int = 0, prefix: str = "train", boxes: int = 1
) -> str:
    """Writes `count` images of 96x128 or 128x96 pixels, with one box each, or the same repeated.

    Returns:
        The pattern of the files; taxonomy.json and the label counts lie beside them.
    """
    rng = np.random.default_rng(seed)
    directory.mkdir(parents=True, exist_ok=True)
    taxonomy().save(directory / "taxonomy.json")
    with tf.io.TFRecordWriter(str(directory / f"{prefix}-00000-of-00001.tfrecord")) as writer:
        for image_id in range(count):
            height, width = (96, 128) if image_id % 2 else (128, 96)
            pixels = rng.integers(60, 120, (height, width, 3)).astype(np.uint8)
            category = image_id % 3
            h, w = rng.integers(36, 64, 2)
            y, x = rng.integers(0, height - h), rng.integers(0, width - w)
            pixels[y : y + h, x : x + w] = COLORS[category]
            jpeg = io.BytesIO()
            PILImage.fromarray(pixels).save(jpeg, "JPEG", quality=92)
            record = encoding.encode(
                Image(image_id, f"{image_id}.jpg", width, height),
                jpeg.getvalue(),
                np.array([[x, y, w, h]] * boxes, np.float64),
                np.array([CATEGORIES[category].id] * boxes),
                np.array([w * h / 2.0] * boxes),
                np.array([False] * boxes),
                taxonomy(),
            )
            writer.write(record)
    _counts(count).save(str(directory), prefix)
    return str(directory / f"{prefix}-*")


def _counts(count: int) -> SplitCounts:
    boxes = Counter(CATEGORIES[image_id % 3].id for image_id in range(count))
    counts = CategoryCounts(count, boxes, {(i,): boxes[i] for i in boxes})
    return SplitCounts(counts, counts)  # every image has one box
