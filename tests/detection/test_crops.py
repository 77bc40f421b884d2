import numpy as np
import tensorflow as tf

from inatdet.detection import crops
from tests.detection import reference


def naive_crop(features, box, crop_size, pool_size, stride, height, width):
    """Bilinear samples of one image's own feature map, then max pooling."""
    rows, columns = -(-height // stride), -(-width // stride)
    y0, x0, y1, x1 = box / np.array([height, width, height, width])
    y0, y1, x0, x1 = y0 * (rows - 1), y1 * (rows - 1), x0 * (columns - 1), x1 * (columns - 1)
    samples = np.zeros((crop_size, crop_size, features.shape[-1]))
    for i in range(crop_size):
        for j in range(crop_size):
            y = y0 + (y1 - y0) * i / (crop_size - 1)
            x = x0 + (x1 - x0) * j / (crop_size - 1)
            top, left = int(np.floor(y)), int(np.floor(x))
            bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            dy, dx = y - top, x - left
            samples[i, j] = (
                features[top, left] * (1 - dy) * (1 - dx)
                + features[top, right] * (1 - dy) * dx
                + features[bottom, left] * dy * (1 - dx)
                + features[bottom, right] * dy * dx
            )
    size = crop_size // pool_size
    blocks = samples.reshape(size, pool_size, size, pool_size, -1)
    return blocks.max(axis=(1, 3))


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
            expected = naive_crop(features[image], boxes[image, index], 6, 2, 16, *sizes[image])
            np.testing.assert_allclose(got[image * 5 + index], expected, atol=1e-4)


def test_one_cell():
    features = tf.constant([[[[3.0, 5.0]]]])
    got = crops.crop_and_pool(
        features, tf.constant([[[0.0, 0, 9, 9]]]), tf.constant([[10, 12]]), 16, 4, 2
    )
    np.testing.assert_array_equal(got, np.broadcast_to([3.0, 5.0], (1, 2, 2, 2)))
