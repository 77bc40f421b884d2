"""Images per second of the classifier's training input, compared with bare decoding and others.

    python -m benchmarks.classification_input --images=240 --rounds=5

Generated photographs with iNat2017's longest side of 800 pixels are cropped at random, decoded,
resized to 299x299 and flipped, and the colors of 30% are distorted. `bare` is
`tf.image.decode_and_crop_jpeg` of such crops, drawn beforehand, and `tf.image.resize` in a parallel
map over the JPEGs in memory, nothing else. `pipeline` is `inatdet.classification.inputs` over
TFRecords, in training, in batches of 32; `Model Garden` its classification parser over the same
files with crops of the same share of an image, with its color jitter (of brightness, contrast and
saturation of all images) and without. The ways take turns, so that whatever else the machine does
affects all of them; the medians are compared. Prints Markdown tables.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from absl import app, flags
from official.core import input_reader
from official.vision.configs import image_classification
from official.vision.dataloaders import classification_input

from benchmarks import measuring, photographs
from benchmarks.measuring import Target
from inatdet.classification import crops, inputs
from inatdet.classification.config import AugmentationConfig

_IMAGES = flags.DEFINE_integer("images", 240, "Images generated, and timed in each round.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "How often each way is timed.")
_BATCH = flags.DEFINE_integer("batch_size", 32, "Images per batch.")

_SIDE = 299
_AUGMENTATION = AugmentationConfig()
_AREA = (_AUGMENTATION.min_area, _AUGMENTATION.max_area)
_ASPECT = (_AUGMENTATION.min_aspect, _AUGMENTATION.max_aspect)
_JITTER = 0.4  # of Model Garden's colors, where they are jittered


def bare(jpegs: Sequence[bytes]) -> tf.data.Dataset:
    """Decoding parts of images and resizing them, and nothing else."""
    windows = [
        crops.random_window(tf.io.extract_jpeg_shape(jpeg)[:2], [number, 0], _AREA, _ASPECT)
        for number, jpeg in enumerate(jpegs)
    ]

    def decode_and_resize(jpeg: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
        part = tf.image.decode_and_crop_jpeg(jpeg, window, channels=3)
        return tf.image.resize(part, [_SIDE, _SIDE])

    data = tf.data.Dataset.from_tensor_slices((list(jpegs), windows)).repeat()
    return data.map(decode_and_resize, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def pipeline(pattern: str, color_share: float) -> tf.data.Dataset:
    """Ours."""
    return inputs.make_dataset(
        pattern,
        photographs.lookup(),
        batch_size=_BATCH.value,
        image_size=_SIDE,
        is_training=True,
        augmentation=AugmentationConfig(color_share=color_share),
        seed=0,
        shuffle_buffer=_IMAGES.value,
    )


def model_garden(pattern: str, color_jitter: float) -> tf.data.Dataset:
    """Model Garden's decoder, parser and reader."""
    config = image_classification.DataConfig(
        input_path=pattern,
        global_batch_size=_BATCH.value,
        is_training=True,
        shuffle_buffer_size=_IMAGES.value,
    )
    parser = classification_input.Parser(
        [_SIDE, _SIDE], num_classes=1, color_jitter=color_jitter, crop_area_range=_AREA
    )
    reader = input_reader.InputReader(
        config,
        decoder_fn=classification_input.Decoder(
            config.image_field_key, config.label_field_key
        ).decode,
        parser_fn=parser.parse_fn(is_training=True),
    )
    return reader.read()


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    bare_way, ours = "bare decode of the crop and resize", "pipeline"
    plain, jittered = "Model Garden's parser", "Model Garden's parser with color jitter"
    with tempfile.TemporaryDirectory() as directory:
        jpegs = photographs.draw(_IMAGES.value)
        pattern = photographs.write_records(Path(directory), jpegs)
        ways = {
            bare_way: (bare(jpegs), lambda image: 1),
            ours: (
                pipeline(pattern, _AUGMENTATION.color_share),
                lambda batch: len(batch["label"]),
            ),
            "pipeline without distorted colors": (
                pipeline(pattern, 0.0),
                lambda batch: len(batch["label"]),
            ),
            plain: (model_garden(pattern, 0.0), lambda batch: len(batch[1])),
            jittered: (model_garden(pattern, _JITTER), lambda batch: len(batch[1])),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(_ROUNDS.value):
            for name, (data, count) in ways.items():
                rates[name].append(measuring.rate(data, count, _IMAGES.value))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    measuring.print_table(
        ("way", "images/s", "of bare"),
        ((name, f"{m:.0f}", f"{m / medians[bare_way]:.2f}") for name, m in medians.items()),
    )
    measuring.print_targets(
        [
            Target(f"{ours}, of bare", medians[ours] / medians[bare_way], 0.85),
            Target(f"{ours}, faster than {jittered}", medians[ours] / medians[jittered], 2.0),
            Target(f"{ours}, faster than {plain}", medians[ours] / medians[plain], 2.0),
        ]
    )


if __name__ == "__main__":
    app.run(main)
