"""Features of an image in a padded batch that are exactly those of the image alone.

Beyond the border of a single image, convolutions see zeros. In a padded batch they see what the
layers before them made of the padding: ReLU of a bias, mixed with what leaked out of the image.
Setting the activations outside each image to zero after every layer removes that.

There is one more difference. With SAME padding, a stride of two starts at the first pixel of a side
of even length, but one pixel before it on a side of odd length. So the grid of cells depends on the
side, and with four such layers on the side modulo 16. An image that is moved down and right, by
what its sides lack to multiples of 16, on a canvas of such sides, has the grid that it has alone.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras

_STRIDE = 16


def align(images: tf.Tensor, image_size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Moves each image to where its cells are the ones that it has alone.

    Args:
        images: `[batch, height, width, channels]`, each image at the upper left.
        image_size: int32 `[batch, 2]`, height and width without padding.

    Returns:
        The images on a canvas whose sides are multiples of 16, zero around them; and float32
        `[batch, height, width, 1]`, 1 inside the images and 0 around them.
    """
    shift = -image_size % _STRIDE
    canvas = tf.reduce_max(image_size + shift, axis=0)
    inside = tf.ones([1, 1, 1, 1])
    for axis in (0, 1):
        place = tf.range(canvas[axis])[tf.newaxis] - shift[:, axis, tf.newaxis]
        real = (place >= 0) & (place < image_size[:, axis, tf.newaxis])
        images = tf.gather(images, tf.where(real, place, 0), axis=axis + 1, batch_dims=1)
        shape = [-1, 1, 1, 1]
        shape[axis + 1] = canvas[axis]
        inside *= tf.reshape(tf.cast(real, tf.float32), [tf.shape(real)[0], *shape[1:]])
    return images * tf.cast(inside, images.dtype), inside


class Mask:
    """Which cells of a feature map lie inside the images, while a network is built.

    Args:
        inside: float `[batch, rows, columns, 1]`, 1 inside the images and 0 around them.
    """

    def __init__(self, inside: tf.Tensor):
        self._inside = inside
        self._next_level: Mask | None = None
        self._share: tf.Tensor | None = None

    def behind(self, layer: tf_keras.layers.Layer) -> Mask:
        """The mask of what a layer makes of this map: this one, or that of half the cells."""
        if getattr(layer, "strides", (1, 1)) != (2, 2):
            return self
        if self._next_level is None:
            # A cell of the next level is inside if the second of its first two pixels is.
            self._next_level = Mask(self._inside[:, 1::2, 1::2])
        return self._next_level

    def apply(self, layer: tf_keras.layers.Layer, features: tf.Tensor) -> tf.Tensor:
        """Makes a layer's output what it is where each image stands alone.

        Args:
            layer: the layer.
            features: its output, of this mask's cells.
        """
        if isinstance(layer, (tf_keras.layers.Activation, tf_keras.layers.MaxPooling2D)):
            return tf_keras.layers.Multiply()([features, self._inside])
        if isinstance(layer, tf_keras.layers.AveragePooling2D):
            # Divided by the share of each window that is inside: Keras leaves out of its means
            # what is beyond the border of the map.
            if self._share is None:
                self._share = tf.maximum(layer(self._inside), 0.1)
            return features / self._share
        return features
