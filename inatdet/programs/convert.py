r"""Converts annotations and detections from and to the formats of other programs.

Annotations become COCO-style JSON with super-categories, which every program here reads:

    inatdet convert --annotations=VOC/Annotations --super_categories=super.json \
        --output=val.json
    inatdet convert --annotations=labels/val --images_dir=images/val \
        --names=data.yaml --super_categories=super.json --output=val.json
    inatdet convert --annotations=lvis_v1_val.json --super_categories=super.json \
        --output=val.json

The input may be a folder of Pascal VOC's .xml files, a folder of YOLO's .txt files, or a JSON file
of COCO or LVIS; which one it is, is recognized. super.json says which super-class a category
belongs to: {"Corvus corax": "Aves", ...}. (LVIS annotates only some categories in each image, and
its own evaluation knows which; COCO's, which is used here, counts any other detection as wrong.)

Detections of any kind become Parquet or COCO results JSON, depending on the extension of --output:

    inatdet convert --annotations=val.json --detections=species=runs/detect/val/labels \
        --names=data.yaml --output=species.parquet

With --granularity=super or generic, detections and annotations are written with the labels of that
granularity as category ids; the two files match each other and work with any COCO evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from absl import flags

from inatdet.data.annotations import Annotations
from inatdet.data.detections import Detections
from inatdet.data.formats.coco import write_coco_annotations, write_coco_detections
from inatdet.data.formats.parquet import DetectionsWriter
from inatdet.data.formats.reading import read_detections
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.programs.flags import (
    define_images_dir,
    define_truth,
    granularity_and_path,
    progress,
    read_truth,
)

JSON, PARQUET = ".json", ".parquet"


def convert_annotations(
    annotations: Annotations, taxonomy: Taxonomy, output: str, granularity: Granularity
) -> str:
    """Writes annotations.

    Args:
        annotations: what to write.
        taxonomy: their label spaces.
        output: the file, .json.
        granularity: whose labels become its categories.

    Returns:
        What was written, in words.

    Raises:
        InputError: `output` has another extension.
    """
    _check_ending(output, (JSON,))
    write_coco_annotations(output, annotations, taxonomy, granularity)
    left_out = sum(annotations.skipped.values())
    skipped = f"; {left_out} bad entries were left out" if left_out else ""
    return f"{len(annotations.images):,} images and {len(annotations.boxes):,} boxes{skipped}"


def convert_detections(
    detections: Detections, taxonomy: Taxonomy, output: str, granularity: Granularity
) -> str:
    """Writes the detections that have a label at a granularity.

    Args:
        detections: what to write.
        taxonomy: the label spaces that they were read with.
        output: the file, .json or .parquet.
        granularity: whose labels to write.

    Returns:
        What was written, in words.

    Raises:
        InputError: `output` has another extension, or the detections are too coarse.
    """
    _check_ending(output, (PARQUET, JSON))
    if granularity not in detections.labels:
        raise InputError(
            f"{detections.path}: {detections.trained_on} detections cannot be made finer; give "
            f"--granularity={detections.trained_on} or a coarser one"
        )
    labels = detections.labels[granularity]
    kept = np.flatnonzero(labels)
    if output.lower().endswith(JSON):
        write_coco_detections(output, detections, taxonomy, granularity)
    else:
        with DetectionsWriter(
            output,
            granularity,
            taxonomy,
            model=detections.model,
            settings=detections.settings,
        ) as writer:
            for rows in np.array_split(kept, len(kept) // (1 << 17) + 1):
                writer.append(
                    detections.image_ids[rows],
                    labels[rows],
                    detections.scores[rows],
                    detections.boxes[rows],
                )
    without = len(detections) - len(kept)
    left_out = f"; {without:,} without a label were left out" if without else ""
    return f"{len(kept):,} {granularity} detections{left_out}"


def _check_ending(output: str, endings: Sequence[str]) -> None:
    if not output.lower().endswith(tuple(endings)):
        raise InputError(f"--output={output}: must end in {' or '.join(endings)}")


def define_flags() -> None:
    """Defines this program's flags."""
    define_truth("Class names of YOLO's files: a data.yaml, or one name per line.")
    define_images_dir("The images, whose sizes YOLO's labels need.")
    flags.DEFINE_string(
        "detections",
        None,
        "GRANULARITY=PATH: Parquet, COCO or LVIS results JSON, or a folder of YOLO's or of the VOC "
        "devkit's results. Without it, the annotations are converted.",
    )
    flags.DEFINE_string("output", None, "The file to write, .json or .parquet.", required=True)
    flags.DEFINE_enum_class(
        "granularity", None, Granularity, "Whose labels to write; by default those of the input."
    )


def main(argv: Sequence[str]) -> None:
    """Reads and writes what the flags name."""
    del argv
    values = flags.FLAGS
    if values.detections is None:
        truth = read_truth(values)
        written = convert_annotations(
            truth, truth.taxonomy, values.output, values.granularity or Granularity.SPECIES
        )
    else:
        trained_on, path = granularity_and_path("--detections=", values.detections)
        truth = read_truth(values, with_names=False)
        found = read_detections(
            path, truth, granularity=trained_on, names=values.names, corners=values.corners
        )
        written = convert_detections(
            found, truth.taxonomy, values.output, values.granularity or trained_on
        )
    progress(f"{written} are in {values.output}")
