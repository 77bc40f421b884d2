"""How many photographs each observer took, where that is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from inatdet.data.rows import TOTAL, Row
from inatdet.datasets.statistics.species import top_percent
from inatdet.datasets.statistics.splits import Dataset


@dataclass(frozen=True)
class ObserverRow(Row):
    """The observers of a split.

    Attributes:
        split: its name, or `TOTAL`.
        images: how many images have a known observer.
        unknown: how many images have none.
        observers: how many observers there are.
        median: of the images per observer.
        mean: likewise.
        most: images of the observer who has the most.
        top_observers: how many observers one percent of them is, rounded up.
        top_share: the share of images that the `top_observers` most active have, in percent.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "split", "images", "unknown", "observers", "median", "mean", "most", "top_observers",
        "top_share",
    )  # fmt: skip

    split: str
    images: int
    unknown: int
    observers: int
    median: float
    mean: float
    most: int
    top_observers: int
    top_share: float

    @property
    def key(self) -> tuple[str, ...]:
        """The split."""
        return (self.split,)


def observer_rows(dataset: Dataset) -> tuple[ObserverRow, ...]:
    """One row per split with known observers; if that is more than one, then `TOTAL`."""
    counts: dict[str, tuple[Counter[Any], int]] = {}
    for part in dataset.splits:
        observers, images = part.split.observers, part.split.counted.images
        if known := [observers[image.id] for image in images if image.id in observers]:
            counts[part.split.name] = Counter(known), len(images) - len(known)
    if len(counts) > 1:
        every: Counter[Any] = Counter()
        for count, _ in counts.values():
            every.update(count)
        counts[TOTAL] = every, sum(unknown for _, unknown in counts.values())
    return tuple(_row(name, *found) for name, found in counts.items())


def _row(name: str, counts: Counter[Any], unknown: int) -> ObserverRow:
    images = np.sort(np.fromiter(counts.values(), np.int64, len(counts)))[::-1]
    top = top_percent(len(images))
    return ObserverRow(
        name,
        int(images.sum()),
        unknown,
        len(images),
        float(np.median(images)),
        float(images.mean()),
        int(images[0]),
        top,
        float(100 * images[:top].sum() / images.sum()),
    )
