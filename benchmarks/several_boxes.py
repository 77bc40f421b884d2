"""Whether images with several boxes, or with crowds, take longer to evaluate than those with one.

    python -m benchmarks.several_boxes

Invents images with 100 detections each and one, 5 or 20 true boxes of 200 classes, with and
without crowds, as `--all_images` keeps them. Times what a row of Table 6 takes, in processor time:
comparing boxes, matching, counting, 200 halves, kinds of error. The last column is hotcoco's count
alone.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from absl import app, flags

from benchmarks.measuring import both_seconds, print_table
from inatdet.data.granularity import Granularity
from inatdet.evaluation import average_precision, counting, error_kinds
from inatdet.evaluation.average_precision import GroundTruth
from inatdet.evaluation.matching import Labelled
from inatdet.evaluation.resampling import Halves

_CLASSES, _DETECTIONS, _HALVES = 200, 100, 200
_CASES = ((1, 0.0), (5, 0.0), (5, 0.1), (20, 0.0), (20, 0.1))  # boxes per image, share of crowds


def scene(images: int, boxes: int, crowds: float) -> tuple[GroundTruth, np.ndarray]:
    """Invented true boxes, and detections as `average_precision.result_columns`."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 500, (images, boxes, 2))
    true = np.concatenate([corners, rng.uniform(40, 300, corners.shape)], axis=2)
    labels = rng.integers(1, _CLASSES + 1, (images, boxes))
    meant = rng.integers(0, boxes, (images, _DETECTIONS))
    rank = np.arange(_DETECTIONS)
    found = np.take_along_axis(true, meant[..., None], axis=1)
    found = found + rng.normal(size=found.shape) * (8.0 + 2.0 * rank)[:, None]
    found[..., 2:] = np.clip(found[..., 2:], 4, None)
    right = rng.uniform(size=meant.shape) < np.maximum(0.7 - 0.02 * rank, 0.1)
    named = np.where(
        right, np.take_along_axis(labels, meant, axis=1), rng.integers(1, _CLASSES + 1, meant.shape)
    )
    columns = np.empty((images, _DETECTIONS, 7))
    columns[..., 0] = np.arange(images)[:, None]
    columns[..., 1:5], columns[..., 6] = found, named
    columns[..., 5] = np.sort(rng.uniform(size=meant.shape), axis=1)[:, ::-1]
    truth = GroundTruth(
        image_ids=np.arange(images),
        num_labels=_CLASSES,
        box_images=np.repeat(np.arange(images), boxes),
        labels=labels.ravel(),
        boxes=true.reshape(-1, 4),
        areas=true[..., 2:].prod(axis=2).ravel(),
        is_crowd=rng.uniform(size=images * boxes) < crowds,
    )
    return truth, columns.reshape(-1, 7)


def _evaluate(truth: GroundTruth, columns: np.ndarray) -> None:
    labelled = Labelled.of(truth, columns)
    found = labelled.matches()
    counting.class_results(labelled, found)
    Halves(truth.image_ids, _HALVES).by_class(labelled, found).mean()
    everywhere = {"all": truth.image_ids}
    species = Granularity.SPECIES
    error_kinds.error_rows(labelled, everywhere, species, species, found)


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    rows, first = [], None
    _evaluate(*scene(50, 1, 0.0))  # what is loaded on first use
    for boxes, crowds in _CASES:
        sides = scene(flags.FLAGS.images, boxes, crowds)
        _, used = both_seconds(functools.partial(_evaluate, *sides))
        _, bare = both_seconds(functools.partial(average_precision.counted, *sides))
        first = first or used
        rows.append(
            (boxes, f"{crowds:.0%}", f"{used:.2f} s", f"{used / first:.2f}", f"{bare:.2f} s")
        )
    header = ("boxes per image", "crowds", "processor time", "times the first", "hotcoco's count")
    print_table(header, rows)


if __name__ == "__main__":
    flags.DEFINE_integer("images", 5000, "How many images.", lower_bound=2)
    app.run(main)
