"""Averages of weights: from their beginning over checkpoints to a model that is applied."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from inatdet.errors import InputError
from inatdet.networks import checkpoints
from inatdet.training import averaging
from inatdet.training.averaging import Averaging
from tests import devices


def small_model():
    return tf_keras.Sequential(
        [
            tf_keras.layers.Dense(3, name="one"),
            tf_keras.layers.BatchNormalization(),
            tf_keras.layers.Dense(2, name="two"),
        ]
    )


def built():
    model = small_model()
    model.build((None, 4))
    return model


def trained(model, steps, inner=None, decay=0.9):
    """The optimizer after some steps, and the averages by their definition."""
    optimizer = Averaging(
        inner or tf_keras.optimizers.legacy.SGD(0.1),
        average_decay=decay,
        trainable_weights_only=False,
    )
    optimizer.shadow_copy(model)
    averages = [v.numpy().astype(float) for v in model.variables]
    rng = np.random.default_rng(0)
    for number in range(1, steps + 1):
        x = tf.constant(rng.normal(size=(8, 4)).astype(np.float32))
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(x, training=True) ** 2)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        share = min(decay, (1 + number) / (10 + number))
        averages = [share * a + (1 - share) * v.numpy() for a, v in zip(averages, model.variables)]
    return optimizer, averages


def save(model, optimizer, folder):
    """A checkpoint as the loop saves it."""
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer)
    return tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1).save(1)


def assert_weights(model, expected, **tolerance):
    for weight, value in zip(model.variables, expected):
        np.testing.assert_allclose(weight, value, **tolerance or {"rtol": 1e-4, "atol": 1e-6})


def test_averages_begin_with_the_weights():
    model = built()
    before = model.get_weights()
    optimizer, _ = trained(model, 0)
    optimizer.swap_weights()
    assert_weights(model, before, rtol=0)


def test_averages_are_those_of_the_definition_and_exchanged_exactly():
    model = built()
    optimizer, expected = trained(model, 12)
    weights = [v.numpy() for v in model.variables]
    optimizer.swap_weights()
    assert_weights(model, expected)
    optimizer.swap_weights()
    assert_weights(model, weights, rtol=0)


def test_a_model_that_is_applied_has_the_averages(tmp_path):
    model = built()
    optimizer, expected = trained(model, 5)
    path = save(model, optimizer, tmp_path)
    other = built()
    assert averaging.restore(other, path)
    assert_weights(other, expected)
    checkpoints.restore(other, path)  # what training goes on with
    assert_weights(other, [v.numpy() for v in model.variables], rtol=0)


def test_averages_of_trained_weights_only(tmp_path):
    model = built()
    optimizer = Averaging(tf_keras.optimizers.legacy.SGD(0.1))
    optimizer.shadow_copy(model)
    statistics = [v.assign_add(tf.ones_like(v)).numpy() for v in model.non_trainable_variables]
    weights = [v.assign_add(tf.ones_like(v)).numpy() - 1 for v in model.trainable_variables]
    path = save(model, optimizer, tmp_path)
    other = built()
    assert averaging.restore(other, path)
    for found, expected in (
        (other.non_trainable_variables, statistics), (other.trainable_variables, weights),
    ):  # fmt: skip
        for variable, value in zip(found, expected):
            np.testing.assert_allclose(variable, value, atol=1e-6)


def test_without_averages_a_model_has_the_weights(tmp_path):
    model = built()
    path = save(model, tf_keras.optimizers.legacy.SGD(0.1), tmp_path)
    other = built()
    assert not averaging.restore(other, path)
    assert_weights(other, model.get_weights(), rtol=0)


def test_a_checkpoint_of_another_model(tmp_path):
    model = built()
    path = save(model, trained(model, 1)[0], tmp_path)
    other = tf_keras.Sequential([tf_keras.layers.Dense(5)])
    other.build((None, 4))
    with pytest.raises(InputError, match="does not fit the model of the settings"):
        averaging.restore(other, path)


def test_the_loss_scaling_of_float16_is_inside():
    scaling = tf_keras.mixed_precision.LossScaleOptimizer(tf_keras.optimizers.legacy.SGD(0.25))
    model = built()
    optimizer, expected = trained(model, 3, scaling)
    assert float(optimizer.learning_rate) == 0.25
    assert int(optimizer.iterations) == 3
    optimizer.swap_weights()
    assert_weights(model, expected)


def test_on_two_devices():
    strategy = devices.mirrored()
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(8, 4)).astype(np.float32))
    with strategy.scope():
        model = built()
        optimizer = Averaging(
            tf_keras.optimizers.legacy.SGD(0.1), average_decay=0.9, trainable_weights_only=False
        )
        optimizer.shadow_copy(model)
    start = [v.numpy() for v in model.variables]

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(x, training=True) ** 2)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    tf.function(lambda: strategy.run(step))()
    end = [v.numpy() for v in model.variables]
    with strategy.scope():
        optimizer.swap_weights()
    expected = [2 / 11 * a + 9 / 11 * b for a, b in zip(start, end)]
    assert_weights(model, expected)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(start, end))
