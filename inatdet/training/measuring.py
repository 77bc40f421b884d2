"""Measures steps of training and validation, a checkpoint, and the memory of devices."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

import tensorflow as tf
from tqdm import tqdm

from inatdet.errors import InputError
from inatdet.training.accumulation import Batch
from inatdet.training.estimates import LEAST_STEPS, Measured, is_enough
from inatdet.training.trainer import Trainer


class Watched(Trainer):
    """A trainer that keeps the shape of the images of its last step, padding included."""

    shape: tf.Variable

    def next_train_inputs(self, iterator: Iterator[Batch]) -> tuple[Batch, ...]:
        """The batches of the next step."""
        batches = super().next_train_inputs(iterator)
        shapes = []
        for batch in batches:
            if "image" in batch:
                parts = self.strategy.experimental_local_results(batch["image"])
                shapes += [tf.shape(images)[1:3] for images in parts]
            else:  # features of images, which need not be there themselves
                sizes = self.strategy.experimental_local_results(batch["image_size"])
                shapes += [tf.reduce_max(size, axis=0) for size in sizes]
        self.shape.assign(tf.cast(tf.reduce_max(tf.stack(shapes), axis=0), tf.int64))
        return batches


def train_steps(trainer: Watched, most_steps: int, most_seconds: float) -> Measured:
    """Measures steps after the first one, in which the graph is built.

    Args:
        trainer: built to train.
        most_steps: how many, at least `LEAST_STEPS`.
        most_seconds: after how long to stop, if `LEAST_STEPS` have been made.
    """
    trainer.shape = tf.Variable([0, 0], dtype=tf.int64, trainable=False)  # int32 may be on a GPU
    # The loop of training, because its graph takes longer to build than that of a step.
    steps = trainer.create_train_loop_fn()
    iterator, one = iter(trainer.train_dataset), tf.constant(1)

    def taken() -> tuple[int, int]:
        steps(iterator, one)
        height, width = trainer.shape.numpy().tolist()
        return height, width

    with tqdm(total=1 + most_steps, unit=" steps", disable=None, leave=False) as bar:
        first = taken()
        bar.update()
        seconds: list[float] = []
        shapes = []
        while not is_enough(seconds, most_steps, most_seconds):
            start = time.monotonic()
            shapes.append(taken())
            seconds.append(time.monotonic() - start)
            bar.update()
    return Measured(seconds, shapes, [first])


def validation_steps(
    trainer: Trainer, images: int | None, most: tuple[int, float]
) -> tuple[float, list[float], int]:
    """Measures steps of a validation.

    Args:
        trainer: built to evaluate.
        images: of a validation; None if it is not known, when all steps are made.
        most: the number of steps, and the seconds after which to stop, as for `train_steps`.

    Returns:
        The seconds of the first step, in which the graph is built, those of further ones, and how
        many steps a validation has.
    """
    step = tf.function(trainer.eval_step)
    batch = trainer.config.task.validation_data.batch_size * trainer.strategy.num_replicas_in_sync
    steps = None if images is None else -(-images // batch)
    most_steps, most_seconds = most
    seconds: list[float] = []
    iterator = iter(trainer.eval_dataset)
    while steps is None or len(seconds) <= max(most_steps, LEAST_STEPS):
        if steps is not None and len(seconds) > LEAST_STEPS and sum(seconds) > most_seconds:
            break
        start = time.monotonic()
        try:
            step(iterator)
        except (StopIteration, tf.errors.OutOfRangeError):
            steps = len(seconds)  # groups of images that do not fill a batch make more of them
            break
        seconds.append(time.monotonic() - start)
    return sum(seconds[:1]), seconds[1:], len(seconds) if steps is None else steps


def write_checkpoint(trainer: Trainer, scratch: str) -> tuple[int, float]:
    """Writes a checkpoint.

    Args:
        trainer: whose weights and optimizer it holds.
        scratch: the folder in which a folder for it is made.

    Returns:
        Its size in bytes, and the seconds that writing took.

    Raises:
        InputError: it cannot be written there.
    """
    folder = os.path.join(scratch, "checkpoint")
    os.makedirs(folder)
    start = time.monotonic()
    try:
        trainer.checkpoint.write(os.path.join(folder, "ckpt"))
    except (OSError, tf.errors.OpError) as error:
        raise InputError(
            f"{scratch}: a checkpoint cannot be written there ({error}); name another folder for "
            "temporary files, with TMPDIR in the environment"
        ) from error
    seconds = time.monotonic() - start
    return sum(entry.stat().st_size for entry in os.scandir(folder)), seconds


def device_memory() -> dict[str, int]:
    """The most memory that each GPU has had so far, in bytes."""
    found: dict[str, int] = {}
    for device in tf.config.list_logical_devices("GPU"):
        name = device.name.removeprefix("/device:")
        with contextlib.suppress(ValueError):  # not all can say it
            found[name] = tf.config.experimental.get_memory_info(name)["peak"]
    return found
