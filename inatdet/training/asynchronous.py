"""Asynchronous training, the paper's way: workers update weights that servers hold, unsynchronized.

The chief hands out steps and computes none. All steps of a loop are handed out at once, so that a
worker which has done one always finds the next; after the last, the chief waits until none is
running, and then reports and saves what does not change meanwhile. A worker that is lost in the
middle of a step gives it back, and another one does it again: updates happen at least once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from inatdet.errors import InputError, RunError
from inatdet.interruptions import Noted, deferred
from inatdet.networks.inception_v3 import BatchNorm
from inatdet.training.cluster import CHIEF, WORKER, Cluster, name_of
from inatdet.training.config import Experiment
from inatdet.training.meeting import answers
from inatdet.training.modes import WATCH

_LOOKED_AFTER = 2.0  # seconds between two looks after the chief
_GONE_AFTER = 60.0  # seconds without an answer after which the chief counts as gone
_GRACE = 25.0  # seconds in which the chief may save before a process that was asked to end does
_NOT_TAKEN = -1  # instead of a worker's number


def check(params: Experiment, mode: str = "train") -> None:
    """Raises InputError for a setting or a mode that asynchronous training cannot have."""
    if "eval" in mode:
        raise InputError(
            f"--mode={mode}: asynchronous training does not stop for validations; use "
            f"--mode=train, and --mode={WATCH} in a process of its own"
        )
    if params.runtime.mixed_precision_dtype == "float16":
        raise InputError(
            "runtime.mixed_precision_dtype is float16, whose losses must be scaled, which "
            "TensorFlow cannot do with parameter_server; use bfloat16 or float32"
        )
    for name, value in _settings_called("batch_norm", params.task.as_dict(), "task."):
        if value == BatchNorm.SYNCHRONIZED:
            raise InputError(
                f"{name} is {value}, which is impossible with parameter_server: workers do not "
                f"meet; use {BatchNorm.TRAINED} or {BatchNorm.FROZEN}"
            )


def _settings_called(name: str, group: dict[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found = []
    for key, value in group.items():
        if isinstance(value, dict):
            found += _settings_called(name, value, f"{prefix}{key}.")
        elif key == name:
            found.append((prefix + key, value))
    return found


class Steps:
    """Hands out the steps of a loop to the workers, counts who took them, and how old they were.

    Args:
        coordinator: of the workers.
        train_step: takes an iterator and makes one step.
        updates: counts the updates of the weights, as an optimizer's `iterations`. (A step's own
            counter does not wait for its update.)
        asked_to_end: bool variable; when it is true, steps that have not begun are not taken.

    Attributes:
        taken: the number of steps by the number of the worker.
        age: mean number of updates by other workers between a step's beginning, when it reads the
            weights, and its own update, over the steps of the last loop.
    """

    def __init__(
        self,
        coordinator: tf.distribute.coordinator.ClusterCoordinator,
        train_step: Callable[[Any], None],
        updates: tf.Variable,
        asked_to_end: tf.Variable,
    ):
        self.taken: Counter[int] = Counter()
        self.age = 0.0
        self._coordinator = coordinator

        @tf.function
        def one_step(iterator) -> tf.Tensor:
            number = tf.distribute.coordinator.experimental_get_current_worker_index()
            worker, age = tf.constant(_NOT_TAKEN, tf.int64), tf.constant(0, tf.int64)
            if tf.logical_not(asked_to_end):
                before = updates.read_value()
                with tf.name_scope(""):  # or the names of all summaries would begin with cond/
                    train_step(iterator)
                worker = number
                age = updates.read_value() - before - 1
            return tf.stack([worker, age])

        self._one_step = one_step

    def __call__(self, iterator: Any, num_steps: tf.Tensor) -> None:
        """Makes a number of steps, and waits for them."""
        handed_out = [
            self._coordinator.schedule(self._one_step, args=(iterator,))
            for _ in range(int(num_steps))
        ]
        self._coordinator.join()
        steps = [one.fetch() for one in handed_out]
        taken = [(int(worker), int(age)) for worker, age in steps if worker != _NOT_TAKEN]
        self.taken.update(worker for worker, _ in taken)
        self.age = sum(age for _, age in taken) / max(len(taken), 1)

    def named(self) -> dict[str, float]:
        """The counts and the age, by names for TensorBoard."""
        counts = {f"worker_steps/{worker}": float(self.taken[worker]) for worker in self.taken}
        return counts | {"gradient_age": self.age}

    def text(self) -> str:
        """`worker 0 took 12 steps, worker 1 took 13`."""
        counts = [f"worker {worker} took {count}" for worker, count in sorted(self.taken.items())]
        return ", ".join([f"{counts[0]} steps", *counts[1:]]) if counts else ""


def per_worker_dataset(
    coordinator: tf.distribute.coordinator.ClusterCoordinator,
    build: Callable[..., tf.data.Dataset],
    *args: Any,
    **settings: Any,
) -> Any:
    """A dataset on each worker, which reads its own part of the files.

    Args:
        coordinator: of the workers.
        build: from the other arguments and an `input_context` to batches.
        *args: handed on.
        **settings: handed on.
    """
    strategy = coordinator.strategy
    cpus = tf.config.list_logical_devices("CPU")
    num_workers = len([cpu for cpu in cpus if f"/job:{WORKER}/" in cpu.name])

    # TensorFlow takes all workers for the same, and gives every one the whole.
    def of_worker(input_context: tf.distribute.InputContext) -> tf.data.Dataset:
        number = tf.distribute.coordinator.experimental_get_current_worker_index()
        part = tf.distribute.InputContext(num_workers, number, input_context.num_replicas_in_sync)
        return build(*args, input_context=part, **settings)

    def distribute() -> Any:
        return strategy.distribute_datasets_from_function(of_worker)

    return coordinator.create_per_worker_dataset(tf.function(distribute))


def serve(
    cluster: Cluster, is_done: Callable[[], bool], seconds: float, notify: Callable[[str], None]
) -> None:
    """Holds weights, or computes gradients, for the chief, as long as it is there.

    TensorFlow's own server never ends.

    Args:
        cluster: the processes; this one is a worker or a parameter server.
        is_done: says whether training is done, when the chief has gone.
        seconds: to wait for the chief, at most.
        notify: receives remarks.

    Raises:
        RunError: the chief never came, or went before training was done.
        KeyboardInterrupt: this process was asked to end; it does so when the chief has saved.
    """
    if cluster.job != WORKER:
        tf.config.set_visible_devices([], "GPU")  # weights are held in the machine's memory
    settings = tf.compat.v1.ConfigProto()
    settings.gpu_options.allow_growth = True
    with deferred() as asked:
        server = tf.distribute.Server(
            tf.train.ClusterSpec({job: list(hosts) for job, hosts in cluster.addresses.items()}),
            job_name=cluster.job,
            task_index=cluster.index,
            config=settings,
        )
        notify(
            f"{name_of(cluster.job, cluster.index)} serves at "
            f"{cluster.address(cluster.job, cluster.index)}"
        )
        _watch_chief(cluster, is_done, seconds, asked)
        del server


def _watch_chief(
    cluster: Cluster,
    is_done: Callable[[], bool],
    seconds: float,
    asked: Sequence[Noted],
) -> None:
    """Returns when the chief is done; when asked to end, after it has ended or had time to.

    Asked again, it returns at once.
    """
    chief = cluster.address(CHIEF, 0)
    seen, last = False, time.monotonic()
    while True:
        now = time.monotonic()
        if answers(chief):
            seen, last = True, now
        elif asked or (seen and is_done()):
            return
        elif now - last > (_GONE_AFTER if seen else seconds):
            if is_done():
                return
            what = "has gone" if seen else f"did not answer within {seconds:.0f} s"
            raise RunError(
                f"the chief ({chief}) {what}, and training is not done; start this process again, "
                "together with the chief"
            )
        if len(asked) > 1 or (asked and now - asked[0].at > _GRACE):
            return
        time.sleep(_LOOKED_AFTER / 10 if asked else _LOOKED_AFTER)
