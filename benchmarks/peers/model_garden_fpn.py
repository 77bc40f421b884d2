"""Model Garden's Faster R-CNN, ResNet-50 with FPN on 1024x1024; see `process.serve`.

Its own experiment `fasterrcnn_resnetfpn_coco`, task, parser and optimizer, with 2,855 classes and
without checkpoint, mixed precision and scaling of images. Each step is a training step.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from absl import app, flags
from official.vision.configs import maskrcnn
from official.vision.tasks.maskrcnn import MaskRCNNTask

from benchmarks import measuring, photographs
from benchmarks.peers import process

_NUM_CLASSES = flags.DEFINE_integer("num_classes", 2854, "Labels without the background.")
_NMS = flags.DEFINE_bool(
    "nms", True, "Whether the model is built with its class-by-class suppression, its default."
)


def task_of(input_path: str, num_classes: int, nms: bool, batch_size: int = 1) -> MaskRCNNTask:
    """Model Garden's task over TFRecords."""
    params = maskrcnn.fasterrcnn_resnetfpn_coco().task
    params.override(
        {
            "init_checkpoint": None,
            "model": {
                "num_classes": num_classes + 1,
                "norm_activation": {"use_sync_bn": False},
                "detection_generator": {"apply_nms": nms},
            },
            "train_data": {
                "input_path": input_path,
                "global_batch_size": batch_size,
                "dtype": "float32",
                "shuffle_buffer_size": 240,
                "parser": {"aug_scale_min": 1.0, "aug_scale_max": 1.0},
            },
        }
    )
    return MaskRCNNTask(params)


def main(argv: Sequence[str]) -> None:
    """Builds the detector and serves."""
    del argv
    invented = measuring.invented_batch(1, 600, 800, _NUM_CLASSES.value)
    with tempfile.TemporaryDirectory() as directory:
        noise = photographs.encoded(invented["image"][0])
        pattern = photographs.write_records(Path(directory), [noise], shards=1)
        task = task_of(pattern, _NUM_CLASSES.value, _NMS.value)
        batch = next(iter(task.build_inputs(task.task_config.train_data)))
    model = task.build_model()
    optimizer = task.create_optimizer(maskrcnn.fasterrcnn_resnetfpn_coco().trainer.optimizer_config)
    train = tf.function(lambda inputs: task.train_step(inputs, model, optimizer))
    process.serve(lambda: float(train(batch)["loss"]))


if __name__ == "__main__":
    app.run(main)
