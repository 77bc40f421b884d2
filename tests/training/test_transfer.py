"""A detector that begins with the features of a trained classifier."""

import re

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from inatdet.classification.config import ClassifierConfig
from inatdet.classification.model import Classifier
from inatdet.detection.c4 import C4FasterRCNN
from inatdet.errors import InputError
from inatdet.networks.config import BackboneConfig
from inatdet.training import transfer
from inatdet.training.averaging import Averaging
from tests.detection.small import small_config
from tests.settings import RESNET


def classifier_of(**settings):
    """A classifier, none of whose weights is that of a new model."""
    config = ClassifierConfig()
    config.override({"weights": "", **settings})
    model = Classifier(config, 3)
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.uniform(0.0, 0.1, w.shape) for w in model.get_weights()])
    return model


def save(folder, **objects):
    checkpoint = tf.train.Checkpoint(**objects)
    return tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1).save(7)


@pytest.fixture(scope="module")
def classifier():
    return classifier_of(network="resnet", backbone={"resnet": RESNET["resnet"]})


@pytest.fixture(scope="module")
def detector():
    return C4FasterRCNN(small_config(backbone=RESNET), 2)


def load(detector, weights, **settings):
    config = BackboneConfig()
    config.override({**RESNET, **settings, "weights": str(weights)})
    checkpoint = transfer.classifier_checkpoint(config.weights)
    assert checkpoint is not None
    transfer.load_features(config, checkpoint, detector.backbone_parts)


def test_both_parts_of_a_detector_give_a_classifiers_features(classifier, detector, tmp_path):
    save(tmp_path, model=classifier)
    load(detector, tmp_path)
    image = np.random.default_rng(1).uniform(-1, 1, (1, 64, 96, 3)).astype(np.float32)
    features = detector.head_stage(detector.trunk(image, training=False), training=False)
    expected = classifier.features(image, training=False)
    np.testing.assert_allclose(features, expected, rtol=1e-5)
    assert np.std(expected) > 1e-3


@pytest.mark.slow
def test_so_do_those_of_inception_v3(tmp_path):
    model = classifier_of(network="inception_v3", width=0.125)
    save(tmp_path, model=model)
    # Classifiers have no padding.
    narrow = {"type": "inception_v3", "width": 0.125, "padding": "valid"}
    detector = C4FasterRCNN(small_config(backbone=narrow), 2)
    load(detector, tmp_path, **narrow)
    image = np.random.default_rng(1).uniform(-1, 1, (1, 139, 171, 3)).astype(np.float32)
    layer = model.features.get_layer
    middle = tf_keras.Model(model.features.input, layer("mixed7").output)
    features = detector.trunk(image, training=False)
    np.testing.assert_allclose(features, middle(image, training=False), rtol=1e-5, atol=1e-6)
    assert np.std(features) > 1e-3
    weighty = [found for found in detector.head_stage.layers if found.weights]
    assert len(weighty) == 2 * 24  # convolutions, each with its batch norm
    for found in weighty:
        for weight, expected in zip(found.weights, layer(found.name).weights):
            np.testing.assert_array_equal(weight, expected)


def test_averages_are_preferred(classifier, detector, tmp_path):
    optimizer = Averaging(tf_keras.optimizers.legacy.SGD(0.1), trainable_weights_only=False)
    optimizer.shadow_copy(classifier)
    averages = classifier.get_weights()
    classifier.set_weights([w + 1.0 for w in averages])
    path = save(tmp_path, model=classifier, optimizer=optimizer)
    classifier.set_weights(averages)
    load(detector, path)
    for found, expected in zip(detector.trunk.get_weights(), classifier.features.get_weights()):
        np.testing.assert_array_equal(found, expected)


def test_what_is_no_classifier_is_left_to_others_or_refused(tmp_path):
    for other in ("", "imagenet", str(tmp_path / "weights.h5")):
        assert transfer.classifier_checkpoint(other) is None
    layer = tf_keras.Sequential([tf_keras.layers.Dense(1)])
    layer.build((None, 1))
    backbone = tf.train.Checkpoint(backbone=layer).write(str(tmp_path / "ckpt-9"))
    assert transfer.classifier_checkpoint(backbone) is None
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no checkpoint there; train first"):
        transfer.classifier_checkpoint(str(tmp_path / "empty"))
    save(tmp_path / "detector", model=layer)
    with pytest.raises(InputError, match=r"ckpt-7: not of a classifier.*task\.init_checkpoint"):
        transfer.classifier_checkpoint(str(tmp_path / "detector"))


def test_another_network_and_a_damaged_checkpoint_are_named(classifier, detector, tmp_path):
    path = save(tmp_path, model=classifier)
    with pytest.raises(InputError, match=re.escape(f"{path}: does not fit the model")):
        load(detector, tmp_path, resnet={"model_id": 10, "depth_multiplier": 0.5})
    with open(f"{path}.data-00000-of-00001", "r+b") as file:
        file.truncate(1000)
    with pytest.raises(InputError, match=re.escape(f"{path}: is damaged")):
        load(detector, tmp_path)
