import numpy as np
import tensorflow as tf

from inatdet.detection import crops
from tests.detection import reference


def test_against_numpy_in_a_padded_batch(rng=np.random.default_rng(0)):
    sizes = [(100, 150), (75, 160)]  # pixels; 7 x 10 and 5 x 10 cells in a map of 7 x 10
    features = rng.normal(size=(2, 7, 10, 3)).astype(np.float32)
    features[1, 5:] = 1e6  # what lies in the padding must not be seen
    boxes = np.stack([reference.random_boxes(rng, 5, *size) for size in sizes])
    boxes[:, 0] = [[0, 0, *size] for size in sizes]
    got = crops.crop_and_pool(
        tf.constant(features), tf.constant(boxes, tf.float32), tf.constant(sizes), 16, 6, 2
    )
    assert got.shape == (10, 3, 3, 3)
    for image in range(2):
        for index in range(5):
            expected = reference.crop(features[image], boxes[image, index], 6, 2, 16, *sizes[image])
            np.testing.assert_allclose(got[image * 5 + index], expected, atol=1e-4)


def test_one_cell():
    features = tf.constant([[[[3.0, 5.0]]]])
    got = crops.crop_and_pool(
        features, tf.constant([[[0.0, 0, 9, 9]]]), tf.constant([[10, 12]]), 16, 4, 2
    )
    np.testing.assert_array_equal(got, np.broadcast_to([3.0, 5.0], (1, 2, 2, 2)))
