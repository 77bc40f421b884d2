import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from inatdet.errors import InputError
from inatdet.networks import inception_v3, inception_v3_tables


@pytest.fixture(scope="module")
def keras_model():
    """Keras' own network, with random weights and statistics that matter."""
    tf_keras.utils.set_random_seed(0)
    model = tf_keras.applications.InceptionV3(weights=None, include_top=False)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            beta, mean, variance = layer.get_weights()
            layer.set_weights(
                [
                    rng.normal(0, 0.1, beta.shape),
                    rng.normal(0, 0.1, mean.shape),
                    rng.uniform(0.5, 1.5, variance.shape),
                ]
            )
    return model


@pytest.fixture(scope="module")
def weights_file(keras_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "inception.h5"
    keras_model.save_weights(path)
    return str(path)


def test_the_cut_leaves_no_convolution_out():
    assert inception_v3_tables.NUM_CONVS == 94
    assert inception_v3_tables.NUM_TRUNK_CONVS == 70


@pytest.mark.parametrize("size", [(107, 139), pytest.param((299, 299), marks=pytest.mark.slow)])
def test_the_network_gives_the_same_numbers_as_keras(keras_model, weights_file, size):
    trunk = inception_v3.trunk(inception_v3.Padding.VALID)
    stage = inception_v3.head_stage(768, padding=inception_v3.Padding.VALID)
    inception_v3.load_pretrained([trunk, stage], weights_file)
    outputs = [keras_model.get_layer(name).output for name in ("mixed7", "mixed10")]
    reference = tf_keras.Model(keras_model.input, outputs)
    image = np.random.default_rng(1).uniform(-1, 1, (1, *size, 3)).astype(np.float32)
    mixed7, mixed10 = reference(image, training=False)
    features = trunk(image, training=False)
    assert np.abs(mixed10).max() > 1e-3
    np.testing.assert_allclose(features, mixed7, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(stage(features, training=False), mixed10, rtol=1e-5, atol=1e-5)


def test_same_padding_takes_the_same_file_and_gives_stride_16(weights_file):
    trunk = inception_v3.trunk(inception_v3.Padding.SAME)
    inception_v3.load_pretrained([trunk], weights_file)
    assert trunk(tf.zeros([1, 600, 800, 3]), training=False).shape == (1, 38, 50, 768)
    assert trunk(tf.zeros([1, 97, 33, 3]), training=False).shape == (1, 7, 3, 768)
    stage = inception_v3.head_stage(768, 7)
    inception_v3.load_pretrained([stage], weights_file)
    assert stage.output_shape == (None, 4, 4, 2048)


def test_a_narrowed_network_takes_no_pretrained_weights(weights_file):
    with pytest.raises(InputError, match="fit only backbone width 1"):
        inception_v3.load_pretrained([inception_v3.trunk(width=0.5)], weights_file)
