"""Random changes of an image's colors.

Their sizes and orders are those of the Inception networks' training (tensorflow/models,
slim/preprocessing/inception_preprocessing.py).
"""

from __future__ import annotations

import tensorflow as tf

_BRIGHTNESS = 32.0 / 255.0  # added or subtracted at most
_SATURATION = (0.5, 1.5)  # factors
_HUE = 0.2  # of the circle of hues, forwards or backwards at most
_CONTRAST = (0.5, 1.5)  # factors

# Brightness, saturation, hue and contrast in four of the possible orders.
_ORDERS = ((0, 1, 2, 3), (1, 0, 3, 2), (3, 2, 0, 1), (2, 1, 3, 0))


def distort(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Changes brightness, saturation, hue and contrast, in one of four orders.

    Args:
        image: float32 `[height, width, 3]`, 0..255.
        seed: int64 or int32 `[2]`.

    Returns:
        float32 of the same shape, 0..255.
    """
    seeds = tf.random.split(seed, 5)
    changes = (
        lambda x: tf.image.stateless_random_brightness(x, _BRIGHTNESS, seeds[0]),
        lambda x: tf.image.stateless_random_saturation(x, *_SATURATION, seeds[1]),
        lambda x: tf.image.stateless_random_hue(x, _HUE, seeds[2]),
        lambda x: tf.image.stateless_random_contrast(x, *_CONTRAST, seeds[3]),
    )

    def in_order(order: tuple[int, ...]) -> tf.Tensor:
        changed = image / 255.0
        for number in order:
            changed = changes[number](changed)
        return changed

    chosen = tf.random.stateless_uniform([], seeds[4], 0, len(_ORDERS), tf.int32)
    changed = tf.switch_case(chosen, [lambda o=order: in_order(o) for order in _ORDERS])
    return tf.clip_by_value(changed, 0.0, 1.0) * 255.0
