"""What a training run reports as it proceeds, and when it must stop."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from inatdet.errors import RunError


def duration(seconds: float) -> str:
    """`75` is "1 min 15 s"; hours and days come with one smaller unit."""
    seconds = max(0, round(seconds))
    parts = []
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        parts.append((count, name))
    first = next((i for i, (count, _) in enumerate(parts) if count), len(parts) - 1)
    shown = [part for part in parts[first : first + 2] if part[0]] or parts[-1:]
    return " ".join(f"{count} {name}" for count, name in shown)


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


class StopOnNonFiniteLoss:
    """An Orbit train action that ends the run before a model with non-finite losses is saved.

    Args:
        global_step: the step counter.
        last_checkpoint: gives the newest checkpoint's path, or None.
    """

    def __init__(self, global_step: tf.Variable, last_checkpoint: Callable[[], str | None]):
        self._global_step = global_step
        self._last_checkpoint = last_checkpoint

    def __call__(self, output: dict[str, tf.Tensor]) -> None:
        """Checks every loss of a loop.

        Raises:
            RunError: if one is infinite or NaN.
        """
        losses = {name: value for name, value in output.items() if "loss" in name}
        bad = [name for name, value in losses.items() if not np.isfinite(float(value))]
        if not bad:
            return
        saved = self._last_checkpoint()
        raise RunError(
            f"not finite by step {int(self._global_step.numpy())}: {', '.join(bad)}; "
            f"{f'the last checkpoint is {saved}' if saved else 'nothing was saved yet'}; "
            "lower the learning rate or use a warm-up, and run the same command again"
        )


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
