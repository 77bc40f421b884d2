"""Time and memory of a whole report at iNat2017's size, compared with bare counting and with peers.

    python -m benchmarks.full_size --output_dir=DIR
    python -m benchmarks.evaluation --data_dir=DIR

Each line is a process of its own, timed from when its libraries are loaded: reading files, counting
numbers, writing files. `bare` is a single count of the species detections by hotcoco from an array
in memory: loading, evaluating, accumulating; `own` is the same by this package. The peers (`pip
install '.[bench,dev]'`) count the first images only, because they take minutes or more memory than
there is for all, and also get them in memory; all counts show the AP that they found.
`whole_report` is the species model with both of its summed files, with kinds of error and intervals
from 200 halves; `whole_report_fixed` has AP-Fixed and AP-Pool as well; `six_files` is what `make
eval`
has, with the invented coarse files standing in for the coarse models too. Processor time is that of
all threads: on a busy machine it says more than seconds. `--parts` selects lines; `--phases` shows
where the reports' time goes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event

import numpy as np
from absl import app, flags

from benchmarks.full_size import detection_paths
from benchmarks.measuring import both_seconds, peak_gib, print_table, processor_seconds
from inatdet.data.best_of_classes import PAPER_MOST_PER_CLASS
from inatdet.data.formats.reading import read_annotations, read_detections
from inatdet.data.granularity import Granularity
from inatdet.evaluation import average_precision, counting
from inatdet.evaluation.average_precision import Engine
from inatdet.evaluation.matching import Labelled
from inatdet.report.report import evaluate

_FRACTION = 0.05
_RESAMPLES = 200
_TOUCHED_GIB = 5
_LONGEST_START = 60.0  # seconds


OWN = (Granularity.SPECIES, None)
SUMMED = ((Granularity.SUPER, Granularity.SPECIES), (Granularity.GENERIC, Granularity.SPECIES))
COARSE_MODELS = (
    (Granularity.SUPER, None),
    (Granularity.GENERIC, Granularity.SUPER),
    (Granularity.GENERIC, None),
)
"""The detections' level, and the level of the model that summed them."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one line shows.

    Attributes:
        seconds: on the clock.
        used: seconds of processor time.
        found: the AP, in percent; NaN for reports, which hold many.
        peak: GiB of memory.
    """

    seconds: float
    used: float
    found: float = math.nan
    peak: float = math.nan


def _timed_report(folder: str, phases: bool, *files: object, **settings: object) -> Measured:
    return Measured(*both_seconds(lambda: _report(folder, phases, *files, **settings)))


def _report(
    folder: str,
    phases: bool,
    files: Sequence[tuple[Granularity, Granularity | None]] = (OWN, *SUMMED),
    **settings: object,
) -> None:
    """Reads, evaluates and writes everything that the files allow."""
    notify = _Stopwatch() if phases else lambda message: None
    notify("reading the annotations")
    truth = read_annotations(os.path.join(folder, "val.json"))
    paths, detections = detection_paths(folder), []
    for level, summed_from in files:
        notify(f"reading {level} detections")
        # The granularity is in the file.
        detections.append(read_detections(paths[level], truth, summed_from=summed_from))
    report = evaluate(truth, detections, notify=notify, **settings)
    del detections
    with tempfile.TemporaryDirectory() as output_dir:
        notify("writing")
        report.save(output_dir)
    notify("end")


class _Stopwatch:
    """Prints each message when the next one comes, with the time in between."""

    def __init__(self) -> None:
        self._last, self._since, self._used = "", time.perf_counter(), processor_seconds()

    def __call__(self, message: str) -> None:
        """Takes a message."""
        now, used = time.perf_counter(), processor_seconds()
        if self._last:
            took = f"{now - self._since:7.2f} s, {used - self._used:6.2f} s of processor time"
            print(f"{took}, peak {peak_gib():.2f} GiB: {self._last}", file=sys.stderr)
        self._last, self._since, self._used = message, now, used


def _loaded(folder: str, fraction: float) -> tuple[average_precision.GroundTruth, np.ndarray]:
    """The true boxes of the first images, and the detections in them."""
    annotations = read_annotations(os.path.join(folder, "val.json"))
    ids = [image.id for image in annotations.images]
    ids = ids[: max(1, int(fraction * len(ids)))]
    path = detection_paths(folder)[Granularity.SPECIES]
    found = read_detections(path, annotations)
    found = found.select(np.isin(found.image_ids, ids))
    truth = average_precision.ground_truth_at(
        annotations.keep_images(ids), annotations.taxonomy, Granularity.SPECIES
    )
    return truth, average_precision.result_columns(found, Granularity.SPECIES)


def _count(folder: str, phases: bool, fraction: float, engine: Engine) -> Measured:
    del phases
    truth, columns = _loaded(folder, fraction)

    def count() -> float:
        if engine is Engine.INATDET:
            labelled = Labelled.of(truth, columns)
            results = counting.class_results(labelled, labelled.matches())
        else:
            evaluation = average_precision.counted(truth, columns, engine)
            results = average_precision.class_results(evaluation)
        return 100.0 * float(results.mean()[0])

    return _timed(count)


def _timed(count: Callable[[], float]) -> Measured:
    found: list[float] = []
    return Measured(*both_seconds(lambda: found.append(count())), found[0])


def _count_by_vernier(folder: str, phases: bool) -> Measured:
    from vernier import instance

    del phases
    truth, columns = _loaded(folder, _FRACTION)

    def count() -> float:
        size = np.ones(len(truth.image_ids), np.int64)
        known = instance.CocoDataset.from_arrays(
            {"id": truth.image_ids, "width": size, "height": size},
            {
                "id": np.arange(1, len(truth.labels) + 1),
                "image_id": truth.box_images,
                "category_id": truth.labels,
                "bbox": np.ascontiguousarray(truth.boxes),
                "area": truth.areas,
                "iscrowd": truth.is_crowd,
            },
            [{"id": label, "name": str(label)} for label in range(1, truth.num_labels + 1)],
        )
        evaluator = instance.Evaluator(iou=instance.Bbox(), parity_mode="strict")
        return 100.0 * float(evaluator.evaluate(known, columns).stats[0])

    return _timed(count)


def _count_by_faster_coco_eval(folder: str, phases: bool) -> Measured:
    from faster_coco_eval import COCO, COCOeval_faster

    del phases
    truth, columns = _loaded(folder, _FRACTION)

    def count() -> float:
        boxes = zip(truth.box_images.tolist(), truth.labels.tolist(), truth.boxes.tolist())
        known = COCO(
            {
                "images": [{"id": i, "width": 1, "height": 1} for i in truth.image_ids.tolist()],
                "categories": [{"id": i + 1, "name": str(i)} for i in range(truth.num_labels)],
                "annotations": [
                    {"id": n, "image_id": i, "category_id": c, "bbox": box, "area": area,
                     "iscrowd": 0}
                    for n, ((i, c, box), area) in enumerate(zip(boxes, truth.areas.tolist()), 1)
                ],
            }
        )  # fmt: skip
        evaluation = COCOeval_faster(known, known.loadRes(columns), "bbox")
        evaluation.params.maxDets = list(average_precision.MAX_DETECTIONS)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = (
            [list(average_precision.EVERY_AREA)],
            ["all"],
        )
        evaluation.evaluate()
        evaluation.accumulate()
        precision = evaluation.eval["precision"][..., 0, -1]
        return 100.0 * float(precision[precision >= 0].mean())

    with contextlib.redirect_stdout(io.StringIO()):
        return _timed(count)


_PEERS = {
    "vernier_5_percent": "vernier",
    "faster_coco_eval_5_percent": "faster_coco_eval",
}
"""The package that a line needs."""

PARTS: dict[str, Callable[[str, bool], Measured]] = {
    "bare": lambda folder, phases: _count(folder, phases, 1.0, Engine.HOTCOCO),
    "own": lambda folder, phases: _count(folder, phases, 1.0, Engine.INATDET),
    "report": lambda folder, phases: _timed_report(folder, phases, errors=False),
    "report_with_errors": lambda folder, phases: _timed_report(folder, phases),
    "report_with_intervals": lambda folder, phases: _timed_report(
        folder, phases, errors=False, resamples=_RESAMPLES
    ),
    "whole_report": lambda folder, phases: _timed_report(folder, phases, resamples=_RESAMPLES),
    "whole_report_fixed": lambda folder, phases: _timed_report(
        folder, phases, resamples=_RESAMPLES, most_per_class=PAPER_MOST_PER_CLASS
    ),
    "six_files": lambda folder, phases: _timed_report(
        folder, phases, (OWN, *SUMMED, *COARSE_MODELS), resamples=_RESAMPLES
    ),
    "bare_5_percent": lambda folder, phases: _count(folder, phases, _FRACTION, Engine.HOTCOCO),
    "own_5_percent": lambda folder, phases: _count(folder, phases, _FRACTION, Engine.INATDET),
    "pycocotools_5_percent": lambda folder, phases: _count(
        folder, phases, _FRACTION, Engine.PYCOCOTOOLS
    ),
    "vernier_5_percent": _count_by_vernier,
    "faster_coco_eval_5_percent": _count_by_faster_coco_eval,
}


def _measure(
    name: str, folder: str, phases: bool, loaded: Event, start: Event, results: SimpleQueue
) -> None:
    loaded.set()
    start.wait()
    results.put(dataclasses.replace(PARTS[name](folder, phases), peak=peak_gib()))


def _in_a_process(name: str, folder: str, phases: bool) -> Measured | None:
    """What a line shows; None where the process failed."""
    context = multiprocessing.get_context("spawn")
    results, loaded, start = context.SimpleQueue(), context.Event(), context.Event()
    process = context.Process(target=_measure, args=(name, folder, phases, loaded, start, results))
    process.start()
    loaded.wait(_LONGEST_START)
    # A virtual machine may wait for its host when it touches memory that it has not used for a
    # while (2 s per GiB have been observed); that must not be charged to any one line.
    touch = f"import numpy; numpy.ones({_TOUCHED_GIB} << 27)"
    subprocess.run([sys.executable, "-c", touch], check=True)
    start.set()
    process.join()
    if process.exitcode:
        print(f"{name}: the process ended with {process.exitcode}", file=sys.stderr)
        return None
    return results.get()


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    rows, bare = [], None
    for name in values.parts:
        if name in _PEERS and not importlib.util.find_spec(_PEERS[name]):
            print(f"{_PEERS[name]} is not installed: pip install '.[bench,dev]'", file=sys.stderr)
            continue
        measured = _in_a_process(name, values.data_dir, values.phases)
        if measured is None:
            continue
        bare = measured if name == "bare" else bare
        times = [""] * 2
        if bare and not name.endswith("percent"):
            times = [
                f"{measured.seconds / bare.seconds:.1f}",
                f"{measured.used / bare.used:.1f}",
            ]
        rows.append(
            (
                name,
                f"{measured.seconds:.1f}",
                times[0],
                f"{measured.used:.1f}",
                times[1],
                f"{measured.peak:.2f} GiB",
                "" if math.isnan(measured.found) else f"{measured.found:.9f}",
            )
        )
    header = ("what", "seconds", "times bare", "processor time", "times bare", "peak memory", "AP")
    print_table(header, rows)


if __name__ == "__main__":
    flags.DEFINE_string("data_dir", None, "Output of benchmarks.full_size.", required=True)
    flags.DEFINE_list("parts", list(PARTS), "Which lines.")
    flags.DEFINE_bool("phases", False, "Show where the time goes.")
    app.run(main)
