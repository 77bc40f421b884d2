"""How fast TFRecords are written, and how much memory that takes at the size of iNat2017.

    python -m benchmarks.writing --work_dir=DIR
    python -m benchmarks.writing --work_dir=DIR --sizes=0   # only the speed
    python -m benchmarks.writing --work_dir=DIR --images=0  # only the memory
    python -m benchmarks.writing --work_dir=DIR --images=0 --image_labels

The speed is that of `inatdet tfrecords` on photographs of 200 kB, its start included, as a ratio
to `cat` of the same files into one, and to Model Garden's `create_coco_tf_record`; after each comes
`sync`. They take turns, and the medians count. Memory and the time to read annotations are those
of generated JSON, whose images all name a few tiny files; one part of 16 is written.
"""

from __future__ import annotations

import dataclasses
import glob
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
import PIL.Image
from absl import app, flags

from benchmarks.measuring import Target, print_table, print_targets

_SPECIES = 2_854
_TINY = 1_000  # files that the images of the large JSON share
_WORK_DIR = flags.DEFINE_string("work_dir", None, "Folder on the disk to measure.", required=True)
_IMAGES = flags.DEFINE_integer("images", 6_000, "Photographs to write; 0 leaves the speed out.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "How often each writer has its turn.", lower_bound=1)
_SIZES = flags.DEFINE_list(
    "sizes", ["67500", "675000"], "Numbers of images to measure memory at; 0 leaves it out."
)
_BOXES = 600 / 675  # per image
_LABELS = flags.DEFINE_bool("image_labels", False, "Measure memory with image labels too.")
_LABELLED_SPECIES = 5_089


@dataclasses.dataclass(frozen=True)
class Used:
    """What a process used: seconds by the clock and of processors, and its peak memory in GiB."""

    seconds: float
    processors: float
    peak: float


def photographs(folder: str, count: int) -> None:
    """Writes JPEGs of 200 kB, each with other bytes, and boxes.json; kept if they are there."""
    if os.path.exists(os.path.join(folder, "boxes.json")):
        return
    rng = np.random.default_rng(0)
    originals = []
    for _ in range(8):
        small = rng.integers(0, 256, (150, 200, 3), np.uint8)
        smooth = np.asarray(PIL.Image.fromarray(small).resize((800, 600)), int)
        noisy = np.clip(smooth + rng.integers(-20, 21, smooth.shape), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        PIL.Image.fromarray(noisy).save(file, "jpeg", quality=80)
        originals.append(file.getvalue())
    os.makedirs(os.path.join(folder, "images"), exist_ok=True)
    for i in range(count):
        jpeg = originals[i % len(originals)]
        comment = b"\xff\xfe\x00\x0a%08d" % i
        with open(os.path.join(folder, "images", f"{i}.jpg"), "wb") as file:
            file.write(jpeg[:2] + comment + jpeg[2:])
    names = [f"images/{i}.jpg" for i in range(count)]
    write_annotations(os.path.join(folder, "boxes.json"), names, (800, 600), boxes=count)
    subprocess.run(["sync"], check=True)


def write_annotations(
    path: str, names: Sequence[str], size: tuple[int, int], boxes: int, species: int = _SPECIES
) -> None:
    """Writes COCO-style JSON; boxes are of the images in turn, of the species in turn."""
    width, height = size
    content = {
        "info": {},
        "licenses": [],
        "images": [
            {"id": i, "file_name": name, "width": width, "height": height}
            for i, name in enumerate(names)
        ],
        "categories": [
            {"id": c, "name": f"Species {c}", "supercategory": f"Class {c % 9}"}
            for c in range(species)
        ],
        "annotations": [
            {
                "id": i,
                "image_id": i % len(names),
                "category_id": i % species,
                "bbox": [2.5, 1.5, width / 2, height / 2],
                "area": width * height / 8,
                "iscrowd": 0,
            }
            for i in range(boxes)
        ],
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file)


def run(command: str, environment: dict[str, str] | None = None) -> Used:
    """Runs a line of the shell, and `sync` after it."""
    start = time.perf_counter()
    process = subprocess.Popen(
        ["sh", "-c", f"{command} && sync"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        text=True,
    )
    assert process.stderr
    errors = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command}\nended with {status}: {errors[-1000:]}")
    seconds = time.perf_counter() - start
    return Used(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20)


def ours(folder: str, output_dir: str, *more: str) -> str:
    """The command that writes a folder's images with inatdet."""
    return " ".join(
        [
            *(sys.executable, "-m inatdet tfrecords --split=train"),
            f"--annotations={folder}/boxes.json --images_dir={folder} --output_dir={output_dir}",
            *more,
        ]
    )


def measure_speed(folder: str, count: int, repeats: int) -> None:
    """Prints how fast the writers are."""
    photographs(folder, count)
    output = os.path.join(folder, "output")
    shards = max(8, -(-count // 1000))
    theirs = (
        f"{sys.executable} -m official.vision.data.create_coco_tf_record --logtostderr "
        f"--image_dir={folder} --object_annotations_file={folder}/boxes.json "
        f"--output_file_prefix={output}/train --num_shards={shards}"
    )
    writers = {
        "cat": f"find {folder}/images -name '*.jpg' -print0 | xargs -0 cat > {output}/all",
        "inatdet tfrecords": ours(folder, output),
        "create_coco_tf_record": theirs,
    }
    size = sum(map(os.path.getsize, glob.glob(f"{folder}/images/*.jpg"))) / 1e6
    run(f"find {folder}/images -name '*.jpg' -print0 | xargs -0 cat > /dev/null")  # into the cache
    used: dict[str, list[Used]] = {name: [] for name in writers}
    for _ in range(repeats):
        for name, command in writers.items():
            shutil.rmtree(output, ignore_errors=True)
            os.makedirs(output)
            used[name].append(run(command, {"TF_CPP_MIN_LOG_LEVEL": "3"}))
    shutil.rmtree(output)
    seconds = {name: statistics.median(u.seconds for u in runs) for name, runs in used.items()}
    print(f"{count:,} photographs of {1000 * size / count:.0f} kB, {os.cpu_count()} cores\n")
    print_table(
        ("writer", "seconds", "MB/s", "seconds of processors"),
        (
            (
                name,
                f"{seconds[name]:.1f}",
                f"{size / seconds[name]:.0f}",
                f"{statistics.median(u.processors for u in runs):.1f}",
            )
            for name, runs in used.items()
        ),
    )
    mine = seconds["inatdet tfrecords"]
    print_targets(
        [
            Target("rate of `cat`", seconds["cat"] / mine, 0.6),
            Target("rate of create_coco_tf_record", seconds["create_coco_tf_record"] / mine, 4.0),
        ]
    )


def measure_memory(folder: str, count: int) -> tuple[str, ...]:
    """A row about a dataset of some size."""
    os.makedirs(os.path.join(folder, "tiny"), exist_ok=True)
    for i in range(_TINY):
        picture = PIL.Image.new("RGB", (16, 12), (i % 256, i // 256, 0))
        picture.save(os.path.join(folder, "tiny", f"{i}.jpg"))
    path = os.path.join(folder, "boxes.json")
    names = [f"tiny/{i % _TINY}.jpg" for i in range(count)]
    write_annotations(path, names, (16, 12), boxes=int(_BOXES * count))
    read = "from inatdet.data.formats.coco import read_coco_annotations as read"
    nothing = run(f'{sys.executable} -c "{read}"')
    read += f"; read('{path}', images_dir='{folder}')"
    more = ["--keep_boxless"]
    if _LABELS.value:
        labels = os.path.join(folder, "labels.json")
        write_annotations(labels, names, (16, 12), boxes=count, species=_LABELLED_SPECIES)
        read = read.replace("; read", "; a = read") + (
            "; from inatdet.data.formats.image_labels import read_image_labels"
            f"; l = read_image_labels('{labels}', files_needed=True)"
            "; from inatdet.tfrecords.joining import join; join(a, l)"
        )
        more.append(f"--image_labels={labels}")
    reading = run(f'{sys.executable} -c "{read}"')
    output = os.path.join(folder, "output")
    shutil.rmtree(output, ignore_errors=True)
    writing = run(ours(folder, output, "--shards=0/16", *more))
    shutil.rmtree(output)
    return (
        f"{count:,}",
        f"{os.path.getsize(path) / 1e6:,.0f} MB",
        f"{reading.seconds - nothing.seconds:.1f} s",
        f"{reading.processors - nothing.processors:.1f} s",
        f"{reading.peak:.2f} GiB",
        f"{writing.processors:.1f} s",
        f"{writing.peak:.2f} GiB",
    )


def main(argv: Sequence[str]) -> None:
    """Measures and prints tables."""
    del argv
    if _IMAGES.value:
        folder = os.path.join(_WORK_DIR.value, f"photographs-{_IMAGES.value}")
        measure_speed(folder, _IMAGES.value, _REPEATS.value)
    if sizes := [int(size) for size in _SIZES.value if int(size)]:
        folder = os.path.join(_WORK_DIR.value, "large")
        header = (
            *("images", "JSON", "reading it", "of processors", "peak"),
            *("writing 1/16, of processors", "peak"),
        )
        print_table(header, [measure_memory(folder, size) for size in sizes])


if __name__ == "__main__":
    app.run(main)
