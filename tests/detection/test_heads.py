import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from inatdet.detection import heads, losses
from inatdet.detection.detector_config import RPNConfig
from tests.detection.reference import class_probabilities


def test_the_first_stage_is_a_convolution_with_relu6_and_two_outputs(rng):
    head = heads.RegionProposalHead(5, 2, 1.0)
    features = rng.normal(size=(2, 3, 4, 6)).astype(np.float32)
    codes, logits = head(tf.constant(features))
    kernel, bias = (v.numpy() for v in head._conv.weights)
    assert kernel.shape == (3, 3, 6, 5)
    padded = np.pad(features, [(0, 0), (1, 1), (1, 1), (0, 0)])
    hidden = np.zeros((2, 3, 4, 5))
    for y in range(3):
        for x in range(4):
            window = padded[:, y : y + 3, x : x + 3]
            hidden[:, y, x] = np.einsum("bijc,ijcd->bd", window, kernel) + bias
    assert hidden.min() < 0 < 6 < hidden.max()
    hidden = np.clip(hidden, 0, 6)
    for got, layer, size in [(codes, head._box_codes, 4), (logits, head._objectness, 2)]:
        kernel, bias = (v.numpy() for v in layer.weights)
        expected = (hidden @ kernel[0, 0] + bias).reshape(2, 3 * 4 * 2, size)
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)


def test_the_first_stage_starts_from_a_truncated_normal():
    config = RPNConfig()
    tf.random.set_seed(0)
    head = heads.RegionProposalHead(config.channels, 12, config.initializer_stddev)
    head(tf.zeros([1, 1, 1, 32]))
    shapes = [layer.kernel.shape for layer in (head._conv, head._box_codes, head._objectness)]
    assert shapes == [(3, 3, 32, 512), (1, 1, 512, 48), (1, 1, 512, 24)]
    for layer in (head._conv, head._box_codes, head._objectness):
        kernel = layer.kernel.numpy()
        # Truncated at two deviations, the rest has .8796 of the deviation.
        np.testing.assert_allclose(kernel.std(), 0.01 * 0.8796, rtol=0.02)
        assert 0.0195 < np.abs(kernel).max() <= 0.02
        assert not layer.bias.numpy().any()


def test_the_second_stage_is_a_mean_and_a_dense_layer_for_each_output(rng):
    crops = tf_keras.Input((4, 4, 6))
    stage = tf_keras.Model(crops, tf_keras.layers.Conv2D(40, 1)(crops))
    head = heads.BoxHead(stage, num_classes=300)
    given = rng.normal(size=(7, 4, 4, 6)).astype(np.float32)
    logits, features = head(tf.constant(given))
    codes = head.box_codes(features)
    assert (logits.shape, codes.shape) == ((7, 301), (7, 300, 4))
    mean = stage(given).numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(features, mean, rtol=1e-4, atol=1e-5)
    for got, layer in [(logits, head._classes), (codes, head._boxes)]:
        kernel, bias = (v.numpy() for v in layer.weights)
        expected = mean @ kernel + bias
        np.testing.assert_allclose(tf.reshape(got, [7, -1]), expected, rtol=1e-3, atol=1e-4)
        # Variance scaling, uniform, by the mean of fan in and fan out: variance 2 / (in + out).
        limit = np.sqrt(3 * 2 / (kernel.shape[0] + kernel.shape[1]))
        assert 0.99 * limit < np.abs(kernel).max() <= limit
        np.testing.assert_allclose(kernel.std(), limit / np.sqrt(3), rtol=0.02)
        assert not bias.any()
    # Only those four and the stage's own: no hidden layer, no dropout.
    assert len(head.trainable_variables) == 4 + 2


