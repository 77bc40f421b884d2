"""What it costs detection to keep what is done in parts: seconds, and bytes on the disk.

    python -m benchmarks.parts --work_dir=DIR

Invented detections in as many images as iNat2017's validation set has with boxes go to the Parquet
file of detections, as ever, and into parts besides, each as large as one of a minute's work. Then a
second run takes all parts over. Times are compared with those of writing the Parquet file.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence

import numpy as np
from absl import app, flags

from benchmarks.measuring import print_table
from inatdet import parts
from inatdet.data.categories import Category
from inatdet.data.formats.detections import DetectionsWriter
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.parts import Parts, Values

_WORK_DIR = flags.DEFINE_string("work_dir", None, "Folder on the disk to measure.", required=True)
_IMAGES = flags.DEFINE_integer("images", 48_736, "Images to detect in.")
_EACH = flags.DEFINE_integer("each", 100, "Detections in an image.")
_PER_PART = flags.DEFINE_integer("images_per_part", 300, "Images of one minute: 5 a second.")
_BATCH = 4
_LABELS = 2_854


def steps(images: int) -> Iterator[Values]:
    """Detections of batches of images, of random species; scores and boxes do not repeat."""
    rng = np.random.default_rng(0)
    rows = _BATCH * _EACH.value
    for first in range(0, images, _BATCH):
        boxes = rng.uniform(0, 400, (rows, 4)).astype(np.float32)
        ids = np.repeat(np.arange(first, first + _BATCH), _EACH.value)
        labels = rng.integers(1, _LABELS + 1, rows, dtype=np.int32)
        yield {"species": [ids, labels, rng.random(rows, np.float32), boxes]}


class Stopped(BaseException):
    """Ends a run as if its process had been killed."""


def writer_of(path: str) -> DetectionsWriter:
    """Writes detections of as many species as iNat2017's have boxes."""
    categories = [Category(i, f"Species {i}", "Aves") for i in range(_LABELS)]
    taxonomy = Taxonomy.from_categories(categories, range(_LABELS))
    return DetectionsWriter(path, Granularity.SPECIES, taxonomy)


def size(folder: str) -> int:
    """The bytes of all files below a folder."""
    found = (os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)
    return sum(map(os.path.getsize, found))


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    parts.SECONDS = float("inf")
    images = _IMAGES.value // _BATCH * _BATCH
    path = os.path.join(_WORK_DIR.value, "found.parquet")
    shutil.rmtree(path + parts.FOLDER, ignore_errors=True)
    writing = keeping = 0.0
    try:
        with Parts([path], {"what": "benchmark"}, "images") as done:
            with writer_of(path) as writer:
                for values in steps(images):
                    start = time.perf_counter()
                    writer.append(*values["species"])
                    middle = time.perf_counter()
                    done.add(values, {"images": _BATCH})
                    if done.counts["images"] % _PER_PART.value < _BATCH:
                        done.save()
                    writing += middle - start
                    keeping += time.perf_counter() - middle
                done.save()
                start = time.perf_counter()
            writing += time.perf_counter() - start
            kept = size(path + parts.FOLDER)
            raise Stopped
    except Stopped:
        pass
    start = time.perf_counter()
    with Parts([path], {"what": "benchmark"}, "images") as done:
        taken = sum(len(values["species"][0]) for values in done.saved())
        reading = time.perf_counter() - start
    assert taken == images * _EACH.value
    written = os.path.getsize(path)
    print_table(
        ("images", "detections", "what", "seconds", "of writing the file", "MB", "of the file"),
        [
            (images, taken, "writing the file", f"{writing:.1f}", "1", f"{written / 1e6:.0f}", "1"),
            (
                *("", "", "keeping parts", f"{keeping:.1f}", f"{keeping / writing:.2f}"),
                *(f"{kept / 1e6:.0f}", f"{kept / written:.2f}"),
            ),
            ("", "", "taking all parts over", f"{reading:.1f}", f"{reading / writing:.2f}", "", ""),
        ],
    )


if __name__ == "__main__":
    app.run(main)
