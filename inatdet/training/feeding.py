"""How batches reach the devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Build = Callable[[tf.distribute.InputContext], tf.data.Dataset]
"""From which part of the data is wanted to its batches."""


def distributed(strategy: tf.distribute.Strategy, build: Build) -> Any:
    """Batches for each replica of a strategy.

    Args:
        strategy: the devices.
        build: makes the batches of one input pipeline.

    Returns:
        What can be iterated over, with an `element_spec`, as a dataset.
    """
    if _is_one_cpu(strategy):  # there is nowhere to copy batches to
        return build(tf.distribute.InputContext())
    return strategy.distribute_datasets_from_function(build)


def _is_one_cpu(strategy: tf.distribute.Strategy) -> bool:
    devices = strategy.extended.worker_devices
    return isinstance(strategy, tf.distribute.OneDeviceStrategy) and "CPU" in devices[0]
