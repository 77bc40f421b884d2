"""The time and memory that the statistics of a dataset take at the size of iNat2017.

    python -m benchmarks.dataset_statistics --output_dir=DIR

Writes invented files of the paper's size, unless they are there: labels of 675,170 images of 5,089
species in 13 super-classes, and 600,000 boxes in the images of nine of them. Only the counts of
images and species by super-class are the paper's. Then it counts them in a new process. The table
has the time of each step and the peak memory up to its end; the target is a ratio to `json.load` of
the same files, measured in the same run. Ratios are of processor time, as all of it runs on one
core.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from absl import app, flags

import inatdet
from benchmarks.measuring import Target, both_seconds, peak_gib, print_table, print_targets
from inatdet.data.super_classes import PAPER_SUPER_CLASSES
from inatdet.report.statistics_paper import TABLE_2

SPLITS = {"train": 1, "val": 2}  # columns of the paper's Table 2
_BOXES = 600_000
_SIZE = (800, 600)


def species_of_images(rng: np.random.Generator, column: int) -> np.ndarray:
    """A category id from 0 for each image, a long tail in each super-class, no species missing."""
    ids, first = [], 0
    for numbers in list(TABLE_2.values())[:-1]:
        count, images = numbers[0], numbers[column]
        assert images is not None
        weight = 1.0 / (1 + np.arange(count)) ** 0.6
        extra = rng.choice(count, images - count, p=weight / weight.sum())
        ids.append(first + np.concatenate([np.arange(count), extra]))
        first += count
    return rng.permutation(np.concatenate(ids))


def categories() -> list[dict[str, Any]]:
    """The 5,089 categories, super-class by super-class."""
    names = [n for n, numbers in list(TABLE_2.items())[:-1] for _ in range(numbers[0])]
    return [
        {"id": i, "name": f"Genus{i // 3} species{i}", "supercategory": name, "genus": f"G{i // 3}"}
        for i, name in enumerate(names)
    ]


def write(folder: str, seed: int = 0) -> None:
    """Writes train2017.json, train_2017_bboxes.json and the same for val."""
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(seed)
    listed = categories()
    has_boxes = np.array([c["supercategory"] in PAPER_SUPER_CLASSES for c in listed])
    for split, column in SPLITS.items():
        species = species_of_images(rng, column)
        images = [
            {
                "id": i,
                "file_name": f"train_val_images/{listed[k]['supercategory']}/{split}{i:032x}.jpg",
                "width": _SIZE[0],
                "height": _SIZE[1],
                "license": 3,
                "rights_holder": "Someone",
            }
            for i, k in enumerate(species.tolist())
        ]
        _save(
            os.path.join(folder, f"{split}2017.json"),
            {
                "images": images,
                "categories": listed,
                "annotations": [
                    {"id": i, "image_id": i, "category_id": k}
                    for i, k in enumerate(species.tolist())
                ],
            },
        )
        boxed = np.flatnonzero(has_boxes[species])
        share = len(boxed) / sum(TABLE_2["Total"][1:3])  # type: ignore[arg-type]
        extra = rng.choice(boxed, max(int(_BOXES * share) - len(boxed) // 2, 0))
        of_box = np.sort(np.concatenate([boxed, extra]))
        _save(
            os.path.join(folder, f"{split}_2017_bboxes.json"),
            {
                "images": [images[i] for i in boxed.tolist()],
                "categories": listed,
                "annotations": list(_boxes(rng, of_box, species)),
            },
        )


def _boxes(
    rng: np.random.Generator, of_box: np.ndarray, species: np.ndarray
) -> Iterator[Mapping[str, Any]]:
    corners = rng.uniform(0, 300, (len(of_box), 2))
    numbers = np.round(np.concatenate([corners, rng.uniform(10, 300, (len(of_box), 2))], 1), 1)
    for number, (image, box) in enumerate(zip(of_box.tolist(), numbers.tolist())):
        yield {
            "id": number,
            "image_id": image,
            "category_id": int(species[image]),
            "bbox": box,
            "area": box[2] * box[3] / 2,
            "iscrowd": 0,
        }


def _save(path: str, content: Mapping[str, Any]) -> None:
    with open(path, "wb") as file:
        file.write(msgspec.json.encode(content))


def _count(folder: str, results: multiprocessing.SimpleQueue) -> None:
    """Takes every step, in a process of its own; tells the seconds and the peak memory of each."""
    files: dict[str, Any] = {}
    steps: list[tuple[str, float, float, float]] = []

    def step(name: str, call: Any) -> None:
        steps.append((name, *both_seconds(call), peak_gib()))

    for split in SPLITS:
        labels, boxes = (
            os.path.join(folder, name)
            for name in (f"{split}2017.json", f"{split}_2017_bboxes.json")
        )
        step(
            f"labels of {split}",
            lambda path=labels, key=f"{split}_labels": files.update(
                {key: inatdet.read_image_labels(path)}
            ),
        )
        step(
            f"boxes of {split}",
            lambda path=boxes, key=split: files.update({key: inatdet.read_annotations(path)}),
        )
    report: list[inatdet.StatisticsReport] = []
    step("counting", lambda: report.append(inatdet.statistics(**files)))
    step("files and page", lambda: report[0].save(os.path.join(folder, "statistics")))
    total = report[0].table2["Total"]
    results.put((steps, (total.train_images, total.val_images, total.boxes, total.classes)))


def _write(folder: str, results: multiprocessing.SimpleQueue) -> None:
    write(folder)
    results.put(None)


def _load(folder: str, results: multiprocessing.SimpleQueue) -> None:
    def load(name: str) -> int:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return len(json.load(file))

    names = [f"{split}{end}" for split in SPLITS for end in ("2017.json", "_2017_bboxes.json")]
    results.put((sum(both_seconds(lambda name=name: load(name))[1] for name in names), peak_gib()))


def in_new_process(call: Any, folder: str) -> Any:
    """What a function puts into a queue, called in a process of its own."""
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    process = context.Process(target=call, args=(folder, results))
    process.start()
    found = results.get()
    process.join()
    return found


def main(argv: Sequence[str]) -> None:
    """Measures and prints a table."""
    del argv
    folder = flags.FLAGS.output_dir
    if not os.path.exists(os.path.join(folder, "val_2017_bboxes.json")):
        in_new_process(_write, folder)
    loading, loaded = in_new_process(_load, folder)
    steps, (train, val, boxes, classes) = in_new_process(_count, folder)
    print(f"{train:,} + {val:,} images, {boxes:,} boxes, {classes:,} species\n")
    print_table(
        ("step", "seconds", "of processor time", "peak memory so far"),
        [(name, f"{a:.1f}", f"{b:.1f}", f"{peak:.2f} GiB") for name, a, b, peak in steps],
    )
    everything, counting = (sum(step[2] for step in some) for some in (steps, steps[-2:]))
    print_targets(
        [
            Target("all of it, to json.load of the four files", everything / loading, 5, True),
            Target("counting and writing, to the same", counting / loading, 1, True),
            Target("peak memory, to json.load's of one file", steps[-1][3] / loaded, 1, True),
        ]
    )


if __name__ == "__main__":
    flags.DEFINE_string("output_dir", None, "The folder for the files.", required=True)
    app.run(main)
