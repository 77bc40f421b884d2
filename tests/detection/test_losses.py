import numpy as np
import tensorflow as tf

from inatdet.detection import losses


def test_classification_is_the_mean_over_the_sample_of_each_image(rng):
    logits = rng.normal(size=(2, 4, 3))
    labels = rng.integers(0, 3, (2, 4))
    weight = np.array([[1, 1, 1, 0], [1, 0, 0, 0]], np.float32)
    expected = 0.0
    for image in range(2):
        total = 0.0
        for box in range(4):
            p = np.exp(logits[image, box]) / np.exp(logits[image, box]).sum()
            total -= weight[image, box] * np.log(p[labels[image, box]])
        expected += total / weight[image].sum() / 2
    loss = losses.classification_loss(
        tf.constant(logits, tf.float32), tf.constant(labels, tf.int32), tf.constant(weight)
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_localization_by_hand():
    # Image 1: one positive of two sampled, codes off by 0.5 and 3: .5*.25 + (3 - .5) = 2.625; / 2.
    # Image 2: nothing positive. The mean over the images is 2.625 / 4.
    codes = tf.constant([[[0.5, 3, 0, 0], [9, 9, 9, 9]], [[7.0, 7, 7, 7], [7, 7, 7, 7]]])
    positive = tf.constant([[True, False], [False, False]])
    loss = losses.localization_loss(
        codes, tf.zeros([2, 2, 4]), positive, tf.ones([2, 2]), delta=1.0
    )
    np.testing.assert_allclose(loss, 2.625 / 4)


def test_an_empty_sample_has_no_loss():
    zero = tf.zeros([1, 3])
    logits, codes = tf.random.normal([1, 3, 5]), tf.random.normal([1, 3, 4])
    assert float(losses.classification_loss(logits, tf.zeros([1, 3], tf.int32), zero)) == 0
    assert float(losses.localization_loss(codes, codes + 1, zero > 0, zero, delta=1.0)) == 0
