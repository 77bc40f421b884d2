"""How often 95% intervals contain the true value.

    python -m benchmarks.interval_coverage

A population of images is invented: classes of unequal difficulty, one true box per image, two
models whose detections are right, badly placed, of another class or on nothing. Many samples are
drawn from it, and each kind of interval is computed from each sample:

- `halves`: the intervals of the reports, `inatdet.evaluation.resampling`;
- `bootstrap`: the 2.5 and 97.5 percentiles over images drawn with replacement, an image drawn twice
  counted as two;
- `bootstrap, std err`: 1.96 times the standard deviation of the same, around the measure;
- for the difference between the two models: `halves, paired` and `hotcoco.compare`.

An interval may be meant to contain either of two values: that of an infinitely large sample (here
one of `_MANY` images per class), or the mean over samples of this size, which differs because
average precision of a class with few images is biased. Printed are the share of the samples in
which the interval contained each, the mean width of the intervals, the width that 1.96 standard
deviations of the measure itself give, and the bias of the measure.
"""

from __future__ import annotations

from collections.abc import Sequence

import hotcoco
import numpy as np
from absl import app, flags
from tqdm import tqdm

from benchmarks.measuring import print_table
from inatdet.evaluation import average_precision
from inatdet.evaluation.average_precision import METRICS, GroundTruth
from inatdet.evaluation.resampling import Z_95, Halves

CLASSES = 12
SHOWN = ("AP", "AP50", "AR1")
_MANY = 4000
_DETECTIONS = 6
_BOX = 100.0


def draw(rng: np.random.Generator, per_class: int) -> tuple[GroundTruth, list[np.ndarray]]:
    """A sample: the truth and the detections of two models, as `result_columns` gives them."""
    count = CLASSES * per_class
    labels = rng.permutation(np.repeat(np.arange(CLASSES), per_class))
    truth = GroundTruth(
        image_ids=np.arange(count),
        num_labels=CLASSES,
        box_images=np.arange(count),
        labels=labels + 1,
        boxes=np.tile([0.0, 0.0, _BOX, _BOX], (count, 1)),
        areas=np.full(count, _BOX**2 / 2),
        is_crowd=np.zeros(count, bool),
    )
    # An image that is hard is hard for both models.
    hard = rng.normal(0, 1, count) + np.linspace(-1, 1.5, CLASSES)[labels]
    return truth, [_detected(rng, labels, hard + shift) for shift in (0.0, -0.3)]


def _detected(rng: np.random.Generator, labels: np.ndarray, hard: np.ndarray) -> np.ndarray:
    shape = (len(labels), _DETECTIONS)
    rank = np.arange(_DETECTIONS)
    right = rng.normal(0, 1, shape) > hard[:, None] + 0.5 * rank
    names = np.where(right, labels[:, None], rng.integers(0, CLASSES, shape)) + 1
    # How much narrower than the true box a detection is: IoU is 1 - off. Some are elsewhere.
    off = np.clip(np.abs(rng.normal(0, 0.2, shape)) + 0.05 * np.maximum(hard, 0)[:, None], 0, 0.9)
    x = np.where(rng.uniform(size=shape) < 0.15, 2 * _BOX, 0.0)
    scores = 1 / (1 + np.exp(-(1.5 * right + rng.normal(0, 1, shape) - 0.7 * rank)))
    columns = np.empty((*shape, 7))
    columns[..., 0] = np.arange(len(labels))[:, None]
    columns[..., 1], columns[..., 2] = x, 0.0
    columns[..., 3], columns[..., 4] = _BOX * (1 - off), _BOX
    columns[..., 5], columns[..., 6] = scores, names
    return columns.reshape(-1, 7)


def measured(truth: GroundTruth, columns: np.ndarray) -> np.ndarray:
    """The means over the classes, float64 `[5]`, in percent."""
    return 100.0 * average_precision.class_results(average_precision.counted(truth, columns)).mean()


