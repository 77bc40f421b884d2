"""Time and memory of the paper's detector: one training step and one detection at 600 px.

    python -m benchmarks.paper_settings --config_file=pipelines/species.yaml --num_classes=2854

Weights are random (time does not depend on them), the image is noise, its boxes are invented.
Prints a Markdown table: seconds from the start of the process to the end of the first step, the
median of the steps after it, the median of the detections, and the peak of resident memory.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Sequence

_START = time.monotonic()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from absl import app, flags  # noqa: E402

from inatdet.detection import experiment  # noqa: E402
from inatdet.detection.faster_rcnn import FasterRCNN  # noqa: E402
from inatdet.detection.task import DetectionTask  # noqa: E402

_CONFIG = flags.DEFINE_multi_string("config_file", ["pipelines/species.yaml"], "The settings.")
_OVERRIDE = flags.DEFINE_string("params_override", "", "More settings: a.b=c,d.e=f.")
_NUM_CLASSES = flags.DEFINE_integer("num_classes", 2854, "Labels without the background.")
_HEIGHT = flags.DEFINE_integer("height", 600, "Pixels of the resized image.")
_WIDTH = flags.DEFINE_integer("width", 800, "Pixels of the resized image.")
_REPEATS = flags.DEFINE_integer("repeats", 7, "How often each is timed, after a first time.")


def invented_batch(batch_size: int, height: int, width: int, num_classes: int, boxes: int = 2):
    """Noise with boxes on it, in the form of `inatdet.data.pipeline`."""
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, 1, (batch_size, boxes, 2, 2)), axis=2)
    truth = corners.reshape(batch_size, boxes, 4) * [height, width, height, width]
    return {
        "image": tf.constant(rng.uniform(0, 255, (batch_size, height, width, 3)), tf.float32),
        "image_size": tf.constant([[height, width]] * batch_size, tf.int32),
        "boxes": tf.constant(truth, tf.float32),
        "labels": tf.constant(rng.integers(1, num_classes + 1, (batch_size, boxes)), tf.int32),
    }


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """The median time of a call."""
    times = []
    for _ in range(repeats):
        start = time.monotonic()
        call()
        times.append(time.monotonic() - start)
    return statistics.median(times)


def peak_gib() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    params = experiment.read_experiment(_CONFIG.value, _OVERRIDE.value)
    task = DetectionTask(params.task)
    model = FasterRCNN(params.task.model, _NUM_CLASSES.value)
    optimizer = task.create_optimizer(params.trainer.optimizer_config, params.runtime)
    batch_size = params.task.train_data.batch_size
    batch = invented_batch(batch_size, _HEIGHT.value, _WIDTH.value, _NUM_CLASSES.value)
    signature = {name: tf.TensorSpec([None] * len(x.shape), x.dtype) for name, x in batch.items()}
    signature["image"] = tf.TensorSpec([None, None, None, 3])
    signature["image_size"] = tf.TensorSpec([None, 2], tf.int32)
    signature["boxes"] = tf.TensorSpec([None, None, 4])

    @tf.function(input_signature=[signature])
    def train_step(inputs):
        return task.train_step(inputs, model, optimizer)

    @tf.function(input_signature=[signature])
    def detect(inputs):
        return model(inputs, training=False)

    float(train_step(batch)["loss"])
    first = time.monotonic() - _START
    step = median_seconds(lambda: float(train_step(batch)["loss"]), _REPEATS.value)
    step_memory = peak_gib()
    detect(batch).count.numpy()
    detection = median_seconds(lambda: detect(batch).count.numpy(), _REPEATS.value)
    parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    print("| settings | image | batch | species | parameters | process start to first step |"
          " training step | peak memory, training | detection |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    print(
        f"| {', '.join(_CONFIG.value)} {_OVERRIDE.value} | {_HEIGHT.value}x{_WIDTH.value} "
        f"| {batch_size} | {_NUM_CLASSES.value} | {parameters / 1e6:.1f} M | {first:.1f} s "
        f"| {step:.2f} s | {step_memory:.2f} GiB | {detection / batch_size:.2f} s an image |"
    )


if __name__ == "__main__":
    app.run(main)
