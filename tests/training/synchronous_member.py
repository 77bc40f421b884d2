"""One process of a cluster that takes ten steps of two tasks; a script of test_synchronous.py.

    python -m tests.training.synchronous_member FOLDER REPLICAS

FOLDER has taxonomy.json. Without TF_CONFIG this is the only process, with batches of as many images
as there are replicas. The first process saves its weights as FOLDER/PROCESSES-TASK.npz.
"""

import os
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras
from official.core import config_definitions as cfg

from inatdet.classification.task import ClassifierTask
from inatdet.detection.experiments import read_experiment
from inatdet.detection.task import DetectionTask
from inatdet.networks import classifiers
from inatdet.training import cluster, devices
from tests.classification import settings
from tests.classification.conftest import tiny
from tests.training import four_images

STEPS = 10


def detector(folder):
    params = read_experiment(
        ["pipelines/mini_species.yaml"],
        f"{four_images.SETTINGS},task.taxonomy={folder}/taxonomy.json",
    )
    return DetectionTask(params.task), four_images.images


def classifier(folder):
    def images(first, last):
        rng = np.random.default_rng(first)
        return {
            "image": tf.constant(rng.uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)),
            "label": tf.constant([1 + first % 3]),
            "image_id": tf.constant([first]),
        }

    params = settings.training_on(f"{folder}/records", 1, "task.model.batch_norm=frozen")
    params.task.taxonomy = f"{folder}/taxonomy.json"
    return ClassifierTask(params.task), images


def weights_after(task, images, strategy, processes, replicas):
    """The weights after some steps of plain SGD with momentum, as a dictionary for a file."""
    with strategy.scope():
        model = task.build_model()
        rng = np.random.default_rng(0)
        model.set_weights(
            [
                np.ones(weight.shape)
                if "gamma" in weight.name or "variance" in weight.name
                else rng.normal(0, 0.05, weight.shape)
                for weight in model.weights
            ]
        )
        optimizer = tf_keras.optimizers.legacy.SGD(0.05, momentum=0.9)

    def batches(context):
        own = [context.input_pipeline_id] if processes > 1 else range(replicas)
        parts = [images(index, index + 1) for index in own]
        whole = {name: tf.concat([part[name] for part in parts], 0) for name in parts[0]}
        return tf.data.Dataset.from_tensors(whole).repeat()

    iterator = iter(strategy.distribute_datasets_from_function(batches))

    @tf.function
    def step(iterator):
        def one(batch):
            return task.train_step(batch, model, optimizer)[task.loss]

        return strategy.reduce("mean", strategy.run(one, args=(next(iterator),)), axis=None)

    losses = [float(step(iterator)) for _ in range(STEPS)]
    return {f"weight {i}": value for i, value in enumerate(model.get_weights())} | {
        "losses": np.array(losses)
    }


def main(folder, replicas):
    """Trains both tasks."""
    classifiers.build = tiny
    runtime = cfg.RuntimeConfig()
    if "TF_CONFIG" in os.environ:
        runtime.distribution_strategy = "multi_worker_mirrored"
    this = cluster.of(runtime)
    if this:
        strategy = devices.strategy_in(this, runtime, 120, print)
    else:
        strategy = devices.strategy_of(runtime)
    processes = this.num_workers if this else 1
    for build in (detector, classifier):
        task, images = build(folder)
        found = weights_after(task, images, strategy, processes, replicas)
        if this is None or this.is_first:
            np.savez(folder / f"{processes}-{build.__name__}.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
