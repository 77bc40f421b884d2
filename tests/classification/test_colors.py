"""Changes of colors against arithmetic on single pixels by `colorsys`."""

import colorsys

import numpy as np
import pytest
import tensorflow as tf

from inatdet.classification import colors

ORDERS = ("bshc", "sbch", "chbs", "hscb")


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 255, (6, 5, 3)).astype(np.float32)
    pixels[0] = [[0, 0, 0], [255, 255, 255], [9, 9, 9], [255, 0, 0], [0, 255, 255]]
    return pixels


def drawn(seed, low, high):
    return float(tf.random.stateless_uniform([], seed, low, high))


def in_hsv(pixels, change):
    changed = [
        colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*p))) for p in pixels.reshape(-1, 3)
    ]
    return np.array(changed).reshape(pixels.shape)


def expected(image, seed):
    """The same image, changed pixel by pixel, and the order of the changes."""
    seeds = tf.random.split(seed, 5)
    brightness = drawn(seeds[0], -32 / 255, 32 / 255)
    saturation, contrast = drawn(seeds[1], 0.5, 1.5), drawn(seeds[3], 0.5, 1.5)
    hue = drawn(seeds[2], -0.2, 0.2)
    order = ORDERS[int(tf.random.stateless_uniform([], seeds[4], 0, 4, tf.int32))]
    changes = {
        "b": lambda x: x + brightness,
        "s": lambda x: in_hsv(x, lambda h, s, v: (h, min(s * saturation, 1), v)),
        "h": lambda x: in_hsv(x, lambda h, s, v: ((h + hue) % 1, s, v)),
        "c": lambda x: (x - x.mean((0, 1))) * contrast + x.mean((0, 1)),
    }
    changed = image.astype(float) / 255
    for letter in order:
        changed = changes[letter](changed)
    return np.clip(changed, 0, 1) * 255, order


def test_changes_are_those_of_the_pixels(image):
    orders = set()
    for number in range(24):
        seed = tf.constant([number, 7])
        # So that nothing leaves 0..1, beyond which hues have no meaning.
        mild = 110 + image / 7
        wanted, order = expected(mild, seed)
        orders.add(order)
        np.testing.assert_allclose(colors.distort(tf.constant(mild), seed), wanted, atol=0.05)
    assert orders == set(ORDERS)


def test_pixels_stay_in_range_and_a_seed_repeats_them(image):
    for number in range(20):
        found = colors.distort(tf.constant(image), tf.constant([number, 0])).numpy()
        assert found.min() >= 0
        assert found.max() <= 255
        again = colors.distort(tf.constant(image), tf.constant([number, 0])).numpy()
        np.testing.assert_array_equal(found, again)
