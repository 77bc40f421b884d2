import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection import crops
from tests.detection import reference


def test_against_numpy_in_a_padded_batch(rng):
    sizes = [(100, 150), (75, 160)]  # pixels; 7 x 10 and 5 x 10 cells in a map of 7 x 10
    features = rng.normal(size=(2, 7, 10, 3)).astype(np.float32)
    features[1, 5:] = 1e6  # what lies in the padding must not be seen
    boxes = np.stack([reference.random_boxes(rng, 5, *size) for size in sizes])
    boxes[:, 0] = [[0, 0, *size] for size in sizes]
    got = crops.crop_and_pool(
        tf.constant(features), tf.constant(boxes, tf.float32), tf.constant(sizes),
        stride=16, crop_size=6, pool_size=2,
    )  # fmt: skip
    assert got.shape == (10, 3, 3, 3)
    for image in range(2):
        for index in range(5):
            expected = reference.crop(features[image], boxes[image, index], 6, 2, 16, *sizes[image])
            np.testing.assert_allclose(got[image * 5 + index], expected, atol=1e-4)


def test_one_cell():
    features = tf.constant([[[[3.0, 5.0]]]])
    got = crops.crop_and_pool(
        features, tf.constant([[[0.0, 0, 9, 9]]]), tf.constant([[10, 12]]),
        stride=16, crop_size=4, pool_size=2,
    )  # fmt: skip
    np.testing.assert_array_equal(got, np.broadcast_to([3.0, 5.0], (1, 2, 2, 2)))


@pytest.mark.parametrize(
    ("height", "width", "level"),
    [
        (0, 0, 3),  # the filling after the last proposal
        (1, 1, 3),
        (223, 223, 3),
        (224, 224, 4),
        (112, 448, 4),
        (447, 448, 4),
        (448, 448, 5),
        (1000, 1000, 6),
        (5000, 5000, 6),
    ],
)
def test_level_of_a_box(height, width, level):
    box = np.array([10.0, 20, 10 + height, 20 + width], np.float32)
    levels = range(3, 7)
    assert levels[int(crops.level_of(tf.constant(box), levels, 224.0))] == level
    assert reference.pyramid_level(box, 3, 6, 224.0) == level


PYRAMID = {3: (16, 20), 4: (8, 10), 5: (4, 5)}  # cells on a canvas of 128 x 160 pixels


@pytest.mark.parametrize("level4_size", [20.0, 40.0, 1e6, 0.1])
def test_pyramid_against_numpy_in_a_padded_batch(level4_size, rng):
    sizes = [(120, 150), (97, 160)]
    features = {level: rng.normal(size=(2, *cells, 3)) for level, cells in PYRAMID.items()}
    for level, x in features.items():
        x[1, -(-97 // 2**level) :] = 1e6  # what lies in the padding must not be seen
    boxes = np.stack([reference.random_boxes(rng, 12, *size) for size in sizes])
    for image, (height, width) in enumerate(sizes):
        boxes[image, :6] = [
            [0, 0, height, width],
            [height - 3, width - 3, height, width],
            [height - 40, 0, height, 40],
            [0, 0, 0.5, 0.5],
            [30, width - 0.25, 90, width],
            [0, 0, 0, 0],
        ]
    levels = sorted(PYRAMID)
    got = crops.crop_from_pyramid(
        [tf.constant(features[level], tf.float32) for level in levels],
        levels,
        tf.constant(boxes, tf.float32),
        tf.constant(sizes),
        level4_size=level4_size,
        crop_size=4,
        samples=2,
    )
    assert got.shape == (24, 4, 4, 3)
    used = set()
    for image, size in enumerate(sizes):
        for index, box in enumerate(boxes[image]):
            level = reference.pyramid_level(box, 3, 5, level4_size)
            used.add(level)
            expected = reference.align(features[level][image], box, 4, 2, 2**level, *size)
            np.testing.assert_allclose(got[image * 12 + index], expected, atol=1e-4)
    # The last two leave levels without a box; that of no size is always on the first.
    assert used == {20.0: {3, 4, 5}, 40.0: {3, 4, 5}, 1e6: {3}, 0.1: {3, 5}}[level4_size]


def test_the_gradient_goes_to_the_pyramid_level_of_the_box():
    pyramid = [tf.ones([1, 16, 20, 2]), tf.ones([1, 8, 10, 2]), tf.ones([1, 1, 1, 2])]
    box = tf.constant([[[10.0, 20, 40, 60]]])  # a square of 34.6 pixels would be as large
    with tf.GradientTape() as tape:
        tape.watch(pyramid)
        cut = crops.crop_from_pyramid(
            pyramid, [3, 4, 5], box, tf.constant([[120, 150]]),
            level4_size=32.0, crop_size=3, samples=2,
        )  # fmt: skip
        total = tf.reduce_sum(cut)
    below, level4, above = tape.gradient(total, pyramid)
    assert not np.any(below)
    assert not np.any(above)
    # Each of the 9 bins is a weighted mean of cells, once for each channel.
    np.testing.assert_allclose(tf.reduce_sum(level4, axis=[0, 1, 2]), [9, 9], rtol=1e-5)
    touched = np.argwhere(level4[0, :, :, 0])
    assert (touched.min(axis=0) >= [0, 1]).all()
    assert (touched.max(axis=0) <= [3, 4]).all()
