"""The devices that a model runs on, and the precision that it computes in."""

from __future__ import annotations

import tensorflow as tf
from official.common import distribute_utils
from official.core import config_definitions as cfg
from official.modeling import performance

from inatdet.errors import InputError


def set_precision(runtime: cfg.RuntimeConfig) -> None:
    """Sets the precision that the networks of this process compute in; weights are always float32.

    Args:
        runtime: `mixed_precision_dtype` is `bfloat16`, `float16`, `float32`, or empty for float32.
    """
    performance.set_mixed_precision_policy(runtime.mixed_precision_dtype or "float32")


def strategy_of(runtime: cfg.RuntimeConfig) -> tf.distribute.Strategy:
    """The devices that the settings ask for.

    Args:
        runtime: with `num_gpus` 0, the CPU is used.

    Returns:
        A strategy of one device, or of all of them mirrored.

    Raises:
        InputError: if there are fewer GPUs than asked for.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if runtime.num_gpus > len(gpus):
        raise InputError(
            f"runtime.num_gpus is {runtime.num_gpus}, but TensorFlow sees {len(gpus)}; "
            f"set NUM_GPUS={len(gpus)}"
        )
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    kind = runtime.distribution_strategy
    if kind == "mirrored" and runtime.num_gpus <= 1:
        kind = "one_device"
    return distribute_utils.get_distribution_strategy(
        distribution_strategy=kind,
        num_gpus=runtime.num_gpus,
        all_reduce_alg=runtime.all_reduce_alg,
        num_packs=runtime.num_packs,
    )
