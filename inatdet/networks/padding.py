"""An image in a padded batch seen exactly as if it stood alone.

Where an image stands alone, convolutions see zeros beyond its border. Inside a padded batch they
see what the layers before them made of the padding: ReLU of a bias, mixed with what leaked out of
the image. Setting the activations outside each image to zero behind every layer removes that.

One thing more differs. A stride of two with SAME padding starts at the first pixel of a side of
even length, and one pixel before it on a side of odd length, so that the grid of cells depends on
the side, and four such layers on the side modulo 16. An image that is moved down and right by what
its sides lack to multiples of 16, on a canvas of such sides, has the very grid that it has alone.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras

_STRIDE = 16


def align(images: tf.Tensor, image_size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Moves each image to where its cells are those that it has alone.

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


def masked(trunk: tf_keras.Model) -> tf_keras.Model:
    """A trunk's twin, with the same layers and weights, that sees nothing outside the images.

    Args:
        trunk: convolutions, batch norms, ReLUs, poolings and concatenations with SAME padding, as
            `inception_v3.trunk` makes it.

    Returns:
        A model from the two results of `align` to features that are zero outside the images. Their
        cells are those of each image alone, from the upper left.
    """
    image = tf_keras.Input((None, None, 3), name="image")
    inside = tf_keras.Input((None, None, 1), name="inside")
    layers = tf_keras.layers
    done = {id(trunk.input): (image, inside)}
    smaller, shares = {}, {}
    known = {id(node.outputs) for nodes in trunk._nodes_by_depth.values() for node in nodes}
    for layer in trunk.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        (node,) = [node for node in layer.inbound_nodes if id(node.outputs) in known]
        inputs = [done[id(tensor)] for tensor in node.keras_inputs]
        x = [tensor for tensor, _ in inputs]
        mask = inputs[0][1]
        y = layer(x if len(x) > 1 else x[0], **node.call_kwargs)
        if getattr(layer, "strides", (1, 1)) == (2, 2):
            # A cell of the next level is inside where the second of its first two pixels is.
            if id(mask) not in smaller:
                smaller[id(mask)] = mask[:, 1::2, 1::2]
            mask = smaller[id(mask)]
        if isinstance(layer, (layers.Activation, layers.MaxPooling2D)):
            y = layers.Multiply()([y, mask])
        if isinstance(layer, layers.AveragePooling2D):
            # The share of each window that is inside: Keras leaves out what is beyond the border.
            if id(mask) not in shares:
                shares[id(mask)] = tf.maximum(layer(mask), 0.1)
            y = y / shares[id(mask)]
        done[id(node.outputs)] = (y, mask)
    return tf_keras.Model([image, inside], done[id(trunk.output)][0], name="masked_trunk")
