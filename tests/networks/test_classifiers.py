import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.vision.configs import backbones as backbone_configs

from inatdet.errors import InputError
from inatdet.networks import backbones, classifiers
from inatdet.networks.classifiers import TABLE_3, Network
from inatdet.networks.config import BackboneConfig
from inatdet.networks.inception_v3 import BatchNorm
from inatdet.networks.squeeze_and_excitation import REDUCTION, Excited, excited

IMAGE = np.random.default_rng(0).uniform(-1, 1, (1, 107, 139, 3)).astype(np.float32)


def with_statistics(model):
    """Weights that matter, the moving statistics' included."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            layer.set_weights(
                [rng.uniform(0.5, 1.5, weights.shape) for weights in layer.get_weights()]
            )
    return model


def open_gates(model):
    """Sets all gates to one."""
    for layer in model.layers:
        if isinstance(layer, Excited):
            kernel, bias = layer.gate.get_weights()
            layer.gate.set_weights([np.zeros_like(kernel), np.full_like(bias, 40.0)])


@pytest.fixture(scope="module")
def keras_inception(tmp_path_factory):
    """Keras' own network with random weights, and their file."""
    tf_keras.utils.set_random_seed(0)
    model = with_statistics(tf_keras.applications.InceptionV3(weights=None, include_top=False))
    path = tmp_path_factory.mktemp("weights") / "inception.h5"
    model.save_weights(path)
    return model, str(path)


def test_the_table_has_the_paper_s_networks():
    assert [network.title for network in TABLE_3.values()] == [
        "IncResNetV2 SE", "IncResNetV2", "IncV3 SE", "IncV3", "ResNet152 drp", "ResNet101 drp",
        "ResNet152", "ResNet101", "MobileNet V1",
    ]  # fmt: skip


@pytest.mark.slow
def test_inception_gives_the_same_numbers_as_keras(keras_inception):
    model, path = keras_inception
    features = classifiers.build(TABLE_3["inception_v3"], path)(IMAGE, training=False)
    expected = model(IMAGE, training=False)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_open_gates_change_nothing(keras_inception):
    model, path = keras_inception
    gated = classifiers.build(TABLE_3["inception_v3_se"], path)
    assert sum(isinstance(layer, Excited) for layer in gated.layers) == 11
    expected = model(IMAGE, training=False)
    assert np.abs(gated(IMAGE, training=False) - expected).max() > 1e-3
    open_gates(gated)
    np.testing.assert_allclose(gated(IMAGE, training=False), expected, rtol=1e-5, atol=1e-5)


