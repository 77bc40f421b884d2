"""A step of several batches is the step of one large batch, on one device and on two."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from inatdet.detection.experiments import read_experiment
from inatdet.detection.faster_rcnn import Diagnostics, Losses
from inatdet.detection.task import DetectionTask
from tests import devices, records
from tests.training.four_images import SETTINGS, images


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taxonomy")
    records.taxonomy().save(folder / "taxonomy.json")
    params = read_experiment(
        ["pipelines/mini_species.yaml"], f"{SETTINGS},task.taxonomy={folder}/taxonomy.json"
    )
    return DetectionTask(params.task)


def step(task, weights, batches_of_replica, strategy, in_graph=False):
    """The weights after one step of plain SGD with clipping, and the loss that it reports."""
    with strategy.scope():
        model = task.build_model()
        model.set_weights(weights or model.get_weights())
        start = model.get_weights()
        # At rate 1 a weight's change is its clipped gradient.
        optimizer = tf_keras.optimizers.legacy.SGD(1.0, clipnorm=0.05)
        metrics = task.build_metrics()

    def run(inputs):
        outputs = strategy.run(
            lambda batches: task.train_step(batches, model, optimizer, metrics), args=(inputs,)
        )
        return strategy.reduce("mean", outputs[task.loss], axis=None)

    inputs = strategy.experimental_distribute_values_from_function(
        lambda context: batches_of_replica[context.replica_id_in_sync_group]
    )
    loss = float((tf.function(run) if in_graph else run)(inputs))
    shown = {metric.name: float(metric.result()) for metric in metrics}
    changes = [after - before for before, after in zip(start, model.get_weights())]
    return start, changes, {"loss": loss, **shown}


@pytest.mark.slow
def test_a_step_of_several_batches_is_that_of_one(task):
    one_device = tf.distribute.OneDeviceStrategy("CPU:0")
    weights, whole, shown = step(task, None, [(images(0, 4),)], one_device)
    norms = [np.linalg.norm(change) for change in whole]
    assert any(abs(norm - 0.05) < 1e-5 for norm in norms)  # some are clipped,
    assert any(0 < norm < 0.049 for norm in norms)  # and some are not
    in_turn = [tuple(images(i, i + 1) for i in range(4))]
    on_two = [(images(0, 1), images(1, 2)), (images(2, 3), images(3, 4))]
    for other in (
        step(task, weights, in_turn, one_device),
        step(task, weights, on_two, devices.mirrored(), in_graph=True),
    ):
        for one, several in zip(whole, other[1]):
            np.testing.assert_allclose(several, one, atol=1e-6)
        assert other[2] == pytest.approx(shown, rel=1e-5)


class StandIn:
    """Stands in for a detector: its losses and counts are means over the images."""

    def __init__(self):
        self._weights = tf.Variable([[1.0, 2.0, 3.0]] * 4)
        self.trainable_variables = [self._weights]

    def losses_of(self, batch, training):
        del training
        means = tf.reduce_mean(batch["image"], axis=[1, 2])
        losses = tf.unstack(tf.reduce_mean(tf.square(means @ tf.transpose(self._weights)), axis=0))
        return Losses(*losses), Diagnostics(*tf.unstack(tf.reduce_mean(means, axis=0)))

    def weight_penalty(self):
        return 0.5 * tf.reduce_sum(self._weights)


@pytest.mark.parametrize(
    "batches",
    [
        [tuple(images(i, i + 1) for i in range(4))],
        [(images(0, 1), images(1, 2)), (images(2, 3), images(3, 4))],
    ],
    ids=["one after another", "on two devices"],
)
def test_the_gradient_is_the_mean_over_batches_and_is_clipped_once(task, batches):
    one_device = tf.distribute.OneDeviceStrategy("CPU:0")
    whole, shown = stand_in_step(task, [(images(0, 4),)], one_device)
    np.testing.assert_allclose(np.linalg.norm(whole), 0.05, rtol=1e-5)  # it is clipped
    strategy = one_device if len(batches) == 1 else devices.mirrored()
    several, other_shown = stand_in_step(task, batches, strategy)
    np.testing.assert_allclose(several, whole, atol=1e-6)
    assert other_shown == pytest.approx(shown, rel=1e-5)


def stand_in_step(task, batches_of_replica, strategy):
    """What a step of plain SGD with clipping changes, and the loss that it reports."""
    with strategy.scope():
        model = StandIn()
        optimizer = tf_keras.optimizers.legacy.SGD(1.0, clipnorm=0.05)
    (weights,) = model.trainable_variables
    start = weights.numpy()
    inputs = strategy.experimental_distribute_values_from_function(
        lambda context: batches_of_replica[context.replica_id_in_sync_group]
    )

    @tf.function
    def run(inputs):
        outputs = strategy.run(
            lambda batches: task.train_step(batches, model, optimizer), args=(inputs,)
        )
        return strategy.reduce("mean", outputs[task.loss], axis=None)

    loss = float(run(inputs))
    return weights.numpy() - start, loss
