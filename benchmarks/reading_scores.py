"""The time to read a classifier's scores of all labels, against NumPy's own minimum.

    python -m benchmarks.reading_scores

An .npz file of random logits is written and read by `read_predictions`: checked, turned into
probabilities, summed at the coarser levels, and the 100 best labels of each image kept in order.
The peer is `numpy.load` and one `numpy.argpartition` of the same logits, which check, sum and sort
nothing. Both run in turn; the output has the median times and their ratio, with the levels that
every dataset has and with two ranks besides.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Sequence

import numpy as np
from absl import app, flags

from benchmarks.measuring import Target, print_table, print_targets, seconds
from inatdet.data.categories import Category
from inatdet.data.formats.predictions import read_predictions
from inatdet.data.ranking import KEPT
from inatdet.data.taxonomy import Taxonomy

_IMAGES = flags.DEFINE_integer("images", 8000, "Rows.")
_LABELS = flags.DEFINE_integer("labels", 5089, "Columns: iNat2017's species.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "How often each is measured.")
_COMPRESSED = flags.DEFINE_bool("compressed", False, "As numpy.savez_compressed writes it.")

_MOST = 2.0  # times the peer's time
_SUPER_CLASSES = 13
_OF_GENUS, _OF_FAMILY = 2, 8  # species, so that there are as many levels as a dataset may have


def label_spaces(count: int, ranks: bool) -> Taxonomy:
    """Invented species in 13 super-classes, with genera and families if they are to have ranks."""
    categories = []
    for number in range(count):
        super_class = f"class {number * _SUPER_CLASSES // count}"
        names = {"genus": number // _OF_GENUS, "family": number // _OF_FAMILY}
        category = Category(number, f"species {number}", super_class)
        given = {rank: f"{rank} {place} {super_class}" for rank, place in names.items()}
        categories.append(category.with_ranks(given) if ranks else category)
    return Taxonomy.from_categories(categories, range(count))


def numpy_alone(path: str) -> np.ndarray:
    """The columns of the best logits, in no order."""
    with np.load(path) as arrays:
        logits = arrays["logits"]
    return np.argpartition(logits, -KEPT, axis=1)[:, -KEPT:]


def main(argv: Sequence[str]) -> None:
    """Measures and prints a table."""
    del argv
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((_IMAGES.value, _LABELS.value), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "scores.npz")
        save = np.savez_compressed if _COMPRESSED.value else np.savez
        save(path, image_ids=np.arange(_IMAGES.value), logits=logits)
        del logits
        results = [_measured(path, label_spaces(_LABELS.value, ranks)) for ranks in (False, True)]
    print_table(
        ("levels", "ours", "NumPy alone"),
        ((levels, f"{ours:.2f} s", f"{alone:.2f} s") for levels, ours, alone in results),
    )
    print_targets(
        Target(f"reading scores: {levels}", ours / alone, _MOST, at_most=True)
        for levels, ours, alone in results
    )


def _measured(path: str, taxonomy: Taxonomy) -> tuple[str, float, float]:
    """The levels, and the median seconds of both sides."""
    best = read_predictions(path, taxonomy).own.labels - 1
    if not (np.sort(best, axis=1) == np.sort(numpy_alone(path), axis=1)).all():
        raise AssertionError("both sides do not find the same labels")
    pairs = [
        (seconds(lambda: read_predictions(path, taxonomy)), seconds(lambda: numpy_alone(path)))
        for _ in range(_REPEATS.value)
    ]
    ours, alone = map(statistics.median, zip(*pairs))
    return ", ".join(taxonomy.levels), ours, alone


if __name__ == "__main__":
    app.run(main)
