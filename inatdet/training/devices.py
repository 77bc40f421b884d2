"""The devices that a model runs on, and the precision that it computes in."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from official.common import distribute_utils
from official.core import config_definitions as cfg
from official.modeling import performance

from inatdet.errors import InputError
from inatdet.training import meeting
from inatdet.training.cluster import ASYNCHRONOUS, CHIEF, STRATEGIES, SYNCHRONOUS, WORKER, Cluster

ONE_PROCESS = ("one_device", "mirrored", "off", "tpu")
_REDUCTIONS = {
    "ring": tf.distribute.experimental.CommunicationImplementation.RING,
    "nccl": tf.distribute.experimental.CommunicationImplementation.NCCL,
    None: tf.distribute.experimental.CommunicationImplementation.AUTO,
}


def set_precision(runtime: cfg.RuntimeConfig) -> None:
    """Sets the precision that the networks of this process compute in; weights are always float32.

    Args:
        runtime: `mixed_precision_dtype` is `bfloat16`, `float16`, `float32`, or empty for float32.
    """
    performance.set_mixed_precision_policy(runtime.mixed_precision_dtype or "float32")


def strategy_of(runtime: cfg.RuntimeConfig) -> tf.distribute.Strategy:
    """The devices of this process that the settings ask for.

    Args:
        runtime: with `num_gpus` 0, the CPU is used. A model that a cluster trained is applied with
            the devices of one process.

    Returns:
        A strategy of one device, or of all of them mirrored.

    Raises:
        InputError: if there are fewer GPUs than asked for, or no such strategy.
    """
    kind = runtime.distribution_strategy
    if kind not in (*ONE_PROCESS, *STRATEGIES):
        raise InputError(
            f"runtime.distribution_strategy is {kind!r}; it must be one of "
            f"{', '.join((*ONE_PROCESS, *STRATEGIES))}"
        )
    _take_gpus(runtime.num_gpus)
    if runtime.num_gpus <= 1 and kind in ("mirrored", *STRATEGIES):
        kind = "one_device"
    elif kind in STRATEGIES:
        kind = "mirrored"
    if kind == "one_device" and runtime.num_gpus > 1:
        raise InputError(
            f"runtime.distribution_strategy is one_device and runtime.num_gpus is "
            f"{runtime.num_gpus}; use mirrored, or one GPU"
        )
    return distribute_utils.get_distribution_strategy(
        distribution_strategy=kind,
        num_gpus=runtime.num_gpus,
        all_reduce_alg=runtime.all_reduce_alg,
        num_packs=runtime.num_packs,
    )


def strategy_in(
    cluster: Cluster, runtime: cfg.RuntimeConfig, seconds: float, notify: Callable[[str], None]
) -> tf.distribute.Strategy:
    """The devices of a cluster; every process that calls this waits for the others.

    Args:
        cluster: the processes; this one does not serve.
        runtime: `num_gpus` is the number of GPUs of each worker.
        seconds: to wait, at most.
        notify: is told whom it waits for, if that takes long.

    Raises:
        InputError: there are fewer GPUs than asked for.
        RunError: not all processes came.
    """
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({job: list(hosts) for job, hosts in cluster.addresses.items()}),
        task_type=cluster.job,
        task_id=cluster.index,
        num_accelerators={"GPU": runtime.num_gpus},
        rpc_layer="grpc",
    )
    if runtime.distribution_strategy == SYNCHRONOUS:
        if runtime.all_reduce_alg not in _REDUCTIONS:
            raise InputError(
                f"runtime.all_reduce_alg is {runtime.all_reduce_alg!r}; with {SYNCHRONOUS} it must "
                "be ring, nccl, or not set"
            )
        _take_gpus(runtime.num_gpus)
        meeting.meet(cluster, seconds, notify)
        return tf.distribute.MultiWorkerMirroredStrategy(
            resolver,
            tf.distribute.experimental.CommunicationOptions(
                implementation=_REDUCTIONS[runtime.all_reduce_alg]
            ),
        )
    assert (runtime.distribution_strategy, cluster.job) == (ASYNCHRONOUS, CHIEF)
    tf.config.set_visible_devices([], "GPU")  # the chief computes no gradients
    meeting.wait_for_servers(cluster, seconds, notify)
    strategy = tf.distribute.ParameterServerStrategy(resolver)
    gpus = [gpu for gpu in tf.config.list_logical_devices("GPU") if f"job:{WORKER}" in gpu.name]
    if len(gpus) < runtime.num_gpus * cluster.num_workers:
        raise InputError(
            f"runtime.num_gpus is {runtime.num_gpus}, but the {cluster.num_workers} workers have "
            f"{len(gpus)} GPUs together; set it to the number of GPUs of each worker"
        )
    return strategy


def _take_gpus(count: int) -> None:
    """Checks that there are so many GPUs, and takes their memory only as it is needed."""
    gpus = tf.config.list_physical_devices("GPU")
    if count > len(gpus):
        raise InputError(
            f"runtime.num_gpus is {count}, but TensorFlow sees {len(gpus)}; set "
            f"NUM_GPUS={len(gpus)}"
        )
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
