"""Two logical CPU devices, so that a real MirroredStrategy runs on any machine.

Import it at the top of a test module: TensorFlow must be told before its first operation.
"""

import functools

import tensorflow as tf

NUM_DEVICES = 2

_cpu = tf.config.list_physical_devices("CPU")[0]
if tf.config.get_logical_device_configuration(_cpu) is None:
    tf.config.set_logical_device_configuration(
        _cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(NUM_DEVICES)]
    )


@functools.cache
def mirrored() -> tf.distribute.MirroredStrategy:
    """All logical CPUs, mirrored.

    One for the whole process: the collective operations of a second one would take the first one's
    numbers, and fail where the shapes of their tensors differ.
    """
    return tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(NUM_DEVICES)])
