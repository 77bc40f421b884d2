import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from inatdet.classification.config import ClassifierConfig
from inatdet.classification.model import Classifier, outcome
from inatdet.networks import classifiers

CLASSES = 7


@pytest.fixture
def model(tiny_network):
    return Classifier(ClassifierConfig(), CLASSES)


def images(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 255, (count, 24, 24, 3)).astype(np.float32)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_the_loss_is_that_of_keras(smoothing):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, (9, CLASSES)).astype(np.float32)
    label = rng.integers(1, CLASSES + 1, 9).astype(np.int32)
    keras = tf_keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    expected = keras(np.eye(CLASSES)[label - 1], logits)
    found = outcome(tf.constant(logits), tf.constant(label), smoothing)
    np.testing.assert_allclose(found.loss, expected, rtol=1e-5)


def test_accuracies_are_those_of_the_ranks():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(200, CLASSES)).astype(np.float32)
    label = rng.integers(0, CLASSES + 1, 200).astype(np.int32)
    ranks = [
        np.flatnonzero(np.argsort(-row) == one - 1)[0] for row, one in zip(logits, label) if one
    ]
    found = outcome(tf.constant(logits), tf.constant(label), 0.1)
    np.testing.assert_allclose(found.top_1, np.mean(np.array(ranks) < 1), rtol=1e-6)
    np.testing.assert_allclose(found.top_5, np.mean(np.array(ranks) < 5), rtol=1e-6)


def test_images_without_a_label_do_not_count():
    logits = tf.constant(np.random.default_rng(2).normal(size=(4, CLASSES)).astype(np.float32))
    found = outcome(logits, tf.constant([0, 3, 0, 1]), 0.1)
    kept = outcome(tf.gather(logits, [1, 3]), tf.constant([3, 1]), 0.1)
    np.testing.assert_allclose(found, kept, rtol=1e-6)
    np.testing.assert_array_equal(outcome(logits, tf.zeros([4], tf.int32), 0.1), [0, 0, 0])


def test_fewer_than_five_labels():
    found = outcome(tf.constant([[1.0, 0.0], [1.0, 0.0]]), tf.constant([1, 2]), 0.0)
    np.testing.assert_allclose((found.top_1, found.top_5), (0.5, 1.0))
    one = outcome(tf.constant([[3.0]]), tf.constant([1]), 0.1)
    np.testing.assert_allclose(one, (0.0, 1.0, 1.0))


def test_logits_are_those_of_the_mean_features(model):
    batch = images(3)
    features = model.features((batch / 127.5 - 1.0), training=False).numpy()
    kernel, bias = model.logits.get_weights()
    expected = features.mean(axis=(1, 2)) @ kernel + bias
    found = model(batch, training=False)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(bias, np.zeros(CLASSES))


def test_the_last_layer_begins_as_the_authors(tiny_network):
    kernel = Classifier(ClassifierConfig(), 5089).logits.kernel.numpy()
    assert np.abs(kernel.std() - np.sqrt(2 / kernel.shape[0])) < 0.01


@pytest.mark.parametrize(
    ("network", "given", "share"),
    [("inception_v3", -1.0, 0.5), ("resnet_101", -1.0, 0.0), ("resnet_101_drp", -1.0, 0.5),
     ("inception_v3", 0.0, 0.0), ("resnet_101", 0.2, 0.2)],
)  # fmt: skip
def test_dropout_is_the_network_s_or_the_given_one(tiny_network, network, given, share):
    model = Classifier(ClassifierConfig(network=network, dropout=given), CLASSES)
    assert model.dropout.rate == share


def test_probabilities_may_be_adjusted(tiny_network):
    priors = np.array([0.5, 0.3, 0.2])
    logits = tf.constant([[1.0, 2.0, 0.5], [0.0, 0.0, 0.0]])
    plain = Classifier(ClassifierConfig(), 3).probabilities(logits).numpy()
    np.testing.assert_allclose(plain.sum(axis=-1), [1, 1], rtol=1e-6)
    adjusted = Classifier(ClassifierConfig(logit_adjustment=1.5), 3, priors)
    expected = plain / priors**1.5
    expected /= expected.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(adjusted.probabilities(logits), expected, rtol=1e-5)


def test_the_weight_penalty_is_of_convolutions_and_the_last_layer(model):
    kernels = [model.features.get_layer("conv0").get_weights()[0], model.logits.get_weights()[0]]
    expected = 4e-5 * sum((kernel**2).sum() for kernel in kernels) / 2
    np.testing.assert_allclose(model.weight_penalty(), expected, rtol=1e-5)


def test_kernels_of_single_channels_are_not_penalized(tiny_network, monkeypatch):
    def depthwise(*args, **kwargs):
        image = tf_keras.Input((None, None, 3))
        return tf_keras.Model(image, tf_keras.layers.DepthwiseConv2D(3)(image))

    monkeypatch.setattr(classifiers, "build", depthwise)
    model = Classifier(ClassifierConfig(), CLASSES)
    expected = 4e-5 * (model.logits.get_weights()[0] ** 2).sum() / 2
    np.testing.assert_allclose(model.weight_penalty(), expected, rtol=1e-5)


@pytest.mark.parametrize("batch_norm", ["trained", "frozen"])
def test_statistics_are_trained_or_frozen(tiny_network, batch_norm):
    model = Classifier(ClassifierConfig(batch_norm=batch_norm, dropout=0.0), CLASSES)
    before = [v.numpy() for v in model.non_trainable_variables]
    in_training = model(images(4), training=True)
    changed = any((v.numpy() != b).any() for v, b in zip(model.non_trainable_variables, before))
    assert changed == (batch_norm == "trained")
    if batch_norm == "frozen":
        np.testing.assert_array_equal(in_training, model(images(4), training=False))