@pytest.mark.parametrize("pairs", [0, 1, 29, 30, 200])
def test_box_codes_of_pairs_are_those_of_all_classes(pairs, rng):
    stage = tf_keras.Sequential([tf_keras.Input((1, 1, 6))])
    head = heads.BoxHead(stage, num_classes=30)
    head(tf.zeros([1, 1, 1, 6]))
    head._boxes.bias.assign(rng.normal(size=120))
    features = tf.constant(rng.normal(size=(2, 5, 6)), tf.float32)
    crops = tf.constant(rng.integers(0, 5, (2, pairs)), tf.int32)
    classes = tf.constant(rng.integers(0, 30, (2, pairs)) // 7 * 7, tf.int32)  # repeated
    got = head.box_codes_of_pairs(features, crops, classes).numpy()
    every = head.box_codes(features).numpy()
    expected = [every[image, crops[image], classes[image]] for image in range(2)]
    assert got.shape == (2, pairs, 4)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    without_images = head.box_codes_of_pairs(features[:0], crops[:0], classes[:0])
    assert without_images.shape == (0, pairs, 4)


@pytest.mark.parametrize("pairs", [0, 7, 200])
def test_one_regressor_for_all_classes(pairs, rng):
    stage = tf_keras.Sequential([tf_keras.Input((1, 1, 6))])
    head = heads.BoxHead(stage, num_classes=30, class_agnostic_boxes=True)
    head(tf.zeros([1, 1, 1, 6]))
    assert head._boxes.kernel.shape == (6, 4)
    assert head._classes.kernel.shape == (6, 31)
    head._boxes.bias.assign(rng.normal(size=4))
    features = rng.normal(size=(2, 5, 6)).astype(np.float32)
    expected = features @ head._boxes.kernel.numpy() + head._boxes.bias.numpy()
    np.testing.assert_allclose(head.box_codes(features)[:, :, 0], expected, rtol=1e-5, atol=1e-6)
    labels = tf.constant(rng.integers(0, 31, (2, 5)), tf.int32)
    found = head.box_codes_of_labels(tf.constant(features), labels)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    crops = rng.integers(0, 5, (2, pairs)).astype(np.int32)
    classes = tf.constant(rng.integers(0, 30, (2, pairs)), tf.int32)
    got = head.box_codes_of_pairs(tf.constant(features), crops, classes)
    assert got.shape == (2, pairs, 4)
    np.testing.assert_allclose(got, [expected[i, crops[i]] for i in range(2)], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("agnostic", [True, False])
def test_boxes_that_see_positions(rng, agnostic):
    """The mean over the cells of what a regressor of each cell says; classes see the mean."""
    crops = tf_keras.Input((4, 3, 6))
    stage = tf_keras.Model(crops, tf_keras.layers.Conv2D(40, 1)(crops))
    options = {"class_agnostic_boxes": agnostic, "position_sensitive_boxes": True}
    head = heads.BoxHead(stage, num_classes=5, **options)
    given = rng.normal(size=(7, 4, 3, 6)).astype(np.float32)
    logits, features = head(tf.constant(given))
    regressors = 1 if agnostic else 5
    head._boxes.bias.assign(rng.normal(size=4 * regressors))
    cells = stage(given).numpy()
    kernel, bias = (v.numpy() for v in head._classes.weights)
    np.testing.assert_allclose(logits, cells.mean(axis=(1, 2)) @ kernel + bias, 1e-4, 1e-5)
    kernel, bias = (v.numpy() for v in head._boxes.weights)
    kernel = kernel.reshape(4, 3, 40, regressors, 4)
    expected = np.einsum("nyxc,yxcrb->nrb", cells, kernel) / 12 + bias.reshape(regressors, 4)
    np.testing.assert_allclose(head.box_codes(features), expected, rtol=1e-4, atol=1e-5)
    classes = tf.constant(rng.integers(0, 5, (1, 9)), tf.int32)
    places = tf.constant(rng.integers(0, 7, (1, 9)), tf.int32)
    found = head.box_codes_of_pairs(features[tf.newaxis], places, classes)
    of_classes = np.zeros(9, int) if agnostic else classes[0]
    np.testing.assert_allclose(found[0], expected[places[0], of_classes], rtol=1e-4, atol=1e-5)


def test_box_codes_of_labels_are_those_of_their_classes(rng):
    head = heads.BoxHead(tf_keras.Sequential([tf_keras.Input((1, 1, 6))]), num_classes=3)
    head(tf.zeros([1, 1, 1, 6]))
    features = tf.constant(rng.normal(size=(1, 4, 6)), tf.float32)
    found = head.box_codes_of_labels(features, tf.constant([[3, 0, 1, 2]]))
    every = head.box_codes(features).numpy()[0]
    np.testing.assert_array_equal(found[0, 0], every[0, 2])
    np.testing.assert_array_equal(found[0, 2:], every[[2, 3], [0, 1]])


@pytest.fixture(params=["float32", "mixed_bfloat16", "mixed_float16"])
def two_factors(request):
    """A head of four classes with a separate objectness, in some precision, without a stage."""
    tf_keras.mixed_precision.set_global_policy(request.param)
    try:
        stage = tf_keras.Sequential(
            [tf_keras.Input((1, 1, 6)), tf_keras.layers.Activation("linear")]
        )
        head = heads.BoxHead(stage, num_classes=4, separate_objectness=True)
        head(tf.zeros([1, 1, 1, 6]))
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    return head


def test_probabilities_are_products_of_two_factors(two_factors, rng):
    head = two_factors
    assert [layer.kernel.shape for layer in (head._objectness, head._classes)] == [(6, 1), (6, 4)]
    head._objectness.bias.assign([1.5])
    crops = tf.constant(rng.normal(0, 2, size=(7, 1, 1, 6)), tf.float32)
    logits, features = head(crops)
    assert logits.dtype == features.dtype == tf.float32
    expected = class_probabilities(head, features.numpy())
    np.testing.assert_allclose(tf.exp(logits), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(tf.nn.softmax(logits), expected, rtol=1e-5, atol=1e-7)


def test_the_loss_of_two_factors(two_factors, rng):
    """Animal or background over the whole sample, the class over the positives alone."""
    head = two_factors
    crops = tf.constant(rng.normal(size=(6, 1, 1, 6)), tf.float32)
    labels = np.array([0, 3, 0, 1, 4, 0])

    def loss_of(labels):
        logits, _ = head(crops)
        labels = tf.constant(labels[np.newaxis], tf.int32)
        return losses.classification_loss(logits[tf.newaxis], labels, tf.ones(labels.shape))

    features = head(crops)[1].numpy()
    p = class_probabilities(head, features)
    binary = -np.log(np.where(labels > 0, 1 - p[:, 0], p[:, 0])).sum()
    given_animal = p[:, 1:] / p[:, 1:].sum(axis=1, keepdims=True)
    of_positives = -np.log(given_animal[labels > 0, labels[labels > 0] - 1]).sum()
    np.testing.assert_allclose(loss_of(labels), (binary + of_positives) / 6, rtol=1e-5)

    # So no background teaches anything about classes, as it would in a softmax over all.
    with tf.GradientTape(persistent=True) as tape:
        some, none = loss_of(labels), loss_of(np.zeros(6, int))
    learned = np.abs(tape.gradient(some, head._classes.kernel))
    assert learned.min() > 1e-4
    assert np.abs(tape.gradient(none, head._classes.kernel)).max() < 1e-6
    assert np.abs(tape.gradient(none, head._objectness.kernel)).max() > 1e-3


def test_two_factors_that_are_certain():
    head = heads.BoxHead(
        tf_keras.Sequential([tf_keras.Input((1, 1, 1))]), num_classes=2, separate_objectness=True
    )
    head(tf.zeros([1, 1, 1, 1]))
    head._objectness.kernel.assign([[1e4]])
    head._classes.kernel.assign([[1e4, -1e4]])
    crops = tf.constant([1.0, -1.0], shape=[2, 1, 1, 1])
    with tf.GradientTape() as tape:
        logits, _ = head(crops)
        labels = tf.constant([[2, 1]])
        loss = losses.classification_loss(logits[tf.newaxis], labels, tf.ones([1, 2]))
    np.testing.assert_allclose(loss, (2e4 + 3e4) / 2, rtol=1e-5)
    np.testing.assert_allclose(tf.nn.softmax(logits), [[0, 1, 0], [1, 0, 0]], atol=1e-6)
    for gradient in tape.gradient(loss, [head._objectness.kernel, head._classes.kernel]):
        assert np.isfinite(gradient).all()