def bootstrap(
    rng: np.random.Generator, truth: GroundTruth, columns: np.ndarray, count: int
) -> np.ndarray:
    """The measures on images drawn with replacement, float64 `[count, 5]`."""
    by_image = columns.reshape(len(truth.image_ids), _DETECTIONS, 7)
    values = []
    for _ in range(count):
        drawn = rng.integers(0, len(by_image), len(by_image))
        again = by_image[drawn].copy()
        again[..., 0] = np.arange(len(drawn))[:, None]
        part = GroundTruth(
            truth.image_ids, CLASSES, truth.box_images, truth.labels[drawn],
            truth.boxes, truth.areas, truth.is_crowd,
        )  # fmt: skip
        values.append(measured(part, again.reshape(-1, 7)))
    return np.array(values)


def intervals(
    rng: np.random.Generator, per_class: int, resamples: int, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Measures and their intervals' lower and upper ends, `[5]` each, by kind of interval."""
    truth, (first, second) = draw(rng, per_class)
    one, two = average_precision.counted(truth, first), average_precision.counted(truth, second)
    values = measured(truth, first)
    change = measured(truth, second) - values
    halves = Halves(truth.image_ids, resamples, seed)
    on_halves = halves.measure(truth, first)
    paired = halves.measure(truth, second) - on_halves
    drawn = bootstrap(rng, truth, first, resamples)
    compared = hotcoco.compare(one, two, n_bootstrap=resamples, seed=seed, confidence=0.95)["ci"]

    def around(middle: np.ndarray, std_err: Sequence[float]) -> tuple[np.ndarray, ...]:
        return middle, middle - Z_95 * np.array(std_err), middle + Z_95 * np.array(std_err)

    return {
        "halves": around(values, [halves.std_err(column) for column in on_halves.T]),
        "bootstrap": (values, *np.percentile(drawn, (2.5, 97.5), axis=0)),
        "bootstrap, std err": around(values, drawn.std(axis=0)),
        "halves, paired": around(change, [halves.std_err(column) for column in paired.T]),
        "hotcoco.compare": (
            change,
            *(np.array([100.0 * compared[m][end] for m in METRICS]) for end in ("lower", "upper")),
        ),
    }


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    rng = np.random.default_rng(0)
    truth, models = draw(rng, _MANY)
    one, two = (measured(truth, columns) for columns in models)
    rows = []
    for per_class in map(int, values.images_per_class):
        runs = [
            intervals(rng, per_class, values.resamples, seed)
            for seed in tqdm(range(values.samples), desc=f"{per_class} images per class")
        ]
        for kind in runs[0]:
            middle, lower, upper = (np.array(part) for part in zip(*(run[kind] for run in runs)))
            infinite = one if kind in ("halves", "bootstrap", "bootstrap, std err") else two - one
            for measure in SHOWN:
                column = METRICS.index(measure)
                low, high, at = lower[:, column], upper[:, column], middle[:, column]
                held = [
                    f"{100 * ((low <= goal) & (goal <= high)).mean():.0f}%"
                    for goal in (infinite[column], at.mean())
                ]
                rows.append(
                    (per_class, kind, measure, *held, f"{(high - low).mean():.2f}",
                     f"{2 * Z_95 * at.std():.2f}", f"{at.mean() - infinite[column]:+.2f}")
                )  # fmt: skip
    print_table(
        ("images per class", "interval", "measure", "contains the infinite sample's value",
         "contains the mean", "width", "right width", "bias of the measure"),
        rows,
    )  # fmt: skip


if __name__ == "__main__":
    flags.DEFINE_list("images_per_class", ["10", "50"], "Sizes of the samples.")
    flags.DEFINE_integer("samples", 300, "Samples of each size.", lower_bound=2)
    flags.DEFINE_integer("resamples", 200, "Halves, and bootstrap samples.", lower_bound=2)
    app.run(main)
