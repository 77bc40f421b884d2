r"""Counts a dataset: species, images, boxes, imbalance, sizes (the paper's Section 3).

    inatdet statistics --train_annotations=train_2017_bboxes.json \
        --val_annotations=val_2017_bboxes.json --output_dir=STATISTICS
    inatdet statistics --train_labels=train2017.json --val_labels=val2017.json \
        --train_annotations=train_2017_bboxes.json --val_annotations=val_2017_bboxes.json \
        --output_dir=STATISTICS

Annotations with boxes may be of any kind that `inatdet evaluate` reads; labels are COCO-style JSON
without boxes, as iNat2017 to iNat2021 are published for classification. Any one of the four will
do. The paper counts images by the labels and boxes by the annotations, so its numbers need all of
them. Who took the photographs is told by --train_observers and --val_observers.

The folder gets the page statistics.html, statistics.md, statistics.json, and each table as CSV and
figure as PNG. In Python, `inatdet.statistics` does the same as this program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from absl import flags

from inatdet.data.formats.observers import read_observers
from inatdet.errors import InputError
from inatdet.programs.flags import (
    define_images_dir,
    define_reading,
    define_strict,
    noted,
    read_as_flags_say,
    read_labels_as_flags_say,
    writing_to,
)
from inatdet.programs.running import command, progress
from inatdet.report.statistics import statistics

_FILES = ("train_annotations", "val_annotations", "train_labels", "val_labels")

T = TypeVar("T")


def define_flags() -> None:
    """Defines this program's flags."""
    for split, name in (("train", "training"), ("val", "validation")):
        flags.DEFINE_string(f"{split}_annotations", None, f"The boxes of the {name} images.")
        flags.DEFINE_string(f"{split}_labels", None, f"What each {name} image shows: JSON.")
        flags.DEFINE_string(
            f"{split}_observers",
            None,
            f"Who took each {name} image: a JSON list with `id` and `user_id`, as "
            f"{split}2017_locations.json, or a file whose images have an observer.",
        )
    define_reading()
    define_images_dir("The images, whose sizes YOLO's labels need.")
    define_strict()
    flags.DEFINE_string("output_dir", None, "The folder for the statistics.", required=True)
    flags.DEFINE_bool("latex", False, "Write the tables for LaTeX as well.")


def main(argv: Sequence[str]) -> None:
    """Counts and writes the report."""
    del argv
    values = flags.FLAGS
    if not any(values[name].value for name in _FILES):
        raise InputError(f"nothing to count; give --{', --'.join(_FILES[:-1])} or --{_FILES[-1]}")
    for split in ("train", "val"):
        files = (values[f"{split}_annotations"].value, values[f"{split}_labels"].value)
        if values[f"{split}_observers"].value and not any(files):
            raise InputError(
                f"--{split}_observers needs the images; give --{split}_annotations or "
                f"--{split}_labels"
            )
    with writing_to(values.output_dir):
        report = statistics(
            _read(values.train_annotations, lambda path: read_as_flags_say(path, values)),
            _read(values.val_annotations, lambda path: read_as_flags_say(path, values)),
            train_labels=_read(
                values.train_labels, lambda path: read_labels_as_flags_say(path, values)
            ),
            val_labels=_read(
                values.val_labels, lambda path: read_labels_as_flags_say(path, values)
            ),
            train_observers=_read(values.train_observers, read_observers),
            val_observers=_read(values.val_observers, read_observers),
            strict=values.strict,
            notify=progress,
            command=command(),
        )
        try:
            report.save(values.output_dir, values.latex, progress)
        finally:  # what was counted is not lost with a full disk
            print(report)
    progress(f"the statistics are in {values.output_dir}{noted(report.warnings)}")


def _read(path: str | None, read: Callable[[str], T]) -> T | None:
    """What a flag names; None if it names nothing."""
    return read(path) if path else None
