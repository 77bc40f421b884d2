import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from inatdet.detection.c4 import C4FasterRCNN
from inatdet.detection.detector_config import FasterRCNNConfig
from inatdet.detection.experiments import read_experiment
from inatdet.errors import InputError
from inatdet.networks import backbones
from inatdet.networks.config import BackboneConfig
from tests.detection.small import NUM_CLASSES, batch_of, small_config
from tests.settings import RESNET


def config_of(**settings):
    config = BackboneConfig()
    config.override(settings)
    return config


def with_random_statistics(model):
    rng = np.random.default_rng(0)
    model.set_weights(
        [w if w.ndim > 1 else rng.uniform(0.5, 1.5, w.shape) for w in model.get_weights()]
    )
    return model


def test_the_registered_inception_v3_is_the_trunk_and_the_head_stage():
    config = config_of(width=0.125)
    whole = with_random_statistics(backbones.whole(config))
    trunk, stage, _ = backbones.split(config, crop_size=None)
    for half in (trunk, stage):
        for layer in half.layers:
            if layer.weights:
                layer.set_weights(whole.get_layer(layer.name).get_weights())
    image = np.random.default_rng(1).uniform(-1, 1, (1, 97, 130, 3)).astype(np.float32)
    levels = whole(image)
    assert {level: tuple(x.shape[1:]) for level, x in levels.items()} == {
        "2": (25, 33, 24), "3": (13, 17, 36), "4": (7, 9, 96), "5": (4, 5, 256),
    }  # fmt: skip
    assert {level: s[-1] for level, s in whole.output_specs.items()} == {
        "2": 24, "3": 36, "4": 96, "5": 256,
    }  # fmt: skip
    np.testing.assert_array_equal(trunk(image), levels["4"])
    np.testing.assert_allclose(stage(levels["4"]), levels["5"], rtol=1e-6)
    assert np.std(levels["5"]) > 1e-3


@pytest.mark.parametrize(
    ("settings", "channels"),
    [
        (RESNET, (64, 128)),
        ({"type": "mobilenet", "weights": "", "mobilenet": {"filter_size_scale": 0.25}}, None),
    ],
)
def test_a_backbone_of_model_garden_is_cut_without_a_difference(settings, channels):
    config = config_of(**settings)
    whole = with_random_statistics(backbones.whole(config))
    trunk, stage = backbones.cut(whole)
    image = np.random.default_rng(1).uniform(-1, 1, (2, 64, 96, 3)).astype(np.float32)
    levels = whole(image, training=False)
    features = trunk(image, training=False)
    assert features.shape[1:3] == (4, 6)
    np.testing.assert_array_equal(features, levels["4"])
    np.testing.assert_array_equal(stage(features, training=False), levels["5"])
    if channels:
        assert (features.shape[-1], levels["5"].shape[-1]) == channels


def statistics_move(model):
    statistics = [v for v in model.non_trainable_variables if "moving" in v.name]
    before = [v.numpy() for v in statistics]
    model.losses_of(batch_of([(64, 96)]), training=True)
    return any((a != b.numpy()).any() for a, b in zip(before, statistics))


@pytest.mark.slow
def test_c4_with_resnet():
    tf.random.set_seed(0)
    frozen = C4FasterRCNN(small_config(backbone={**RESNET, "batch_norm": "frozen"}), NUM_CLASSES)
    assert not statistics_move(frozen)
    model = C4FasterRCNN(small_config(backbone=RESNET), NUM_CLASSES)
    assert statistics_move(model)
    batch = batch_of([(64, 96), (96, 64)])
    optimizer = tf_keras.optimizers.Adam(1e-3)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.add_n(list(model.losses_of(batch, training=True)[0]))
        gradients = tape.gradient(loss, model.trainable_variables)
        assert all(gradient is not None for gradient in gradients)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    losses = [float(step()) for _ in range(14)]
    assert np.mean(losses[-3:]) < 0.9 * losses[0]
    assert int(model(batch, training=False).count[0]) > 0


def test_pixels_are_scaled_as_each_backbone_wants_them():
    image = tf.constant(np.full((1, 2, 3, 3), 255.0), tf.float32)
    size = tf.constant([[2, 2]])
    inception = backbones.scale_pixels(config_of(), image, size).numpy()
    resnet = backbones.scale_pixels(config_of(**RESNET), image, size).numpy()
    assert (inception[0, :, :2] == 1).all()
    # ImageNet's mean and deviation in fractions of 255: (1 - .485) / .229 and so on.
    np.testing.assert_allclose(resnet[0, 0, 0], [2.2489, 2.4286, 2.64], atol=1e-4)
    assert not inception[0, :, 2].any()
    assert not resnet[0, :, 2].any()


def test_a_checkpoint_of_model_garden_is_loaded_into_both_halves(tmp_path):
    config = config_of(**RESNET)
    whole = with_random_statistics(backbones.whole(config))
    path = tf.train.Checkpoint(backbone=whole).write(str(tmp_path / "ckpt-9"))
    detector = C4FasterRCNN(small_config(backbone={**RESNET, "weights": path}), NUM_CLASSES)
    detector.load_pretrained()
    image = np.random.default_rng(1).uniform(-1, 1, (1, 64, 96, 3)).astype(np.float32)
    levels = whole(image, training=False)
    features = detector.trunk(image, training=False)
    np.testing.assert_array_equal(features, levels["4"])
    np.testing.assert_array_equal(detector.head_stage(features, training=False), levels["5"])

    other = {**RESNET, "resnet": {"model_id": 18, "depth_multiplier": 0.125}, "weights": path}
    with pytest.raises(InputError, match="not the weights of this resnet"):
        backbones.load_pretrained(config_of(**other), backbones.whole(config_of(**other)))
    with pytest.raises(InputError, match="no such checkpoint; give its path without"):
        backbones.load_pretrained(config_of(**{**RESNET, "weights": "nowhere"}), whole)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("type=spinenet", "must be one of inception_v3, resnet"),
        ("type=vgg", "must be one of inception_v3, resnet"),
        ("type=resnet", "give the path of a checkpoint of Model Garden's image classification"),
    ],
)
def test_backbones_that_no_detector_can_be_built_on(override, message):
    with pytest.raises(InputError, match=message):
        read_experiment([], f"task.model.backbone.{override}")


def test_settings_have_the_section_of_the_chosen_backbone_only():
    kept = FasterRCNNConfig().as_dict()["backbone"]
    assert kept["type"] == "inception_v3"
    assert {"width", "batch_norm", "weights"} < set(kept)
    assert not {"resnet", "mobilenet"} & set(kept)
    assert config_of(**RESNET).as_dict()["resnet"]["model_id"] == 10
