"""Which statistics batch norm uses, on two devices."""

import numpy as np
import pytest
import tensorflow as tf

from inatdet.networks import inception_v3
from inatdet.networks.inception_v3 import BatchNorm
from tests import devices

MOMENTUM = 0.5
IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 64, 48, 3)).astype(np.float32)
IMAGES[1] = IMAGES[1] * 0.3 + 0.4  # the two devices' images differ


def after_a_step(batch_norm, strategy, batches):
    """Features of each device in training, and the moving statistics that they left."""
    with strategy.scope():
        tf.random.set_seed(0)
        trunk = inception_v3.trunk(width=0.05, batch_norm=batch_norm, momentum=MOMENTUM)
        rng = np.random.default_rng(0)
        trunk.set_weights([
            value if "moving" in weight.name else rng.normal(0, 0.3, value.shape)
            for weight, value in zip(trunk.weights, trunk.get_weights())
        ])  # fmt: skip
    inputs = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(batches[context.replica_id_in_sync_group])
    )
    features = strategy.run(lambda images: trunk(images, training=True), args=(inputs,))
    statistics = {w.name: w.numpy() for w in trunk.weights if "moving" in w.name}
    return strategy.experimental_local_results(features), statistics, trunk


@pytest.fixture(scope="module")
def together():
    """One device with both images."""
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    return after_a_step(BatchNorm.SYNCHRONIZED, strategy, [IMAGES])


def test_synchronized_statistics_are_those_of_the_whole_batch(together):
    features, statistics, trunk = together
    first = trunk.get_layer("conv0")(IMAGES).numpy().reshape(-1, trunk.get_layer("conv0").filters)
    mean, variance = first.mean(axis=0), first.var(axis=0)
    names = [name for name in statistics if name.startswith("batch_norm0/")]
    moved = {name.split("/")[1].split(":")[0]: statistics[name] for name in names}
    np.testing.assert_allclose(moved["moving_mean"], mean * (1 - MOMENTUM), atol=1e-5)
    expected = MOMENTUM + variance * (1 - MOMENTUM)
    np.testing.assert_allclose(moved["moving_variance"], expected, rtol=1e-4)

    apart, synchronized, _ = after_a_step(
        BatchNorm.SYNCHRONIZED, devices.mirrored(), [IMAGES[:1], IMAGES[1:]]
    )
    np.testing.assert_allclose(tf.concat(apart, 0), features[0], atol=1e-3)
    assert statistics.keys() == synchronized.keys()
    for name, value in statistics.items():
        np.testing.assert_allclose(synchronized[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


def test_trained_statistics_are_those_of_each_device_and_their_mean_is_saved(together):
    features, _, trunk = together
    apart, trained, _ = after_a_step(
        BatchNorm.TRAINED, devices.mirrored(), [IMAGES[:1], IMAGES[1:]]
    )
    assert np.abs(tf.concat(apart, 0) - features[0]).max() > 0.1
    own = [trunk.get_layer("conv0")(image[np.newaxis]).numpy() for image in IMAGES]
    mean = np.mean([x.mean(axis=(0, 1, 2)) for x in own], axis=0)
    name = next(n for n in trained if n.startswith("batch_norm0/moving_mean"))
    np.testing.assert_allclose(trained[name], mean * (1 - MOMENTUM), atol=1e-5)
