"""Which processes a cluster on one machine has, and what tells each of them who it is."""

from __future__ import annotations

import collections
import json
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from inatdet.errors import InputError
from inatdet.training.cluster import ASYNCHRONOUS, CHIEF, EVALUATOR, SERVER, WORKER

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Plan:
    """Which processes to start.

    Attributes:
        command: what each process runs.
        strategy: `multi_worker_mirrored` or `parameter_server`.
        workers: how many compute gradients.
        servers: how many hold the weights, in asynchronous training.
        evaluator: whether another one validates checkpoints.
        gpus: the GPUs, as CUDA_VISIBLE_DEVICES names them; each worker has as many as the others.
        log_dir: where the processes' output goes.
    """

    command: Sequence[str]
    strategy: str
    workers: int
    log_dir: str
    servers: int = 1
    evaluator: bool = False
    gpus: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.workers < 1 or self.servers < 1:
            raise InputError("a cluster takes at least one worker and one server")
        if len(self.gpus) % self.workers:
            raise InputError(
                f"{len(self.gpus)} GPUs cannot be shared out among {self.workers} workers; each "
                "takes the same number of them"
            )

    @property
    def members(self) -> list[tuple[str, int]]:
        """Type and index of each process; the first one is that which saves."""
        counts = {WORKER: self.workers, EVALUATOR: int(self.evaluator)}
        if self.strategy == ASYNCHRONOUS:
            counts = {CHIEF: 1, SERVER: self.servers, **counts}
        return [(job, index) for job, count in counts.items() for index in range(count)]

    def starts_alone(self, job: str) -> bool:
        """Whether the others go on while such a process is started again."""
        return job == EVALUATOR or (job == WORKER and self.strategy == ASYNCHRONOUS)

    def addresses(self) -> dict[str, list[str]]:
        """Free addresses for all processes but evaluators, which nobody talks to."""
        jobs = [job for job, _ in self.members if job != EVALUATOR]
        addresses = collections.defaultdict(list)
        for job, port in zip(jobs, free_ports(len(jobs))):
            addresses[job].append(f"{_HOST}:{port}")
        return dict(addresses)

    def environment(
        self, job: str, index: int, addresses: Mapping[str, list[str]]
    ) -> dict[str, str]:
        """The variables that tell a process who it is, and which GPUs it has."""
        described = {"cluster": addresses, "task": {"type": job, "index": index}}
        each = len(self.gpus) // self.workers
        own = self.gpus[index * each : (index + 1) * each] if job == WORKER else []
        return {"TF_CONFIG": json.dumps(described), "CUDA_VISIBLE_DEVICES": ",".join(own)}


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nothing listens at; another program may still take one of them."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((_HOST, 0))
        return [one.getsockname()[1] for one in sockets]
