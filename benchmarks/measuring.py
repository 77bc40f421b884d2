"""What the benchmarks share: an invented batch, medians, peaks of memory, tables of targets."""

from __future__ import annotations

import dataclasses
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np


def invented_batch(
    batch_size: int, height: int, width: int, num_classes: int, boxes: int = 2
) -> dict[str, np.ndarray]:
    """Noise with boxes on it, in the form of `inatdet.detection.inputs`."""
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, 1, (batch_size, boxes, 2, 2)), axis=2)
    truth = corners.reshape(batch_size, boxes, 4) * [height, width, height, width]
    return {
        "image": rng.uniform(0, 255, (batch_size, height, width, 3)).astype(np.float32),
        "image_size": np.array([[height, width]] * batch_size, np.int32),
        "boxes": truth.astype(np.float32),
        "labels": rng.integers(1, num_classes + 1, (batch_size, boxes)).astype(np.int32),
    }


def invented_images(batch_size: int, side: int, num_classes: int) -> dict[str, np.ndarray]:
    """Noise with labels, in the form of `inatdet.classification.inputs`."""
    rng = np.random.default_rng(0)
    return {
        "image": rng.uniform(0, 255, (batch_size, side, side, 3)).astype(np.float32),
        "label": rng.integers(1, num_classes + 1, batch_size).astype(np.int32),
        "image_id": np.arange(batch_size),
    }


def seconds(call: Callable[[], object]) -> float:
    """The time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def both_seconds(call: Callable[[], object]) -> tuple[float, float]:
    """The time of one call, and the processor time that all threads used meanwhile."""
    used = processor_seconds()
    took = seconds(call)
    return took, processor_seconds() - used


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """The median time of a call."""
    return statistics.median(seconds(call) for _ in range(repeats))


def rate(data: Iterable[object], count: Callable[[object], int], images: int) -> float:
    """Images per second, after as many to warm up, with a fresh iterator.

    An iterator that outlived its turn would continue to fill its buffers during the others'.
    """
    batches = iter(data)
    _took(batches, count, images)
    return images / _took(batches, count, images)


def _took(batches: Iterator[object], count: Callable[[object], int], images: int) -> float:
    """Seconds for so many images; the last batch counts in proportion."""
    seen = 0
    start = time.perf_counter()
    while seen < images:
        seen += count(next(batches))
    return (time.perf_counter() - start) * images / seen


def processor_seconds() -> float:
    """The processor time of all threads of this process so far."""
    return time.process_time()


def peak_gib() -> float:
    """The peak memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@dataclasses.dataclass(frozen=True)
class Target:
    """A measured figure and what it should be.

    Attributes:
        what: the comparison, in words.
        measured: the figure.
        bound: its least value, or its greatest if `at_most`.
        at_most: which of the two.
        unit: printed after both.
    """

    what: str
    measured: float
    bound: float
    at_most: bool = False
    unit: str = "x"

    @property
    def verdict(self) -> str:
        """`met`, or by how much of the bound it is missed."""
        over = self.measured / self.bound - 1.0
        missed = over if self.at_most else -over
        return "met" if missed <= 0 else f"missed by {100 * missed:.0f}%"


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints a Markdown table and an empty line."""
    print(f"| {' | '.join(header)} |")
    print("|" + "---|" * len(header))
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |")
    print(flush=True)


def print_targets(targets: Iterable[Target]) -> None:
    """Prints figures, targets and whether they are met."""
    print_table(
        ("comparison", "measured", "target", ""),
        (
            (
                target.what,
                f"{target.measured:.2f} {target.unit}",
                f"at {'most' if target.at_most else 'least'} {target.bound:g} {target.unit}",
                target.verdict,
            )
            for target in targets
        ),
    )
