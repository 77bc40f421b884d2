"""What a training run reports as it proceeds, and when it must stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from inatdet.errors import RunError
from inatdet.tfrecords.left_out import LeftOut
from inatdet.training.durations import duration

_NAMED = 32  # images of a step that a message names at most


def losses_text(output: dict[str, tf.Tensor], total: str) -> str:
    """`1.500 (classes 1.000, boxes 0.500)`: the loss called `total` and what it is made of.

    Where there are accuracies, they follow: ` | top_1 12.5%`.
    """
    parts = _listed(output, "loss/", lambda value: f"{value:.3f}")
    shares = _listed(output, "accuracy/", lambda value: f"{100 * value:.1f}%")
    return f"{float(output[total]):.3f} ({parts})" + (f" | {shares}" if shares else "")


def _listed(output: dict[str, tf.Tensor], group: str, shown: Callable[[float], str]) -> str:
    return ", ".join(
        f"{name.removeprefix(group)} {shown(float(value))}"
        for name, value in output.items()
        if name.startswith(group)
    )


class BadLossError(RunError):
    """A loss is not finite, or larger than it may be.

    Attributes:
        what: which one, after which images.
    """

    def __init__(self, what: str, then: str):
        super().__init__(f"{what}; {then}")
        self.what = what


class StopOnBadLoss:
    """An Orbit train action that ends the run before a model with such losses is saved.

    Args:
        global_step: the step counter.
        last_checkpoint: gives the newest checkpoint's path, or None.
        images: gives the ids of the images of the steps that may be why, by step.
        largest: what the training loss may be.
        from_step: from which step on it may not be larger.
    """

    def __init__(
        self,
        global_step: tf.Variable,
        last_checkpoint: Callable[[], str | None],
        images: Callable[[], Mapping[int, Sequence[int]]] = dict,
        largest: float = math.inf,
        from_step: int = 0,
    ):
        self._global_step = global_step
        self._last_checkpoint = last_checkpoint
        self._images = images
        self._largest, self._from_step = largest, from_step

    def __call__(self, output: dict[str, tf.Tensor]) -> None:
        """Checks every loss of a loop.

        Raises:
            BadLossError: if one is infinite, NaN, or too large.
        """
        losses = {name: float(value) for name, value in output.items() if "loss" in name}
        bad = [name for name, value in losses.items() if not np.isfinite(value)]
        step = int(self._global_step.numpy())
        what = f"not finite by step {step}: {', '.join(bad)}"
        if not bad:
            total = losses.get("training_loss", 0.0)
            if step < self._from_step or total <= self._largest:
                return
            what = f"by step {step}, training_loss is {total:.3g}, above {self._largest:g}"
        saved = self._last_checkpoint()
        raise BadLossError(
            "; ".join([what, *_of_images(self._images())]),
            f"{f'the last checkpoint is {saved}' if saved else 'nothing was saved yet'}; "
            "lower the learning rate or use a warm-up, and run the same command again, or set "
            "trainer.recovery_max_trials to go on without such batches",
        )


def _of_images(steps: Mapping[int, Sequence[int]]) -> list[str]:
    """`step 7 saw the images 3, 4`, for each step."""
    named = []
    for step, ids in steps.items():
        if ids:
            more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
            images = f"image{'s' if len(ids) > 1 else ''} {', '.join(map(str, ids[:_NAMED]))}"
            named.append(f"step {step} saw the {images}{more}")
    return named


class LeftOutRemark:
    """A train action that says which damaged records were left out, when there are new ones.

    Args:
        left_out: knows them.
        notify: receives the remarks.
    """

    def __init__(self, left_out: LeftOut, notify: Callable[[str], None]):
        self._left_out, self._notify = left_out, notify
        self._told = 0

    def __call__(self, output: dict[str, tf.Tensor]) -> None:
        """Speaks after a loop."""
        del output
        count = self._left_out.count
        if count > self._told:
            images = "image is" if count == 1 else "images are"
            self._notify(
                f"warning: {count} damaged {images} left out so far: {self._left_out}; `inatdet "
                "check --records` lists all damage"
            )
        self._told = count


class ProgressLine:
    """An Orbit train action that reports each loop in a line: step, losses, images/s, time left.

    It also adds `images_per_second` to the output, so that TensorBoard shows it.

    Args:
        global_step: the step counter.
        total_steps: where the run ends.
        images_per_step: over all replicas.
        notify: receives the lines.
    """

    def __init__(
        self,
        global_step: tf.Variable,
        total_steps: int,
        images_per_step: int,
        notify: Callable[[str], None],
    ):
        self._global_step = global_step
        self._total = total_steps
        self._images_per_step = images_per_step
        self._notify = notify
        self._last: tuple[int, float] | None = None

    def start(self) -> None:
        """Starts the clock; the first loop's time includes building the graph."""
        self._last = (int(self._global_step.numpy()), time.monotonic())

    def __call__(self, output: dict[str, tf.Tensor]) -> None:
        """Reports the loop that ended."""
        if self._last is None:
            self.start()
            return
        step, now = int(self._global_step.numpy()), time.monotonic()
        steps = step - self._last[0]
        if not steps:  # the run was asked to end before any began
            return
        seconds = (now - self._last[1]) / steps
        self._last = (step, now)
        output["images_per_second"] = tf.constant(self._images_per_step / max(seconds, 1e-9))
        self._notify(
            f"step {step:>{len(str(self._total))}}/{self._total}"
            f" | loss {losses_text(output, 'training_loss')}"
            f" | {float(output['images_per_second']):.1f} images/s"
            f" | {duration((self._total - step) * seconds)} left"
        )
