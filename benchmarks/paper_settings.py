"""Time and memory of the paper's detector: one training step and one detection at 600 px.

    python -m benchmarks.paper_settings --config_file=pipelines/species.yaml --num_classes=2854

Weights are random (they do not affect the time), the image is noise, its boxes are invented.
Prints a Markdown table: seconds from the start of the process to the end of the first step, the
median of the steps after it, the median of the detections, and the peak of resident memory.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

_START = time.monotonic()

import tensorflow as tf  # noqa: E402
from absl import app, flags  # noqa: E402

from benchmarks import measuring  # noqa: E402
from benchmarks.peers import ours  # noqa: E402
from inatdet.detection.experiments import read_experiment  # noqa: E402

_HEIGHT = flags.DEFINE_integer("height", 600, "Pixels of the resized image.")
_WIDTH = flags.DEFINE_integer("width", 800, "Pixels of the resized image.")
_REPEATS = flags.DEFINE_integer("repeats", 7, "How often each is timed, after a first run.")


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    config_files, override = flags.FLAGS.config_file, flags.FLAGS.params_override
    num_classes = flags.FLAGS.num_classes
    params = read_experiment(config_files, override)
    detector = ours.build(params, num_classes)
    batch_size = params.task.train_data.batch_size
    invented = measuring.invented_batch(batch_size, _HEIGHT.value, _WIDTH.value, num_classes)
    batch = {name: tf.constant(value) for name, value in invented.items()}
    detector.train(batch)
    first = time.monotonic() - _START
    step = measuring.median_seconds(lambda: detector.train(batch), _REPEATS.value)
    step_memory = measuring.peak_gib()
    detector.detect(batch)
    detection = measuring.median_seconds(lambda: detector.detect(batch), _REPEATS.value)
    measuring.print_table(
        ("settings", "image", "batch", "species", "parameters", "process start to first step",
         "training step", "peak memory, training", "detection"),
        [(
            f"{', '.join(config_files)} {override}",
            f"{_HEIGHT.value}x{_WIDTH.value}",
            batch_size,
            num_classes,
            f"{detector.parameters / 1e6:.1f} M",
            f"{first:.1f} s",
            f"{step:.2f} s",
            f"{step_memory:.2f} GiB",
            f"{detection / batch_size:.2f} s an image",
        )],
    )  # fmt: skip


if __name__ == "__main__":
    app.run(main)
