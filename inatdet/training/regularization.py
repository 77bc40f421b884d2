"""What is added to a loss to keep weights small."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf


def weight_penalty(variables: Iterable[tf.Variable], decay: float) -> tf.Tensor:
    """What weight decay adds to the loss: of kernels, not biases or batch norm.

    Args:
        variables: those whose names say that they are kernels count.
        decay: times half the squared norm of all kernels.

    Returns:
        float32 `[]`.
    """
    if not decay:
        return tf.constant(0.0)
    kernels = [variable for variable in variables if "kernel" in variable.name]
    return decay * tf.add_n([tf.nn.l2_loss(tf.cast(kernel, tf.float32)) for kernel in kernels])
