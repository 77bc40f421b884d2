"""This project's detector with the settings of a pipeline; see `process.serve`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import app, flags

from benchmarks import measuring
from benchmarks.full_size import categories
from benchmarks.peers import process
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.detection import forms
from inatdet.detection.config import DetectionExperiment
from inatdet.detection.experiments import read_experiment
from inatdet.detection.faster_rcnn import FasterRCNN
from inatdet.detection.level_losses import WeightedLevel, weighted_levels
from inatdet.detection.task import DetectionTask
from inatdet.training import devices

_MODE = flags.DEFINE_enum("mode", "train", ["train", "detect"], "What a step is.")
_CONFIG = flags.DEFINE_multi_string("config_file", ["pipelines/species.yaml"], "The settings.")
_OVERRIDE = flags.DEFINE_string("params_override", "", "More settings: a.b=c,d.e=f.")
_NUM_CLASSES = flags.DEFINE_integer("num_classes", 2854, "Labels without the background.")

# Shapes are free, as they are in training.
_BATCH = {
    "image": tf.TensorSpec([None, None, None, 3]),
    "image_size": tf.TensorSpec([None, 2], tf.int32),
    "boxes": tf.TensorSpec([None, None, 4]),
    "labels": tf.TensorSpec([None, None], tf.int32),
}


class Detector(NamedTuple):
    """A detector with random weights.

    Attributes:
        model: the detector.
        parameters: how many of its weights are trained.
        train: one step on a batch (used `accumulate_steps` times); returns the loss.
        detect: detects in a batch; returns how many detections each image has.
    """

    model: FasterRCNN
    parameters: int
    train: Callable[[dict[str, tf.Tensor]], float]
    detect: Callable[[dict[str, tf.Tensor]], object]


def build(params: DetectionExperiment, num_classes: int) -> Detector:
    """Builds an experiment's detector, which is traced when first called."""
    devices.set_precision(params.runtime)
    task = DetectionTask(params.task)
    model = forms.build(params.task.model, num_classes, levels=_levels(params, num_classes))
    optimizer = task.create_optimizer(params.trainer.optimizer_config, params.runtime)
    repeats = params.task.accumulate_steps
    train = tf.function(
        lambda inputs: task.train_step((inputs,) * repeats, model, optimizer), [_BATCH]
    )
    detect = tf.function(lambda inputs: model(inputs, training=False), [_BATCH])
    return Detector(
        model,
        sum(int(np.prod(v.shape)) for v in model.trainable_variables),
        lambda batch: float(train(batch)["loss"]),
        lambda batch: detect(batch).count.numpy(),
    )


def _levels(params: DetectionExperiment, num_classes: int) -> list[WeightedLevel]:
    """Those that the settings weight, of the first species in the published super-classes."""
    species = categories()[:num_classes]
    taxonomy = Taxonomy.from_categories(species, [category.id for category in species])
    weights = params.task.model.losses.level_weights
    return weighted_levels(weights, taxonomy, Granularity.SPECIES)


def main(argv: Sequence[str]) -> None:
    """Builds the detector and serves."""
    del argv
    params = read_experiment(_CONFIG.value, _OVERRIDE.value)
    detector = build(params, _NUM_CLASSES.value)
    invented = measuring.invented_batch(1, 600, 800, _NUM_CLASSES.value)
    batch = {name: tf.constant(value) for name, value in invented.items()}
    step = detector.train if _MODE.value == "train" else detector.detect
    process.serve(lambda: step(batch), detector.parameters)


if __name__ == "__main__":
    app.run(main)