def test_gates_are_those_of_the_paper():
    image = tf_keras.Input((None, None, 32))
    plain = tf_keras.Model(image, tf_keras.layers.Conv2D(48, 1, name="one")(image))
    model = excited(plain, lambda layer: layer.name == "one")
    reduce, gate = model.layers[-1].reduce, model.layers[-1].gate
    assert reduce.units == 48 // REDUCTION
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 32)).astype(np.float32)
    features = plain(x).numpy()
    squeezed = np.maximum(features.mean(axis=(1, 2)) @ reduce.kernel + reduce.bias, 0)
    gates = 1 / (1 + np.exp(-(squeezed @ gate.kernel + gate.bias)))
    np.testing.assert_allclose(model(x), features * gates[:, None, None], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_open_gates_change_nothing_in_residual_blocks():
    plain = with_statistics(classifiers.build(TABLE_3["inception_resnet_v2"]))
    named = classifiers.build(TABLE_3["inception_resnet_v2_se"])
    where = [layer.name for layer in named.layers if isinstance(layer, Excited)]
    assert len(where) == 40 + 3  # the blocks, mixed_5b, and the two reductions
    gated = excited(plain, lambda layer: f"{layer.name}_excited" in where)
    expected = plain(IMAGE, training=False)
    assert np.abs(gated(IMAGE, training=False) - expected).max() > 1e-6
    open_gates(gated)
    np.testing.assert_allclose(gated(IMAGE, training=False), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["inception_resnet_v2", "resnet_101", "resnet_152", "mobilenet_v1"]
)
def test_keras_files_are_read(name, tmp_path):
    network = TABLE_3[name]
    keras = getattr(tf_keras.applications, network.builder)(weights=None, include_top=False)
    keras = with_statistics(keras)
    keras.save_weights(tmp_path / "weights.h5")
    model = classifiers.build(network, str(tmp_path / "weights.h5"))
    expected = keras(IMAGE, training=False)
    np.testing.assert_allclose(model(IMAGE, training=False), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["inception_v3", "resnet_101", "mobilenet_v1", "DenseNet121"])
def test_pixels_are_scaled_as_keras_does(name):
    network = classifiers.find(name)
    image = np.random.default_rng(0).uniform(0, 255, (2, 5, 7, 3)).astype(np.float32)
    module = {
        "inception_v3": tf_keras.applications.inception_v3,
        "resnet_101": tf_keras.applications.resnet,
        "mobilenet_v1": tf_keras.applications.mobilenet,
        "DenseNet121": tf_keras.applications.densenet,
    }[name]
    scaled = classifiers.scale_pixels(network, tf.constant(image))
    np.testing.assert_allclose(scaled, module.preprocess_input(image.copy()), rtol=1e-5, atol=1e-5)
    if name == "resnet_101":  # blue, green, red without ImageNet's means
        np.testing.assert_allclose(scaled[..., 2], image[..., 0] - 123.68, rtol=1e-4)
    elif name != "DenseNet121":
        np.testing.assert_allclose(scaled, image / 127.5 - 1, rtol=1e-5, atol=1e-6)


def test_batch_norm_has_the_settings():
    model = classifiers.build(
        TABLE_3["mobilenet_v1"], momentum=0.9, batch_norm=BatchNorm.SYNCHRONIZED
    )
    norms = [
        layer for layer in model.layers if isinstance(layer, tf_keras.layers.BatchNormalization)
    ]
    assert len(norms) == 27
    assert {(layer.momentum, layer.synchronized) for layer in norms} == {(0.9, True)}


@pytest.mark.parametrize("name", ["mobilenet_v2", "Inception", ""])
def test_unknown_networks(name):
    with pytest.raises(InputError, match=f"there is no network '{name}'; .*inception_v3_se"):
        classifiers.find(name)


def test_any_network_of_keras_has_a_name():
    assert classifiers.find("EfficientNetB0") == Network("EfficientNetB0", "EfficientNetB0")


def test_weights_that_do_not_fit(tmp_path):
    other = tf_keras.Sequential([tf_keras.layers.Conv2D(4, 3)])
    other.build((None, None, None, 3))
    other.save_weights(tmp_path / "other.h5")
    with pytest.raises(InputError, match=r"other\.h5: not the weights of MobileNet V1"):
        classifiers.build(TABLE_3["mobilenet_v1"], str(tmp_path / "other.h5"))
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(InputError, match=r"text\.h5: not the weights of MobileNet V1"):
        classifiers.build(TABLE_3["mobilenet_v1"], str(tmp_path / "text.h5"))
    with pytest.raises(InputError, match="whose address is known for InceptionV3"):
        classifiers.build(classifiers.find("MobileNetV2"), "imagenet")
    with pytest.raises(InputError, match="only Inception V3 can have"):
        classifiers.build(TABLE_3["mobilenet_v1"], width=0.5)


def test_a_backbone_of_model_garden(tmp_path):
    """Its features are those of the backbone itself, with the weights of a checkpoint."""
    network = classifiers.find("resnet")
    settings = backbone_configs.ResNet(model_id=10, depth_multiplier=0.25)
    whole = backbones.whole(BackboneConfig(type="resnet", weights="", resnet=settings))
    path = tf.train.Checkpoint(backbone=whole).save(str(tmp_path / "ckpt"))
    model = classifiers.build(network, path, settings=settings)
    image = np.random.default_rng(0).uniform(0, 255, (2, 64, 96, 3)).astype(np.float32)
    scaled = classifiers.scale_pixels(network, image)
    mean, deviation = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    np.testing.assert_allclose(scaled, (image - mean) / deviation, rtol=1e-4, atol=1e-4)
    features = model(scaled, training=False)
    assert features.shape == (2, 2, 3, 128)
    np.testing.assert_array_equal(features, whole(scaled, training=False)["5"])
    with pytest.raises(InputError, match="weights are imagenet, which exist for inception_v3 only"):
        classifiers.build(network, "imagenet", settings=settings)
