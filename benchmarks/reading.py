"""The time and memory that reading takes at the size of iNat2017.

    python -m benchmarks.full_size --output_dir=DIR --coco_json
    python -m benchmarks.reading --data_dir=DIR

Each file is read several times, each time in a new process. The output has the median time and the
growth of the process' peak memory while the file was read, with `json.load` for comparison.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from absl import app, flags

from inatdet.data.formats.annotations import read_annotations
from inatdet.data.formats.detections import read_detections
from inatdet.data.granularity import Granularity

Reader = Callable[[str], Callable[[], int]]
"""Takes a folder and returns the function to measure, which reads a file and counts its rows."""


def _annotations(folder: str) -> Callable[[], int]:
    return lambda: len(read_annotations(os.path.join(folder, "val.json")).boxes)


def _detections(folder: str, name: str) -> Callable[[], int]:
    taxonomy = read_annotations(os.path.join(folder, "val.json")).taxonomy
    path = os.path.join(folder, name)
    return lambda: len(read_detections(path, Granularity.SPECIES, taxonomy))


def _json_load(folder: str) -> Callable[[], int]:
    def load() -> int:
        with open(os.path.join(folder, "detections.json"), encoding="utf-8") as file:
            return len(json.load(file))

    return load


READERS: dict[str, tuple[str, Reader]] = {
    "annotations": ("val.json", _annotations),
    "Parquet": ("detections.parquet", lambda folder: _detections(folder, "detections.parquet")),
    "COCO results": ("detections.json", lambda folder: _detections(folder, "detections.json")),
    "json.load": ("detections.json", _json_load),
}


def _state() -> tuple[float, int]:
    """The time in seconds, and the peak memory of this process so far in bytes."""
    return time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _measure(name: str, folder: str, results: multiprocessing.SimpleQueue) -> None:
    read = READERS[name][1](folder)
    begin = _state()
    count = read()
    end = _state()
    results.put((count, end[0] - begin[0], end[1] - begin[1]))


def main(argv: Sequence[str]) -> None:
    """Measures and prints a table."""
    del argv
    folder = flags.FLAGS.data_dir
    context = multiprocessing.get_context("spawn")
    measured: dict[str, list[tuple[int, float, int]]] = {}
    for repeat in range(flags.FLAGS.repeats):
        for name in READERS:
            if name == "json.load" and repeat:
                continue  # once is enough, as it takes long
            results = context.SimpleQueue()
            process = context.Process(target=_measure, args=(name, folder, results))
            process.start()
            process.join()
            if process.exitcode:
                print(f"{name}: the process ended with {process.exitcode}", file=sys.stderr)
            else:
                measured.setdefault(name, []).append(results.get())
    print("| what | file | rows | seconds | memory |\n|---|---|---|---|---|")
    for name, runs in measured.items():
        size = os.path.getsize(os.path.join(folder, READERS[name][0]))
        seconds = statistics.median(run[1] for run in runs)
        memory = max(run[2] for run in runs) / 2**30
        print(
            f"| {name} | {size / 1e6:,.0f} MB | {runs[0][0]:,} | {seconds:.1f} | {memory:.2f} GiB |"
        )


if __name__ == "__main__":
    flags.DEFINE_string("data_dir", None, "Folder that benchmarks.full_size wrote.", required=True)
    flags.DEFINE_integer("repeats", 3, "Number of times to read each file.", lower_bound=1)
    app.run(main)
