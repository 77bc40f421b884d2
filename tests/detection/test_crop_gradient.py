"""Crops against `tf.image.crop_and_resize`, and their gradient against its, one crop at a time."""

import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection import crops

SIZE = 6


def gradient_of(features, boxes, image_index, of_crops):
    """By the operation's own gradient, of one crop after the other, so that no term is lost."""
    total = np.zeros(features.shape)
    for i in range(len(boxes)):
        total += tf.raw_ops.CropAndResizeGradImage(
            grads=of_crops[i : i + 1],
            boxes=boxes[i : i + 1],
            box_ind=image_index[i : i + 1],
            image_size=features.shape,
            T=tf.float32,
            method="bilinear",
        ).numpy()
    return total


@pytest.mark.parametrize("shape", [(3, 9, 13, 5), (3, 1, 13, 2), (3, 9, 1, 2), (3, 1, 1, 2)])
def test_crops_and_gradient(shape):
    rng = np.random.default_rng(0)
    features = tf.constant(rng.normal(size=shape), tf.float32)
    corner = rng.uniform(0, 0.8, (40, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0, 0.2, (40, 2))], axis=1)
    boxes[0] = [0, 0, 1, 1]
    boxes[1] = [0.5, 0.5, 0.5, 0.5]
    boxes[2] = [-0.1, 0.2, 0.4, 1.3]  # beyond the border there is nothing
    boxes[3] = 0
    boxes = tf.constant(boxes, tf.float32)
    image_index = tf.constant(np.where(rng.random(40) < 0.2, 0, 2), tf.int32)  # image 1 has none
    of_crops = tf.constant(rng.normal(size=(40, SIZE, SIZE, shape[-1])), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, shape[-1]])])
    def crops_and_gradient(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            cut = crops.crop(features, boxes, image_index, SIZE)
        return cut, tape.gradient(cut, features, of_crops)

    cut, gradient = crops_and_gradient(features)
    expected = tf.image.crop_and_resize(features, boxes, image_index, [SIZE, SIZE])
    np.testing.assert_array_equal(cut, expected)
    expected = gradient_of(features, boxes, image_index, of_crops)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5)
    assert not np.any(gradient[1])
    assert np.any(gradient[0])


def test_the_gradient_is_the_same_every_time():
    rng = np.random.default_rng(0)
    features = tf.constant(rng.normal(size=(1, 38, 50, 64)), tf.float32)
    corner = rng.uniform(0.2, 0.4, (64, 2))
    boxes = tf.constant(np.concatenate([corner, corner + 0.4], axis=1), tf.float32)
    of_crops = tf.constant(rng.normal(size=(64, 14, 14, 64)), tf.float32)

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(features)
            cut = crops.crop(features, boxes, tf.zeros([64], tf.int32), 14)
        return tape.gradient(cut, features, of_crops)

    first = gradient()
    for _ in range(30):
        np.testing.assert_array_equal(gradient(), first)


def test_bfloat16():
    features = tf.constant(np.arange(12.0).reshape([1, 3, 4, 1]), tf.bfloat16)
    with tf.GradientTape() as tape:
        tape.watch(features)
        cut = crops.crop(features, tf.constant([[0.0, 0, 1, 1]]), tf.constant([0]), 2)
    assert cut.dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(cut[0, :, :, 0], tf.float32), [[0, 3], [8, 11]])
    gradient = tf.cast(tape.gradient(cut, features), tf.float32)
    corners = np.zeros([3, 4])
    corners[[0, 0, 2, 2], [0, 3, 0, 3]] = 1
    np.testing.assert_array_equal(gradient[0, :, :, 0], corners)
