"""The parts of images against what `tf.image` crops."""

import numpy as np
import pytest
import tensorflow as tf

from inatdet.classification import crops

AREA, ASPECT = (0.5, 1.0), (0.7, 1.33)


def noise(height, width, chroma_downsampling=False):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return tf.io.encode_jpeg(pixels, chroma_downsampling=chroma_downsampling)


def smooth(height, width):
    y, x = np.mgrid[:height, :width]
    waves = [127 + 120 * np.sin(y / 90 + k) * np.cos(x / 70 + 2 * k) for k in range(3)]
    return tf.io.encode_jpeg(np.stack(waves, axis=-1).astype(np.uint8), quality=95)


@pytest.mark.parametrize("size", [(60, 80), (80, 60), (101, 77)])
def test_random_windows_are_within_the_settings(size):
    windows = np.array([crops.random_window(tf.constant(size), [s, 0], AREA, ASPECT)
                        for s in range(150)])  # fmt: skip
    top, left, height, width = windows.T
    assert (windows >= 0).all()
    assert (top + height <= size[0]).all()
    assert (left + width <= size[1]).all()
    area, aspect = height * width / (size[0] * size[1]), width / height
    slack = 1.5 / min(size)  # sides are whole pixels
    assert (area > 0.5 - slack).all()
    assert (area <= 1).all()
    assert (aspect > 0.7 - slack).all()
    assert (aspect < 1.33 + slack).all()
    assert np.ptp(area) > 0.3
    assert len(np.unique(windows, axis=0)) > 100


def test_a_seed_repeats_a_window():
    one, same, other = (
        crops.random_window(tf.constant([60, 80]), seed, AREA, ASPECT).numpy().tolist()
        for seed in ([3, 1], [3, 1], [4, 1])
    )
    assert one == same != other


def test_no_part_of_a_panorama_fits():
    window = crops.random_window(tf.constant([50, 400]), [1, 0], AREA, ASPECT)
    assert window.numpy().tolist() == [0, 0, 50, 400]


@pytest.mark.parametrize("fraction", [0.875, 0.5, 0.123, 1.0])
@pytest.mark.parametrize("size", [(60, 80), (61, 83), (7, 3), (1, 1), (600, 799)])
def test_the_middle_is_that_of_tensorflow(size, fraction):
    coordinates = tf.stack(tf.meshgrid(*map(tf.range, size), indexing="ij"), axis=-1)
    expected = tf.image.central_crop(coordinates, fraction)
    top, left, height, width = crops.central_window(tf.constant(size), fraction).numpy()
    found = coordinates[top : top + height, left : left + width]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shrink", [False, True])
@pytest.mark.parametrize("window", [(0, 0, 60, 80), (3, 17, 41, 50), (16, 32, 32, 32)])
def test_a_part_is_that_of_the_whole_image(window, shrink):
    jpeg = noise(60, 80)
    top, left, height, width = window
    whole = tf.io.decode_jpeg(jpeg, channels=3)
    part = tf.image.crop_to_bounding_box(whole, top, left, height, width)
    expected = tf.image.resize(part, [32, 32])  # nothing can be halved and remain 32 pixels
    found = crops.decode(jpeg, tf.constant(window), 32, shrink)
    np.testing.assert_array_equal(found, expected)


def test_at_the_edges_of_a_part_colors_may_lack_their_neighbours():
    """Where a part ends with libjpeg's blocks; colors have half the pixels of the brightness."""
    jpeg = noise(60, 80, chroma_downsampling=True)
    whole = tf.io.decode_jpeg(jpeg, channels=3)
    found = crops.decode(jpeg, tf.constant([16, 32, 32, 32]), 32, shrink=True)
    np.testing.assert_array_equal(found[1:-1, 1:-1], whole[17:47, 33:63])


@pytest.mark.parametrize(("side", "ratio"), [(100, 2), (99, 2), (60, 4), (25, 8), (10, 8)])
def test_halving_while_decoding_shows_the_same(side, ratio):
    jpeg, window = smooth(300, 400), tf.constant([17, 33, 241, 300])
    exact = crops.decode(jpeg, window, side, shrink=False).numpy()
    found = crops.decode(jpeg, window, side, shrink=True).numpy()
    # A part begins and ends with whole blocks, so that it may lack up to a block less a pixel.
    missing = (ratio - 1) * side / 241
    steps = np.abs(np.diff(exact, axis=0)).max() + np.abs(np.diff(exact, axis=1)).max()
    assert np.abs(found - exact).max() < missing * steps + 3
    assert np.abs(found - exact).mean() < 0.25 * missing * steps + 1
    assert not np.array_equal(found, exact)  # it was halved


def test_halving_is_smoother_than_passing_over_pixels():
    jpeg, window = noise(256, 256), tf.constant([0, 0, 256, 256])
    pixels = tf.io.decode_jpeg(jpeg, channels=3)
    mean = tf.image.resize(pixels, [64, 64], method="area").numpy()

    def error(shrink):
        return np.abs(crops.decode(jpeg, window, 64, shrink) - mean).mean()

    assert error(True) < 0.5 * error(False)


@pytest.mark.parametrize("shrink", [False, True])
def test_flipping(shrink):
    jpeg, window = smooth(90, 140), tf.constant([5, 9, 70, 101])
    plain, flipped, kept = (
        crops.decode(jpeg, window, 32, shrink, flip).numpy()
        for flip in (None, tf.constant(True), tf.constant(False))
    )
    np.testing.assert_allclose(flipped, plain[:, ::-1], atol=1e-3)
    np.testing.assert_array_equal(kept, plain)
