"""Processes that take each step together, and so must begin with the same one."""

from __future__ import annotations

import tensorflow as tf

from inatdet.errors import InputError


def takes_steps(strategy: tf.distribute.Strategy) -> bool:
    """Whether several processes take each step together."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def check_step(strategy: tf.distribute.Strategy, step: tf.Variable, model_dir: str) -> None:
    """Checks that all processes found the same checkpoint; each of them calls this.

    Args:
        strategy: of all processes.
        step: the step counter of this one.
        model_dir: where it looked for a checkpoint.

    Raises:
        InputError: they did not.
    """
    if not takes_steps(strategy):
        return
    own = strategy.run(lambda: tf.reshape(step.read_value(), [1]))
    steps = set(strategy.gather(own, axis=0).numpy().tolist())
    if len(steps) > 1:
        raise InputError(
            f"{model_dir}: the processes of the cluster found checkpoints of different steps there "
            f"({', '.join(map(str, sorted(steps)))}); all of them must see the same folder"
        )


def of_first(strategy: tf.distribute.Strategy, number: int) -> int:
    """What the first of all processes gives; each of them calls this."""
    if not takes_steps(strategy):
        return number
    own = strategy.run(lambda: tf.constant([number], tf.int64))
    return int(strategy.gather(own, axis=0)[0])
