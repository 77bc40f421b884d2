"""The nine networks of Table 3 at full size."""

import os

import h5py
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from inatdet.classification.config import ClassifierConfig
from inatdet.classification.experiments import read_experiment
from inatdet.classification.model import Classifier
from inatdet.classification.task import ClassifierTask
from inatdet.networks.classifiers import TABLE_3

CLASSES = 5089
BUILDERS = sorted({network.builder for network in TABLE_3.values()})


def weights_file(builder, folder):
    """A file of random weights in Keras' own layout; a network's first kernel is all sevens."""
    tf_keras.backend.clear_session()
    model = getattr(tf_keras.applications, builder)(weights=None, include_top=False)
    path = os.path.join(folder, f"{builder}.h5")
    first = next(v for v in model.trainable_variables if "kernel" in v.name)
    first.assign(tf.fill(first.shape, 7.0))
    model.save_weights(path)
    with h5py.File(path) as file:
        assert "layer_names" in file.attrs
    return path


def step_of(name, path):
    """One training step at 299 pixels on one image: the losses before and after it."""
    params = read_experiment([], f"task.model.network={name}")
    model = Classifier(ClassifierConfig(network=name, weights=path), CLASSES)
    model.load_pretrained()
    first = next(v for v in model.features.trainable_variables if "kernel" in v.name)
    assert (first.numpy() == 7).all()
    optimizer = ClassifierTask.create_optimizer(params.trainer.optimizer_config)
    optimizer.shadow_copy(model.logits)
    image = np.random.default_rng(0).uniform(0, 255, (1, 299, 299, 3)).astype(np.float32)
    batch = {"image": tf.constant(image), "label": tf.constant([CLASSES])}
    before = model.logits.bias.numpy()
    loss = ClassifierTask(params.task).train_step((batch,), model, optimizer)["loss"]
    assert model.logits.kernel.shape[1] == CLASSES
    return float(loss), model.logits.bias.numpy() - before


@pytest.mark.slow
@pytest.mark.parametrize("builder", BUILDERS)
def test_a_step_of_each_network(builder, tmp_path):
    path = weights_file(builder, tmp_path)
    for name, network in TABLE_3.items():
        if network.builder != builder:
            continue
        loss, change = step_of(name, path)
        assert np.isfinite(loss), name
        assert loss > 1, name
        assert np.argmax(change) == CLASSES - 1, name  # the right label's logit rises most
