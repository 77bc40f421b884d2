"""This project's classifier with the paper's settings; see `process.serve`."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from absl import app, flags

from benchmarks import measuring
from benchmarks.peers import process
from inatdet.classification.experiments import read_experiment
from inatdet.classification.model import Classifier
from inatdet.classification.task import ClassifierTask
from inatdet.training import devices

_OVERRIDE = flags.DEFINE_string("params_override", "", "Settings: a.b=c,d.e=f.")
_NUM_CLASSES = flags.DEFINE_integer("num_classes", 5089, "Labels.")
_BATCH = flags.DEFINE_integer("batch_size", 32, "Images per step.")
_SIDE = flags.DEFINE_integer("image_size", 299, "Height and width, in pixels.")


def main(argv: Sequence[str]) -> None:
    """Builds the classifier and serves training steps."""
    del argv
    params = read_experiment([], _OVERRIDE.value)
    devices.set_precision(params.runtime)
    task = ClassifierTask(params.task)
    model = Classifier(params.task.model, _NUM_CLASSES.value)
    optimizer = task.create_optimizer(params.trainer.optimizer_config, params.runtime)
    if params.trainer.optimizer_config.ema:
        optimizer.shadow_copy(model)
    invented = measuring.invented_images(_BATCH.value, _SIDE.value, _NUM_CLASSES.value)
    batch = {name: tf.constant(value) for name, value in invented.items()}
    train = tf.function(lambda inputs: task.train_step((inputs,), model, optimizer))
    process.serve(lambda: float(train(batch)["loss"]))


if __name__ == "__main__":
    app.run(main)
