"""Images a second of the input pipeline, against bare decoding and resizing in the same run.

    python -m benchmarks.input_pipeline --images=240 --rounds=5

Generated photographs with iNat2017's longest side of 800 pixels are decoded, flipped and resized
to a shorter side of 600. `bare` is `tf.io.decode_jpeg` and `tf.image.resize` in a parallel map over
the JPEGs in memory, nothing else. The rest is `inatdet.data.pipeline` over TFRecords, in training.
The ways take turns, so that what else the machine does meets all of them; the medians are compared.
Prints a Markdown table, with the pixels that batches hold over those of their images.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import app, flags
from PIL import Image as PILImage

from inatdet.data import examples, pipeline
from inatdet.data.records import Image
from inatdet.data.taxonomy import Category, Granularity, Taxonomy

_IMAGES = flags.DEFINE_integer("images", 240, "Images generated, and timed in each round.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "How often each way is timed.")
_BATCH_SIZES = flags.DEFINE_multi_integer("batch_size", [1, 8], "Images a batch.")

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


def photograph(rng: np.random.Generator, height: int, width: int) -> bytes:
    """A JPEG with smooth colours and some noise, about as large as a photograph's."""
    coarse = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3)).astype(np.uint8)
    smooth = PILImage.fromarray(coarse).resize((width, height), PILImage.Resampling.BICUBIC)
    pixels = np.asarray(smooth) + rng.normal(0, 8, (height, width, 3))
    file = io.BytesIO()
    PILImage.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def write_records(directory: Path, count: int, shards: int = 4) -> tuple[str, list[bytes]]:
    """Writes TFRecords of generated photographs; returns their pattern and the JPEGs."""
    rng = np.random.default_rng(0)
    shapes = [shape for shape, times in _SHAPES for _ in range(times)]
    taxonomy = Taxonomy.from_categories((Category(0, "Avis communis", "Aves"),), {0})
    jpegs = []
    writers = [
        tf.io.TFRecordWriter(str(directory / f"train-{i:05}-of-{shards:05}.tfrecord"))
        for i in range(shards)
    ]
    for number in rng.permutation(count).tolist():
        shape = shapes[number % len(shapes)]
        height, width = shape or rng.permutation([800, int(rng.integers(420, 800))]).tolist()
        jpegs.append(photograph(rng, height, width))
        example = examples.encode(
            Image(number, f"{number}.jpg", width, height),
            jpegs[-1],
            np.array([[50.0, 40.0, 200.0, 300.0]]),
            np.array([0]),
            np.array([30000.0]),
            np.array([False]),
            taxonomy,
        )
        writers[number % shards].write(example.SerializeToString())
    for writer in writers:
        writer.close()
    return str(directory / "train-*"), jpegs


def bare(jpegs: list[bytes]) -> tf.data.Dataset:
    """Decoding and resizing, and nothing else."""

    def decode_and_resize(jpeg: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(jpeg, channels=3)
        height, width = tf.unstack(tf.shape(image)[:2])
        return tf.image.resize(image, pipeline.resized_shape(height, width, 600, 1024))

    data = tf.data.Dataset.from_tensor_slices(jpegs).repeat()
    return data.map(decode_and_resize, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def rate(data: tf.data.Dataset, count: Callable[[object], int], images: int) -> float:
    """Images a second, after as many to warm up, by an iterator of its own.

    An iterator that outlived its turn would go on filling its buffers during the others'.
    """
    batches = iter(data)
    took(batches, count, images)
    return images / took(batches, count, images)


def took(batches: Iterator[object], count: Callable[[object], int], images: int) -> float:
    """Seconds for so many images, or as many more as fill the last batch, in proportion."""
    seen = 0
    start = time.perf_counter()
    while seen < images:
        seen += count(next(batches))
    return (time.perf_counter() - start) * images / seen


def padding(batches: Iterator[dict[str, tf.Tensor]], images: int) -> float:
    """Pixels of the batches over those of their images."""
    seen, held, real = 0, 0, 0
    while seen < images:
        batch = next(batches)
        seen += len(batch["image_id"])
        held += int(tf.size(batch["image"])) // 3
        real += int(tf.reduce_sum(tf.reduce_prod(batch["image_size"], axis=-1)))
    return held / real


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    with tempfile.TemporaryDirectory() as directory:
        pattern, jpegs = write_records(Path(directory), _IMAGES.value)
        ways = {"bare decode and resize": (bare(jpegs), lambda image: 1)}
        for batch_size in _BATCH_SIZES.value:
            data = pipeline.make_dataset(
                pattern,
                Granularity.SPECIES,
                batch_size=batch_size,
                short_edge=600,
                long_edge=1024,
                is_training=True,
                seed=0,
                shuffle_buffer=_IMAGES.value,
            )
            ways[f"pipeline, batches of {batch_size}"] = (
                data,
                lambda batch: len(batch["image_id"]),
            )
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(_ROUNDS.value):
            for name, (data, count) in ways.items():
                rates[name].append(rate(data, count, _IMAGES.value))
        medians = {name: statistics.median(values) for name, values in rates.items()}
        print("| way | images/s | of bare | pixels held / of images |")
        print("|---|---|---|---|")
        for name, median in medians.items():
            share = median / medians["bare decode and resize"]
            held = padding(iter(ways[name][0]), _IMAGES.value) if name.startswith("pipeline") else 1
            print(f"| {name} | {median:.0f} | {share:.2f} | {held:.3f} |")


if __name__ == "__main__":
    app.run(main)
