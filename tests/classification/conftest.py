import pytest
import tf_keras

from inatdet.networks import classifiers


def tiny(network, weights="", batch_norm="trained", momentum=0.9, *others):
    """Two layers in place of a network, with the arguments of `classifiers.build`."""
    del network, weights, batch_norm, others
    image = tf_keras.Input((None, None, 3))
    x = tf_keras.layers.Conv2D(8, 5, strides=4, name="conv0")(image)
    x = tf_keras.layers.BatchNormalization(momentum=momentum, name="batch_norm0")(x)
    x = tf_keras.layers.Activation("relu")(x)
    return tf_keras.Model(image, x)


@pytest.fixture
def tiny_network(monkeypatch):
    """Builds every network in two layers."""
    monkeypatch.setattr(classifiers, "build", tiny)
