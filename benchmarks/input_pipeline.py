"""Images per second of the training input, compared with bare decoding and with Model Garden's.

    python -m benchmarks.input_pipeline --images=240 --rounds=5

Generated photographs with iNat2017's longest side of 800 pixels are decoded, flipped and resized
to a shorter side of 600. `bare` is `tf.io.decode_jpeg` and `tf.image.resize` in a parallel map over
the JPEGs in memory, nothing else. `pipeline` is `inatdet.detection.inputs` over TFRecords, in
training; `Model Garden` its Mask R-CNN parser over the same files, which resizes onto 1024x1024 and
labels the anchors (ours are labeled in the model). The ways take turns, so that whatever else the
machine does affects all of them; the medians are compared. Prints Markdown tables, with the pixels
that batches hold over those of their images.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import tensorflow as tf
from absl import app, flags

from benchmarks import measuring, photographs
from benchmarks.measuring import Target
from benchmarks.peers import model_garden_fpn
from inatdet.detection import inputs, pixels

_IMAGES = flags.DEFINE_integer("images", 240, "Images generated, and timed in each round.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "How often each way is timed.")
_BATCH_SIZES = flags.DEFINE_multi_integer("batch_size", [1, 8], "Images per batch.")


def bare(jpegs: list[bytes]) -> tf.data.Dataset:
    """Decoding and resizing, and nothing else."""

    def decode_and_resize(jpeg: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(jpeg, channels=3)
        height, width = tf.unstack(tf.shape(image)[:2])
        return tf.image.resize(image, pixels.resized_shape(height, width, 600, 1024))

    data = tf.data.Dataset.from_tensor_slices(jpegs).repeat()
    return data.map(decode_and_resize, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


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
    bare_way, parser_way = "bare decode and resize", "Model Garden's parser, batches of 1"
    sizes = _BATCH_SIZES.value
    pipeline_ways = {size: f"pipeline, batches of {size}" for size in sizes}
    with tempfile.TemporaryDirectory() as directory:
        jpegs = photographs.draw(_IMAGES.value)
        pattern = photographs.write_records(Path(directory), jpegs)
        ways = {bare_way: (bare(jpegs), lambda image: 1)}
        for size, name in pipeline_ways.items():
            data = inputs.make_dataset(
                pattern,
                photographs.lookup(),
                batch_size=size,
                short_edge=600,
                long_edge=1024,
                is_training=True,
                seed=0,
                shuffle_buffer=_IMAGES.value,
            )
            ways[name] = (data, lambda batch: len(batch["image_id"]))
        theirs = model_garden_fpn.task_of(pattern, num_classes=2854, nms=True)
        data = theirs.build_inputs(theirs.task_config.train_data)
        ways[parser_way] = (data, lambda batch: len(batch[0]))
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(_ROUNDS.value):
            for name, (data, count) in ways.items():
                rates[name].append(measuring.rate(data, count, _IMAGES.value))
        medians = {name: statistics.median(values) for name, values in rates.items()}
        held = {
            size: padding(iter(ways[name][0]), _IMAGES.value)
            for size, name in pipeline_ways.items()
        }
    measuring.print_table(
        ("way", "images/s", "of bare"),
        ((name, f"{m:.0f}", f"{m / medians[bare_way]:.2f}") for name, m in medians.items()),
    )
    targets = []
    for size, name in pipeline_ways.items():
        share = medians[name] / medians[bare_way]
        targets.append(Target(f"{name}, of bare", share, 0.85))
        faster = medians[name] / medians[parser_way]
        targets.append(Target(f"{name}, faster than Model Garden's parser", faster, 20.0))
        what = f"pixels in batches of {size}, of the images'"
        targets.append(Target(what, held[size], 1.15, at_most=True))
    measuring.print_targets(targets)


if __name__ == "__main__":
    app.run(main)
