"""Other arithmetic: mixed precision and XLA, against float32 without compilation."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from inatdet.detection.c4 import C4FasterRCNN
from inatdet.detection.experiments import read_experiment
from inatdet.errors import InputError
from inatdet.training import devices
from tests.detection.small import NUM_CLASSES, batch_of, small_config

# Relative distances of neighboring numbers: 2^-8 and 2^-11.
STEP = {"bfloat16": 2**-8, "float16": 2**-11}
# Everything is sampled, so that losses can be compared.
SAMPLING = {
    "backbone": {"width": 0.125, "batch_norm": "frozen", "weights": ""},
    "rpn": {"channels": 16, "max_proposals": 20, "sample_size": 1000, "positive_fraction": 1.0},
    "head": {"sample_size": 20, "positive_fraction": 1.0},
}


def use(dtype):
    devices.set_precision(read_experiment(
        [], f"runtime.mixed_precision_dtype={dtype}"
    ).runtime)  # fmt: skip


@pytest.fixture(autouse=True)
def float32_afterwards():
    yield
    use("float32")


@pytest.fixture(scope="module")
def full():
    """The detector in float32."""
    use("float32")
    tf.random.set_seed(0)
    return C4FasterRCNN(small_config(**SAMPLING), NUM_CLASSES)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_losses_gradients_and_detections(full, dtype):
    use(dtype)
    model = C4FasterRCNN(small_config(**SAMPLING), NUM_CLASSES)
    model.set_weights(full.get_weights())  # the same number, order and shapes
    assert model.trunk.compute_dtype == model.head_stage.compute_dtype == dtype
    assert {v.dtype for v in model.variables} == {tf.float32}

    batch = batch_of([(64, 96)])
    optimizer = tf_keras.optimizers.legacy.SGD(1.0)
    if dtype == "float16":
        optimizer = tf_keras.mixed_precision.LossScaleOptimizer(optimizer)
    with tf.GradientTape() as tape:
        losses, _ = model.losses_of(batch, training=True)
        loss = tf.add_n(list(losses))
        scaled = optimizer.get_scaled_loss(loss) if dtype == "float16" else loss
    gradients = tape.gradient(scaled, model.trainable_variables)
    assert {g.dtype for g in gradients} == {tf.float32}
    assert all(np.isfinite(g).all() for g in gradients)
    reference, _ = full.losses_of(batch, training=True)
    for value, expected in zip(losses, reference):
        assert value.dtype == tf.float32
        # A hundred roundings of half a step each would all have to go the same way.
        np.testing.assert_allclose(value, expected, rtol=50 * STEP[dtype])

    found = model(batch, training=False)
    assert found.boxes.dtype == found.scores.dtype == tf.float32
    assert int(found.count[0]) > 0
    # Boxes do not lie on the coarse grid that low precision would leave.
    corners = found.boxes[0, : int(found.count[0])].numpy()
    assert (corners != tf.cast(tf.cast(corners, dtype), tf.float32).numpy()).any()


def scores_and_codes(model, batch):
    """Of every class in every proposal of one image."""
    found = model.classify(batch, training=False)
    proposals, classes = np.indices(found.scores.shape[1:], np.int32).reshape(2, 1, -1)
    return found.scores, found.box_codes(proposals, classes)


@pytest.mark.slow
def test_xla_computes_the_same(full):
    head = SAMPLING["head"] | {"xla": True}
    model = C4FasterRCNN(small_config(**(SAMPLING | {"head": head})), NUM_CLASSES)
    model.set_weights(full.get_weights())
    batch = batch_of([(64, 96)])
    found = []
    for one in (full, model):
        variables = one.box_head.trainable_variables
        with tf.GradientTape() as tape:
            losses, _ = one.losses_of(batch, training=True)
            loss = tf.add_n(list(losses))
        found.append([loss, *tape.gradient(loss, variables), *scores_and_codes(one, batch)])
    for plain, compiled in zip(*found):
        np.testing.assert_allclose(compiled, plain, rtol=1e-3, atol=1e-5)


def test_an_unknown_precision():
    with pytest.raises(InputError, match="must be one of float32, bfloat16, float16"):
        read_experiment([], "runtime.mixed_precision_dtype=float8")
