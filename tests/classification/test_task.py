"""Steps of the classifier: on one device, on two, one after another, in half precision."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from inatdet.classification.task import ClassifierTask
from inatdet.training import devices as precisions
from tests import devices, records
from tests.classification.settings import training_on

IMAGES = 4


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return records.write(tmp_path_factory.mktemp("records"), 8)


@pytest.fixture
def task(data, tiny_network):
    return ClassifierTask(training_on(data, 1, "task.model.batch_norm=frozen").task)


def images(first, last):
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (IMAGES, 32, 32, 3)).astype(np.float32)
    return {
        "image": tf.constant(image[first:last]),
        "label": tf.constant([1, 2, 3, 1][first:last]),
        "image_id": tf.range(first, last, dtype=tf.int64),
    }


def step(task, weights, batches_of_replica, strategy):
    """The changes of one step of plain SGD, and what it reports."""
    with strategy.scope():
        model = task.build_model()
        model.set_weights(weights or model.get_weights())
        start = model.get_weights()
        optimizer = tf_keras.optimizers.legacy.SGD(1.0)
        metrics = task.build_metrics()
    inputs = strategy.experimental_distribute_values_from_function(
        lambda context: batches_of_replica[context.replica_id_in_sync_group]
    )

    @tf.function
    def run(inputs):
        outputs = strategy.run(
            lambda batches: task.train_step(batches, model, optimizer, metrics), args=(inputs,)
        )
        return strategy.reduce("mean", outputs[task.loss], axis=None)

    loss = float(run(inputs))
    shown = {metric.name: float(metric.result()) for metric in metrics}
    changes = [after - before for before, after in zip(start, model.get_weights())]
    return start, changes, {"loss": loss, **shown}


def test_a_step_of_several_batches_is_that_of_one(task):
    one_device = tf.distribute.OneDeviceStrategy("CPU:0")
    weights, whole, shown = step(task, None, [(images(0, 4),)], one_device)
    assert max(np.abs(change).max() for change in whole) > 1e-3
    in_turn = [tuple(images(i, i + 1) for i in range(4))]
    on_two = [(images(0, 1), images(1, 2)), (images(2, 3), images(3, 4))]
    for other in (
        step(task, weights, in_turn, one_device),
        step(task, weights, on_two, devices.mirrored()),
    ):
        for one, several in zip(whole, other[1]):
            np.testing.assert_allclose(several, one, atol=1e-5)
        assert other[2] == pytest.approx(shown, rel=1e-5)


def test_validation_counts_images_not_batches(task):
    model, metrics = task.build_model(), task.build_metrics(training=False)
    for first, last in ((0, 3), (3, 4)):
        task.validation_step(images(first, last), model, metrics)
    whole = model.outcome_of(images(0, 4), training=False)
    found = [float(metric.result()) for metric in metrics]
    np.testing.assert_allclose(found, whole, rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_steps_lower_the_loss_and_averages_follow(data, tiny_network, precision):
    params = training_on(data, 1, f"runtime.mixed_precision_dtype={precision}")
    precisions.set_precision(params.runtime)
    try:
        task = ClassifierTask(params.task)
        model = task.build_model()
        optimizer = task.create_optimizer(params.trainer.optimizer_config, params.runtime)
        optimizer.shadow_copy(model)
        before = model.get_weights()
        train = tf.function(lambda: task.train_step((images(0, 4),), model, optimizer))
        losses = [float(train()["loss"]) for _ in range(30)]
        assert model(images(0, 1)["image"]).dtype == tf.float32
        assert all(variable.dtype == tf.float32 for variable in model.variables)
    finally:
        precisions.set_precision(training_on(data, 1).runtime)
    assert losses[-1] < losses[0] - 0.05
    assert np.isfinite(losses).all()
    after = model.get_weights()
    optimizer.swap_weights()
    averages = model.get_weights()
    for start, average, end in zip(before, averages, after):
        if np.abs(end - start).max() > 1e-3:
            assert 0 < np.abs(average - end).max() < np.abs(start - end).max()
    optimizer.swap_weights()
    for end, again in zip(after, model.get_weights()):
        np.testing.assert_array_equal(end, again)
