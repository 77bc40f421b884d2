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

from collections.abc import Hashable, Sequence

from absl import flags

from inatdet.data.annotations import Annotations
from inatdet.data.formats.observers import read_observers
from inatdet.data.image_labels import ImageLabels
from inatdet.errors import InputError
from inatdet.programs.flags import define_reading, define_strict, noted, writing_to
from inatdet.programs.reading import read_as_flags_say, read_labels_as_flags_say
from inatdet.programs.running import command, progress
from inatdet.report.statistics import statistics

_FILES = ("train_annotations", "val_annotations", "train_labels", "val_labels")


def define_flags() -> None:
    """Defines this program's flags."""
    for split, name in (("train", "training"), ("val", "validation")):
        flags.DEFINE_string(f"{split}_annotations", None, f"The boxes of the {name} images.")
        flags.DEFINE_string(
            f"{split}_images_dir", None, f"The {name} images, whose sizes YOLO's labels need."
        )
        flags.DEFINE_string(f"{split}_labels", None, f"What each {name} image shows: JSON.")
        flags.DEFINE_string(
            f"{split}_observers",
            None,
            f"Who took each {name} image: a JSON list with `id` and `user_id`, as "
            f"{split}2017_locations.json, or a file whose images have an observer.",
        )
    define_reading()
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
            _annotations(values, "train"),
            _annotations(values, "val"),
            train_labels=_labels(values, "train"),
            val_labels=_labels(values, "val"),
            train_observers=_observers(values, "train"),
            val_observers=_observers(values, "val"),
            strict=values.strict,
            notify=progress,
            command=command(),
        )
        try:
            report.save(values.output_dir, values.latex, progress)
        finally:  # what was counted is not lost with a full disk
            print(report)
    progress(f"the statistics are in {values.output_dir}{noted(report.warnings)}")


def _annotations(values: flags.FlagValues, split: str) -> Annotations | None:
    path = values[f"{split}_annotations"].value
    if not path:
        return None
    return read_as_flags_say(path, values, images_dir=values[f"{split}_images_dir"].value)


def _labels(values: flags.FlagValues, split: str) -> ImageLabels | None:
    path = values[f"{split}_labels"].value
    return read_labels_as_flags_say(path, values) if path else None


def _observers(values: flags.FlagValues, split: str) -> dict[int, Hashable] | None:
    path = values[f"{split}_observers"].value
    return read_observers(path) if path else None
