"""Time and memory of keeping the best 10,000 detections of each of 2,854 species.

    python -m benchmarks.best_of_classes

Detections of as many images as iNat2017 has for validation, 1,000 of each, arrive in batches, half
of them of species as unequal as the published numbers of images, with invented scores. The time of
inventing them is measured alone and subtracted. `--images` and `--per_image` shrink it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from absl import app, flags

from benchmarks.full_size import species_of_images
from benchmarks.measuring import Target, both_seconds, peak_gib, print_table, print_targets
from inatdet.data.best_of_classes import PAPER_MOST_PER_CLASS, BestOfClasses, Columns

_IMAGES = flags.DEFINE_integer("images", 95_986, "How many images.", lower_bound=1)
_PER_IMAGE = flags.DEFINE_integer("per_image", 1000, "Detections of each.", lower_bound=1)
_BATCH = 8  # images
_MOST_BYTES = 40  # per detection that may be kept


def _batches(species: np.ndarray, images: int, per_image: int) -> Iterator[Columns]:
    """Half of the detections are of common species, half of any."""
    rng = np.random.default_rng(0)
    count = species.max() + 1
    for first in range(0, images, _BATCH):
        ids = np.arange(first, min(first + _BATCH, images))
        shape = (len(ids), per_image)
        common = species[rng.integers(0, len(species), shape)]
        labels = 1 + np.where(rng.uniform(size=shape) < 0.5, common, rng.integers(0, count, shape))
        scores = rng.random(shape, np.float32) ** 8
        boxes = np.zeros((labels.size, 4), np.float32)
        yield np.repeat(ids, per_image), labels.ravel(), scores.ravel(), boxes


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    images, per_image = _IMAGES.value, _PER_IMAGE.value
    species = species_of_images(np.random.default_rng(0))
    species -= species.min()
    limits = np.full(species.max() + 1, PAPER_MOST_PER_CLASS)

    def arrive(keep: BestOfClasses | None) -> None:
        for columns in _batches(species, images, per_image):
            if keep is not None:
                keep.append(*columns)

    _, alone = both_seconds(lambda: arrive(None))
    before = peak_gib()
    best = BestOfClasses(limits)
    _, used = both_seconds(lambda: arrive(best))
    _, read = both_seconds(lambda: sum(len(columns[0]) for columns in best.columns()))
    memory = peak_gib() - before
    kept, full = int(best.counts.sum()), int((best.counts == limits).sum())
    print_table(
        ("detections", "kept", "full classes", "processor time", "a million", "to read", "memory"),
        [
            (
                f"{images * per_image:,}",
                f"{kept:,}",
                f"{full:,}",
                f"{used - alone:.1f} s",
                f"{1e6 * (used - alone) / images / per_image:.2f} s",
                f"{read:.1f} s",
                f"{memory:.2f} GiB",
            )
        ],
    )
    size = memory * 2**30 / limits.sum()
    what = "memory for each detection that may be kept"
    print_targets([Target(what, size, _MOST_BYTES, at_most=True, unit="bytes")])


if __name__ == "__main__":
    app.run(main)
