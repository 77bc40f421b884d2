"""Which processes train together, and which of them this one is.

A cluster is described as TensorFlow's users describe it, by the environment variable `TF_CONFIG`;
or by Slurm; or by `runtime.worker_hosts` and `runtime.task_index`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inatdet.errors import InputError

if TYPE_CHECKING:
    from official.core import config_definitions as cfg

SYNCHRONOUS = "multi_worker_mirrored"
ASYNCHRONOUS = "parameter_server"
STRATEGIES = (SYNCHRONOUS, ASYNCHRONOUS)
"""The values of `runtime.distribution_strategy` that take several processes."""

CHIEF, WORKER, SERVER, EVALUATOR = "chief", "worker", "ps", "evaluator"
JOBS = (CHIEF, WORKER, SERVER, EVALUATOR)
"""What a process of a cluster may be; the names are TensorFlow's."""

_START = "start one with inatdet launch, or see docs/distributed.md"
_SLURM_PORT = 8888  # of the first process of a machine; the next ones follow


@dataclass(frozen=True)
class Cluster:
    """The processes of a cluster, and which of them this one is.

    Evaluators are not among the processes: TensorFlow would wait for them for ever.

    Attributes:
        addresses: of the processes of each job, as `host:port`.
        job: of this process.
        index: of this process within its job.
    """

    addresses: Mapping[str, tuple[str, ...]]
    job: str
    index: int

    @property
    def evaluates(self) -> bool:
        """Whether this process watches checkpoints, and takes no part in training."""
        return self.job == EVALUATOR

    @property
    def serves(self) -> bool:
        """Whether this process does what the chief of asynchronous training asks of it."""
        return SERVER in self.addresses and self.job in (WORKER, SERVER)

    @property
    def is_first(self) -> bool:
        """Whether this process writes what all others read."""
        return self.members[0] == (self.job, self.index)

    @property
    def members(self) -> list[tuple[str, int]]:
        """All processes: the chief, or else the first worker, is the first."""
        return [(job, index) for job in JOBS for index in range(len(self.addresses.get(job, ())))]

    @property
    def num_workers(self) -> int:
        """How many processes compute gradients."""
        chiefs = 0 if SERVER in self.addresses else len(self.addresses.get(CHIEF, ()))
        return chiefs + len(self.addresses.get(WORKER, ()))

    def address(self, job: str, index: int) -> str:
        """The `host:port` of a process."""
        return self.addresses[job][index]


def name_of(job: str, index: int) -> str:
    """What messages call a process: `worker 1`."""
    return "the chief" if job == CHIEF else f"{'server' if job == SERVER else job} {index}"


