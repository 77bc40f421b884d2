"""What a training run will take: numbers that were measured, and what follows from them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

_BLOCKS = 5
_CONFIDENCE = 0.95
LEAST_STEPS = 2 * _BLOCKS
"""How many steps must be measured: two in each block."""


def is_enough(seconds: Sequence[float], most_steps: int, most_seconds: float) -> bool:
    """Whether to stop measuring, for which there must be `LEAST_STEPS`.

    Args:
        seconds: of the steps measured so far.
        most_steps: after how many to stop.
        most_seconds: after how long to stop.
    """
    count = len(seconds)
    return count >= LEAST_STEPS and (count >= most_steps or sum(seconds) > most_seconds)


@dataclass(frozen=True)
class Span:
    """How long something may take, in seconds.

    Attributes:
        likely: the best guess.
        least: what it may take at least.
        most: what it may take at most.
    """

    likely: float
    least: float
    most: float

    @classmethod
    def exactly(cls, seconds: float) -> Span:
        """One number, of something measured only once."""
        return cls(seconds, seconds, seconds)

    def __add__(self, other: Span) -> Span:
        return Span(self.likely + other.likely, self.least + other.least, self.most + other.most)

    def times(self, count: float) -> Span:
        """So many of them, one after another."""
        return Span(self.likely * count, self.least * count, self.most * count)


NOTHING = Span.exactly(0.0)


def span_of_mean(seconds: Sequence[float]) -> Span:
    """What the mean of many more steps may be.

    Steps that follow one another are alike: a machine is busy for a while, and batches of one shape
    come together. So the means of five blocks of consecutive steps are compared instead of single
    steps, and the range is the 95% interval of Student's t around the mean of all (the method of
    batch means; Law, "Simulation Modeling and Analysis", section 9.5.3). No mean can be less than
    the fastest step.

    Args:
        seconds: of measured steps, in order.

    Raises:
        ValueError: there are fewer than two.
    """
    values = np.asarray(seconds, float)
    if len(values) < 2:
        raise ValueError("one step says nothing about the spread of more")
    means = [block.mean() for block in np.array_split(values, min(_BLOCKS, len(values)))]
    quantile = stdtrit(len(means) - 1, (1 + _CONFIDENCE) / 2)
    margin = float(quantile * np.std(means, ddof=1) / math.sqrt(len(means)))
    mean = float(values.mean())
    return Span(mean, max(mean - margin, float(values.min())), mean + margin)


@dataclass(frozen=True)
class ShapeTime:
    """The measured steps whose images have one shape.

    Attributes:
        height: of the images, with padding, in pixels.
        width: likewise.
        steps: how many steps there were.
        seconds: the median of their times.
    """

    height: int
    width: int
    steps: int
    seconds: float


@dataclass(frozen=True)
class Measured:
    """Measured steps of training.

    Attributes:
        seconds: of each step.
        shapes: the height and width of the images of each step.
        seen: the shapes of the steps before them.
    """

    seconds: Sequence[float]
    shapes: Sequence[tuple[int, int]]
    seen: Sequence[tuple[int, int]] = ()

    @property
    def is_first(self) -> list[bool]:
        """Which steps were the first with images of their shape; these take longer."""
        seen, first = set(self.seen), []
        for shape in self.shapes:
            first.append(shape not in seen)
            seen.add(shape)
        return first

    @property
    def usual(self) -> list[float]:
        """The times of the steps that more will be like.

        Those that were the first of their shape are left out, unless too few are left: then new
        shapes come so often that they are the usual case.
        """
        usual = [taken for taken, first in zip(self.seconds, self.is_first) if not first]
        return usual if len(usual) >= LEAST_STEPS else list(self.seconds)

    def by_shape(self) -> tuple[ShapeTime, ...]:
        """One entry per shape, from small images to large ones."""
        times: dict[tuple[int, int], list[float]] = {}
        for shape, taken in zip(self.shapes, self.seconds):
            times.setdefault(shape, []).append(taken)
        by_pixels = sorted(times, key=lambda shape: (math.prod(shape), shape))
        return tuple(
            ShapeTime(*shape, len(times[shape]), float(np.median(times[shape])))
            for shape in by_pixels
        )


def span_of(seconds: Sequence[float], first: float) -> Span:
    """What a step takes, however few were measured.

    Args:
        seconds: of measured steps, in order.
        first: of the one before them, in which the graph was built; it stands in where there are
            none.
    """
    if len(seconds) > 1:
        return span_of_mean(seconds)
    return Span.exactly(seconds[0] if seconds else first)


@dataclass(frozen=True)
class Preparation:
    """What is computed once, before the first step, and kept on disk.

    Attributes:
        what: is computed, in a word.
        images: of how many images.
        bytes: that must still be written; 0 if all is there.
        free_bytes: of the disk that they go to.
        time: that it takes.
    """

    what: str
    images: int
    bytes: int
    free_bytes: int
    time: Span


def saved_steps(first: int, last: int, intervals: Sequence[int]) -> int:
    """How many checkpoints a run saves.

    Args:
        first: the step that it begins with.
        last: the step that it ends with, which is saved in any case.
        intervals: after how many steps it saves: those of checkpoints and, counted from the first
            step, those of validations.
    """
    if first >= last:
        return 0
    checkpoints, *others = intervals
    steps = set(range(first - first % checkpoints + checkpoints, last, checkpoints))
    for interval in others:
        steps.update(range(first + interval, last, interval))
    return len(steps) + 1


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What a training run will take here. All sizes are in bytes, all times in seconds.

    Attributes:
        mode: what the run does, one of `inatdet.training.modes.MODES`.
        images_per_epoch: how many images, or boxes, an epoch of training shows; None if the
            records do not say it.
        images_per_step: over all replicas.
        first_step: where the run begins; above 0 if it goes on.
        last_step: where it ends.
        start: from the start of the program to the end of the first step, or of the first
            validation's first step, where nothing is trained.
        step: of each further step.
        measured_steps: how many steps `step` comes from.
        shapes: the shapes of their images.
        validations: how many there are.
        validation_images: how many images each sees; None if the records do not say it.
        validation: of each.
        checkpoints: how many are saved.
        checkpoint_bytes: of each.
        saving: of each checkpoint, on the disk of temporary files.
        disk_bytes: of the checkpoints that there are at the same time, at most.
        free_bytes: of the disk that they go to; None if nobody said where.
        memory_bytes: the most that this process had.
        device_memory_bytes: the most that each GPU had, by its name.
        cached_bytes: of the records that are kept in memory besides, once all have been read.
        preparation: what is computed before the first step, and kept; None if nothing is.
    """

    mode: str
    images_per_epoch: float | None
    images_per_step: int
    first_step: int
    last_step: int
    start: float
    step: Span
    measured_steps: int
    shapes: tuple[ShapeTime, ...]
    validations: int
    validation_images: int | None
    validation: Span
    checkpoints: int
    checkpoint_bytes: int
    saving: float
    disk_bytes: int
    free_bytes: int | None
    memory_bytes: int
    device_memory_bytes: Mapping[str, int]
    cached_bytes: int
    preparation: Preparation | None = None

    @property
    def steps(self) -> int:
        """How many steps are left."""
        return max(self.last_step - self.first_step, 0)

    @property
    def training(self) -> Span:
        """Of all steps that are left, the first one apart."""
        return self.step.times(max(self.steps - 1, 0))

    @property
    def total(self) -> Span:
        """Of the whole run."""
        seconds = self.start + self.saving * self.checkpoints
        prepared = self.preparation.time if self.preparation else NOTHING
        trained = self.training + self.validation.times(self.validations)
        return prepared + trained + Span.exactly(seconds)

    def epochs(self, steps: int) -> float | None:
        """How many epochs so many steps are."""
        if not self.images_per_epoch:
            return None
        return steps * self.images_per_step / self.images_per_epoch

    def as_dict(self) -> dict[str, Any]:
        """All of it, as JSON takes it."""
        return dataclasses.asdict(self) | {
            "steps": self.steps,
            "epochs": self.epochs(self.last_step),
            "epochs_left": self.epochs(self.steps),
            "training": dataclasses.asdict(self.training),
            "total": dataclasses.asdict(self.total),
        }
