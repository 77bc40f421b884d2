"""Generated photographs with the shapes of iNat2017's, and TFRecords of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image as PILImage

from inatdet.data.annotations import Image
from inatdet.data.categories import Category
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.tfrecords import encoding
from inatdet.tfrecords.lookup import LabelLookup

# Height and width, and how many of 20 images have them: camera formats (4:3, 3:2, 16:9), phones'
# portraits, squares, and what cropping by hand leaves.
_SHAPES = (
    ((600, 800), 6),
    ((533, 800), 4),
    ((450, 800), 1),
    ((800, 600), 3),
    ((800, 533), 1),
    ((800, 800), 1),
    (None, 4),
)


def encoded(pixels: np.ndarray) -> bytes:
    """A JPEG of `[height, width, 3]`, 0..255."""
    file = io.BytesIO()
    PILImage.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


_TAXONOMY = Taxonomy.from_categories((Category(0, "Avis communis", "Aves"),), {0})


def lookup() -> LabelLookup:
    """Gives the labels of the one species."""
    return LabelLookup(_TAXONOMY, Granularity.SPECIES)


def photograph(rng: np.random.Generator, height: int, width: int) -> bytes:
    """A JPEG with smooth colors and some noise, about as large as that of a photograph."""
    coarse = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3)).astype(np.uint8)
    smooth = PILImage.fromarray(coarse).resize((width, height), PILImage.Resampling.BICUBIC)
    return encoded(np.asarray(smooth) + rng.normal(0, 8, (height, width, 3)))


def draw(count: int) -> list[bytes]:
    """JPEGs with a longest side of 800 pixels, the shapes in random order."""
    rng = np.random.default_rng(0)
    shapes = [shape for shape, times in _SHAPES for _ in range(times)]
    jpegs = []
    for number in rng.permutation(count).tolist():
        shape = shapes[number % len(shapes)]
        height, width = shape or rng.permutation([800, int(rng.integers(420, 800))]).tolist()
        jpegs.append(photograph(rng, height, width))
    return jpegs


def write_records(directory: Path, jpegs: Sequence[bytes], shards: int = 4) -> str:
    """Writes TFRecords with one box per image; returns the pattern of their names."""
    writers = [
        tf.io.TFRecordWriter(str(directory / f"train-{i:05}-of-{shards:05}.tfrecord"))
        for i in range(shards)
    ]
    for number, jpeg in enumerate(jpegs):
        with PILImage.open(io.BytesIO(jpeg)) as image:
            width, height = image.size
        record = encoding.encode(
            Image(number, f"{number}.jpg", width, height),
            jpeg,
            np.array([[50.0, 40.0, 200.0, 300.0]]),
            np.array([0]),
            np.array([30000.0]),
            np.array([False]),
            _TAXONOMY,
        )
        writers[number % shards].write(record)
    for writer in writers:
        writer.close()
    return str(directory / "train-*")
