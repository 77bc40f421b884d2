"""Time and memory of calibration at iNat2017's size, compared with matching and with hotcoco.

    python -m benchmarks.full_size --output_dir=DIR
    python -m benchmarks.calibration --data_dir=DIR

Every level's detections are ranked and matched, as in a report. Then calibration is counted from
the matches: plainly, and with 200 halves of the images for intervals, in four groups of classes as
for frequencies. A second evaluation is what it would cost otherwise: hotcoco's, at IoU .5 alone,
and its `calibration()`, each from detections in memory. Times are of the processor, all threads
together, as other work on the machine then matters less. Memory is what NumPy holds at most while
counting, beyond what it held before.
"""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable, Sequence

import numpy as np
from absl import app, flags

from benchmarks.full_size import detection_paths
from benchmarks.measuring import Target, both_seconds, print_table, print_targets
from inatdet.data.annotations import Annotations
from inatdet.data.formats.reading import read_annotations, read_detections
from inatdet.data.granularity import Granularity
from inatdet.evaluation import average_precision
from inatdet.evaluation.average_precision import GroundTruth
from inatdet.evaluation.calibration import score_counts
from inatdet.evaluation.matching import Labelled, Matches
from inatdet.evaluation.resampling import Halves

_HALVES = 200
_GROUPS = 4


def _processor(call: Callable[[], object]) -> float:
    return both_seconds(call)[1]


def _peak_mib(call: Callable[[], object]) -> float:
    tracemalloc.start()
    call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 2**20


def _hotcoco(truth: GroundTruth, columns: np.ndarray) -> tuple[float, float]:
    """The processor time of a second evaluation, and hotcoco's expected error in percent."""
    errors = []

    def evaluate() -> None:
        evaluation = average_precision.loaded(truth, columns)
        evaluation.params.maxDets = list(average_precision.MAX_DETECTIONS)
        evaluation.params.iouThrs = [0.5]
        evaluation.params.areaRng = [list(average_precision.EVERY_AREA)]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.evaluate()
        errors.append(100.0 * evaluation.calibration(n_bins=10, iou_threshold=0.5)["ece"])

    return _processor(evaluate), errors[0]


def _measured(truth: Annotations, level: Granularity, path: str) -> tuple[list[float], int]:
    """Processor times of matching, of counting, with halves, and of hotcoco; then MiB."""
    boxes = average_precision.ground_truth_at(truth, truth.taxonomy, level)
    columns = average_precision.result_columns(read_detections(path, truth), level)
    labelled = Labelled.of(boxes, columns)
    assert len(labelled.ranked.rows)  # sorted once for all that follows
    kept: list[Matches] = []
    matching = _processor(lambda: kept.append(labelled.matches()))
    groups = np.arange(boxes.num_labels) % _GROUPS
    none, some = (Halves(boxes.image_ids, count) for count in (0, _HALVES))
    assert some.parts.any()  # drawn once for all levels

    def count(halves: Halves) -> float:
        found = score_counts(labelled, kept[0], groups, halves)
        assert found is not None
        return float(found.calibration().ece)

    plain = min(_processor(lambda: count(none)) for _ in range(3))
    with_halves = min(_processor(lambda: count(some)) for _ in range(3))
    second, error = _hotcoco(boxes, columns)
    assert abs(count(some) - error) < 1e-9
    return [matching, plain, with_halves, second, _peak_mib(lambda: count(some))], len(columns)


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    truth = read_annotations(os.path.join(flags.FLAGS.data_dir, "val.json"))
    rows, targets = [], []
    for level, path in detection_paths(flags.FLAGS.data_dir).items():
        (matching, plain, with_halves, second, memory), detections = _measured(truth, level, path)
        times = (f"{time:.2f}" for time in (matching, plain, with_halves, second))
        rows.append((level, f"{detections:,}", *times, f"{memory:.0f}"))
        targets += [
            Target(f"{level}: calibration with intervals", with_halves, 1, at_most=True, unit="s"),
            Target(f"{level}: a second evaluation against it", second / with_halves, 3),
        ]
    print_table(
        (
            "level", "detections", "matching, s", "calibration, s", f"with {_HALVES} halves, s",
            "second evaluation, s", "memory, MiB",
        ),
        rows,
    )  # fmt: skip
    print_targets(targets)


if __name__ == "__main__":
    flags.DEFINE_string("data_dir", None, "Where benchmarks.full_size wrote.", required=True)
    app.run(main)
