"""Frozen layers: what is trained, what changes, and what is computed backwards."""

import numpy as np
import pytest
import tensorflow as tf

from inatdet.classification.config import ClassifierConfig
from inatdet.classification.model import Classifier
from inatdet.errors import InputError
from inatdet.networks import backbones, inception_v3
from inatdet.networks.config import BackboneConfig
from inatdet.networks.inception_v3 import BatchNorm
from inatdet.networks.inception_v3_tables import BLOCKS, NUM_CONVS, NUM_TRUNK_CONVS, is_frozen

WIDTH = 0.05
# The convolutions of Keras' network before the end of each block, counted by hand.
CONVS_UNTIL = {"mixed5": 50, "mixed7": 70, "mixed8": 76, "mixed10": 94}


@pytest.fixture(scope="module")
def trunk():
    """Frozen until mixed5, and otherwise with trained statistics."""
    return inception_v3.trunk(width=WIDTH, batch_norm=BatchNorm.TRAINED, frozen_until="mixed5")


@pytest.fixture(scope="module")
def free():
    """The same, trained from the first layer on."""
    return inception_v3.trunk(width=WIDTH, batch_norm=BatchNorm.TRAINED)


def numbers(variables):
    """The numbers of the convolutions and batch norms that variables belong to."""
    return {int("".join(filter(str.isdigit, v.name.split("/")[0]))) for v in variables}


def reachable(graph, outputs):
    """The operations that some outputs of a graph depend on."""
    found, waiting = set(), [output.op for output in outputs]
    while waiting:
        op = waiting.pop()
        if op not in found:
            found.add(op)
            waiting += [x.op for x in op.inputs] + list(op.control_inputs)
    return found


def test_what_is_trained(trunk):
    assert numbers(trunk.trainable_variables) == set(range(CONVS_UNTIL["mixed5"], NUM_TRUNK_CONVS))
    pyramid = inception_v3.pyramid(width=WIDTH, frozen_until="mixed8")
    assert numbers(pyramid.trainable_variables) == set(range(CONVS_UNTIL["mixed8"], NUM_CONVS))


@pytest.mark.parametrize("block", ["mixed7", "mixed8", "mixed10"])
def test_what_is_trained_behind_the_trunk(block):
    stage = inception_v3.head_stage(38, 4, width=WIDTH, frozen_until=block)
    assert numbers(stage.trainable_variables) == set(range(CONVS_UNTIL[block], NUM_CONVS))


def test_blocks_in_order():
    assert [is_frozen(block, "mixed3") for block in BLOCKS] == [True] * 4 + [False] * 7
    assert not any(is_frozen(block, "") for block in BLOCKS)


def test_nothing_is_computed_backwards_through_frozen_layers(trunk):
    @tf.function
    def gradients(image):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(trunk(image, training=True))
        return tape.gradient(loss, trunk.trainable_variables)

    graph = gradients.get_concrete_function(tf.TensorSpec([1, 75, 75, 3])).graph
    trained = NUM_TRUNK_CONVS - CONVS_UNTIL["mixed5"]
    assert len(graph.outputs) == 2 * trained  # kernels and betas
    kinds = [op.type for op in reachable(graph, graph.outputs)]
    assert kinds.count("Conv2DBackpropFilter") == trained
    # None for the input of the first trained block, which four of its convolutions see.
    assert kinds.count("Conv2DBackpropInput") == trained - 4
    assert kinds.count("FusedBatchNormGradV3") == trained
    assert kinds.count("AvgPoolGrad") == 1  # that of the second
    assert "MaxPoolGrad" not in kinds


def test_the_statistics_of_frozen_layers_stay(trunk):
    before = {v.name: v.numpy() for v in trunk.variables}
    trunk(np.random.default_rng(0).normal(size=(2, 75, 75, 3)), training=True)
    changed = {v.name for v in trunk.variables if (v.numpy() != before[v.name]).any()}
    assert numbers(v for v in trunk.variables if v.name in changed) == set(range(50, 70))
    assert all("moving" in name for name in changed)


def test_freezing_changes_no_feature(trunk, free):
    for layer in (layer for layer in free.layers if layer.weights):
        layer.set_weights(trunk.get_layer(layer.name).get_weights())
    image = np.random.default_rng(1).normal(size=(1, 80, 64, 3))
    np.testing.assert_array_equal(free(image), trunk(image))


def test_a_frozen_part_can_be_read_into_one_that_is_trained(trunk, free, tmp_path):
    path = tf.train.Checkpoint(model=trunk).write(str(tmp_path / "checkpoint"))
    for variable in free.variables:
        variable.assign(tf.zeros_like(variable))
    tf.train.Checkpoint(model=free).read(path).assert_consumed()
    for layer in (layer for layer in free.layers if layer.weights):
        for mine, other in zip(layer.get_weights(), trunk.get_layer(layer.name).get_weights()):
            np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"frozen_until": "mixed11"}, "'mixed11'; it must be one of mixed0, mixed1, "),
        ({"frozen_until": "Mixed_5d"}, "'Mixed_5d'; it must be one of"),
        (
            {"type": "resnet", "weights": "", "frozen_until": "mixed2"},
            "which names a block of inception_v3; with resnet, leave it out",
        ),
    ],
)
def test_blocks_that_do_not_exist(settings, words):
    with pytest.raises(InputError, match=words):
        backbones.check(BackboneConfig(**settings))


@pytest.mark.slow
def test_a_classifier_is_frozen_alike():
    config = ClassifierConfig(width=WIDTH, weights="", frozen_until="mixed7")
    features = Classifier(config, 3).features
    assert numbers(features.trainable_variables) == set(range(NUM_TRUNK_CONVS, NUM_CONVS))