def of(runtime: cfg.RuntimeConfig, environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """The cluster that this process belongs to.

    Args:
        runtime: the settings.
        environment: the environment variables.

    Returns:
        The cluster; None where the settings ask for a single process.

    Raises:
        InputError: the settings ask for a cluster and there is none, or the other way round, or its
            description is wrong.
    """
    strategy, text = runtime.distribution_strategy, environment.get("TF_CONFIG", "")
    found = parsed(text) if text else None
    if found and found.evaluates:
        return found
    if strategy not in STRATEGIES:
        if found and len(found.members) > 1:
            raise InputError(
                f"TF_CONFIG describes a cluster of {len(found.members)} processes, but "
                f"runtime.distribution_strategy is {strategy}, which is one process; set it to "
                f"{' or '.join(STRATEGIES)}, or unset TF_CONFIG"
            )
        return None
    if not found and runtime.worker_hosts:
        found = _of_hosts(runtime.worker_hosts, runtime.task_index)
    if not found and "SLURM_PROCID" in environment:
        found = _of_slurm(strategy)
    if not found:
        raise InputError(
            f"runtime.distribution_strategy is {strategy}, which takes a cluster, and there is no "
            f"TF_CONFIG that describes one; {_START}"
        )
    check(found, strategy)
    return found


def check(cluster: Cluster, strategy: str) -> None:
    """Raises InputError unless a cluster has the processes that a strategy takes."""
    count = {job: len(cluster.addresses.get(job, ())) for job in JOBS}
    if strategy == SYNCHRONOUS and count[SERVER]:
        raise InputError(
            f"TF_CONFIG has parameter servers (ps), but runtime.distribution_strategy is "
            f"{SYNCHRONOUS}; set it to {ASYNCHRONOUS}, or leave them out"
        )
    if strategy == ASYNCHRONOUS:
        missing = [job for job in (CHIEF, WORKER, SERVER) if not count[job]]
        if missing:
            raise InputError(
                f"runtime.distribution_strategy is {ASYNCHRONOUS}, and the cluster has no "
                f"{' and no '.join(missing)}; it takes one chief, which computes no gradients, and "
                f"at least one worker and one ps; {_START}"
            )
    if count[CHIEF] > 1:
        raise InputError(f"the cluster has {count[CHIEF]} chiefs; it must have one")


def parsed(text: str) -> Cluster:
    """The cluster that a `TF_CONFIG` describes.

    Args:
        text: JSON such as `{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker",
            "index": 0}}`.

    Raises:
        InputError: it does not describe one.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise _wrong(f"is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise _wrong("is not an object")
    jobs, task = content.get("cluster", {}), content.get("task", {})
    if not isinstance(jobs, dict) or not isinstance(task, dict):
        raise _wrong("has a cluster or a task that is not an object")
    job, index = task.get("type", ""), task.get("index", 0)
    for name in (*jobs, job):
        if name not in JOBS:
            raise _wrong(f"has a process of type {name!r}; it must be one of {', '.join(JOBS)}")
    if isinstance(index, str) and index.isdecimal():  # as Kubernetes writes it
        index = int(index)
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise _wrong(f"has the task index {index!r}; it must be a whole number from 0")
    addresses = {name: _checked(name, jobs[name]) for name in JOBS if jobs.get(name)}
    addresses.pop(EVALUATOR, None)
    known = [address for job_addresses in addresses.values() for address in job_addresses]
    for address in known:
        if known.count(address) > 1:
            raise _wrong(f"has the address {address} twice")
    if job != EVALUATOR and index >= len(addresses.get(job, ())):
        raise _wrong(f"has the task {job} {index}, which is not among its cluster's processes")
    return Cluster(addresses, job, index)


def _checked(job: str, addresses: object) -> tuple[str, ...]:
    if not isinstance(addresses, list):
        raise _wrong(f"has no list of addresses of {job}")
    for address in addresses:
        host, _, port = str(address).rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise _wrong(f"has the address {address!r} of {job}; it must be host:port")
    return tuple(addresses)


def _wrong(problem: str) -> InputError:
    return InputError(f"the environment variable TF_CONFIG {problem}; see docs/distributed.md")


def _of_hosts(hosts: str, index: int) -> Cluster:
    addresses = _checked(WORKER, [host.strip() for host in hosts.split(",")])
    if not 0 <= index < len(addresses):
        raise InputError(
            f"runtime.task_index is {index}; with {len(addresses)} runtime.worker_hosts it must be "
            f"from 0 to {len(addresses) - 1}, another one for each process"
        )
    return Cluster({WORKER: addresses}, WORKER, index)


def _of_slurm(strategy: str) -> Cluster:
    """The processes of a job step: the first one is the chief, the second the parameter server."""
    import tensorflow as tf

    count = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
    jobs = {WORKER: count}
    if strategy == ASYNCHRONOUS:
        if count < 3:
            raise InputError(
                f"the Slurm step has {count} tasks; {ASYNCHRONOUS} takes at least 3: a chief, a "
                "parameter server and a worker"
            )
        jobs = {CHIEF: 1, SERVER: 1, WORKER: count - 2}
    # Slurm itself gives each process its GPUs. The resolver, which would, fails where there are
    # none, so it is told of one for each process and of nothing to do about it.
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
        jobs, port_base=_SLURM_PORT, gpus_per_node=count, gpus_per_task=1, auto_set_gpu=False
    )
    addresses = resolver.cluster_spec().as_dict()
    job, index = resolver.get_task_info()
    return Cluster({name: tuple(addresses[name]) for name in JOBS if name in addresses}, job, index)
