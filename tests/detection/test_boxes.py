import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection import boxes
from tests.detection import reference


def test_codes_against_numpy_and_back(rng):
    truth, anchors = reference.random_boxes(rng, 40), reference.random_boxes(rng, 40)
    codes = boxes.encode(
        tf.constant(truth, tf.float32), tf.constant(anchors, tf.float32), reference.CODE_SCALES
    )
    expected = [reference.encode(t, a) for t, a in zip(truth, anchors)]
    np.testing.assert_allclose(codes, expected, rtol=1e-4, atol=1e-4)
    back = boxes.decode(codes, tf.constant(anchors, tf.float32), reference.CODE_SCALES)
    np.testing.assert_allclose(back, truth, atol=1e-2)


def test_decode_against_numpy(rng):
    anchors = reference.random_boxes(rng, 30)
    codes = rng.normal(0, 2, (30, 4))
    expected = [reference.decode(c, a) for c, a in zip(codes, anchors)]
    decoded = boxes.decode(
        tf.constant(codes, tf.float32), tf.constant(anchors, tf.float32), reference.CODE_SCALES
    )
    np.testing.assert_allclose(decoded, expected, rtol=1e-4, atol=1e-3)


def test_other_scales(rng):
    truth, anchors = reference.random_boxes(rng, 9), reference.random_boxes(rng, 9)
    scales = (1.0, 2.0, 3.0, 4.0)
    codes = boxes.encode(tf.constant(truth, tf.float32), tf.constant(anchors, tf.float32), scales)
    expected = [reference.encode(t, a, scales) for t, a in zip(truth, anchors)]
    np.testing.assert_allclose(codes, expected, rtol=1e-4, atol=1e-4)
    back = boxes.decode(codes, tf.constant(anchors, tf.float32), scales)
    np.testing.assert_allclose(back, truth, atol=1e-2)


def test_huge_codes_stay_finite():
    decoded = boxes.decode(
        tf.constant([[0, 0, 1e6, 1e6]]), tf.constant([[0.0, 0, 10, 10]]), reference.CODE_SCALES
    )
    np.testing.assert_allclose(decoded[0, 2:] - decoded[0, :2], [625.0, 625.0], rtol=1e-5)


def test_clip_uses_the_size_of_each_image():
    box = tf.constant([[[-5.0, -5, 50, 50]], [[-5.0, -5, 50, 50]]])
    clipped = boxes.clip(box, tf.constant([[20, 30], [40, 45]]))
    np.testing.assert_allclose(clipped[:, 0], [[0, 0, 20, 30], [0, 0, 40, 45]])


def test_iou_against_numpy_with_empty_boxes(rng):
    a = np.concatenate([reference.random_boxes(rng, 12), np.zeros((1, 4))])
    b = np.concatenate([reference.random_boxes(rng, 9), a[:2], np.zeros((2, 4))])
    expected = [[reference.iou(x, y) for y in b] for x in a]
    overlap = boxes.iou(tf.constant(a[None], tf.float32), tf.constant(b[None], tf.float32))
    np.testing.assert_allclose(overlap[0], expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_suppression_against_numpy(seed):
    rng = np.random.default_rng(seed)
    items = np.stack([reference.random_boxes(rng, 60) for _ in range(3)])
    scores = rng.uniform(0, 1, (3, 60))
    scores[1, 10:] = -1  # left out
    scores[2] = -1  # nothing at all
    kept, count = boxes.keep_best(
        tf.constant(items, tf.float32), tf.constant(scores, tf.float32), 20, 0.5
    )
    for image in range(3):
        expected = reference.nms(items[image], scores[image], 20, 0.5)
        assert int(count[image]) == len(expected)
        assert kept[image, : len(expected)].numpy().tolist() == expected


def test_boxes_go_back_to_the_original_image():
    resized = np.array([[[0, 0, 50, 100], [10, 20, 30, 60]], [[5, 5, 5, 5], [0, 0, 0, 0]]], float)
    got = boxes.to_original(resized, np.array([[50, 100], [10, 10]]), [[100, 150], [10, 30]])
    np.testing.assert_allclose(
        got, [[[0, 0, 150, 100], [30, 20, 60, 40]], [[15, 5, 0, 0], [0, 0, 0, 0]]]
    )


def test_boxes_go_back_without_losing_a_digit(rng):
    resized = reference.random_boxes(rng, 50, 600, 800).astype(np.float32)[np.newaxis]
    sizes = np.array([[600, 799]], np.int32), np.array([[1537, 2047]], np.int32)
    ymin, xmin, ymax, xmax = np.moveaxis(resized * (sizes[1] / sizes[0])[:, [0, 1, 0, 1]], -1, 0)
    expected = np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=-1).astype(np.float32)
    np.testing.assert_array_equal(boxes.to_original(tf.constant(resized), *sizes), expected)
