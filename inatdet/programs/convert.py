r"""Turns annotations and detections of other programs into ours, and ours into COCO's JSON.

Annotations become COCO-style JSON with super-categories, which every program here reads:

    inatdet convert --annotations=VOC/Annotations --super_categories=super.json \
        --output=val.json
    inatdet convert --annotations=labels/val --images_dir=images/val \
        --names=data.yaml --super_categories=super.json --output=val.json
    inatdet convert --annotations=lvis_v1_val.json --super_categories=super.json \
        --output=val.json

The kind is seen from the files: a folder of Pascal VOC's .xml files, a folder of YOLO's .txt files,
or a JSON file of COCO or LVIS. super.json says which super-class a category belongs to:
{"Corvus corax": "Aves", ...}. (LVIS lists only some categories of each image and its own evaluation
knows which; COCO's, as here, counts a detection of another category as wrong.)

Detections of any kind become Parquet or COCO results JSON, as the ending of --output says:

    inatdet convert --annotations=val.json --detections=species=runs/detect/val/labels \
        --names=data.yaml --output=species.parquet

With --granularity=super or generic, detections and annotations are written with the labels of that
granularity as category ids; the two files fit each other and any program that evaluates COCO.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from absl import flags

from inatdet.data.annotations import Annotations
from inatdet.data.checking import OnBad
from inatdet.data.detections import Detections
from inatdet.data.formats.annotations import Options, read_any_annotations
from inatdet.data.formats.coco import write_annotations
from inatdet.data.formats.detections import DetectionsWriter, read_detections, write_coco_json
from inatdet.data.formats.names import read_names
from inatdet.data.formats.voc import Corners
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError

JSON, PARQUET = ".json", ".parquet"


def convert_annotations(
    annotations: Annotations, taxonomy: Taxonomy, output: str, granularity: Granularity
) -> str:
    """Writes annotations.

    Args:
        annotations: what to write.
        taxonomy: their label spaces.
        output: the file, .json.
        granularity: what its categories are.

    Returns:
        What was written, in words.

    Raises:
        InputError: the ending of `output` is another.
    """
    _check_ending(output, (JSON,))
    write_annotations(output, annotations, taxonomy, granularity)
    left_out = sum(annotations.skipped.values())
    skipped = f"; {left_out} bad records were left out" if left_out else ""
    return f"{len(annotations.images):,} images and {len(annotations.boxes):,} boxes{skipped}"


def convert_detections(
    detections: Detections, taxonomy: Taxonomy, output: str, granularity: Granularity
) -> str:
    """Writes detections, those without a label at the granularity left out.

    Args:
        detections: what to write.
        taxonomy: the label spaces that they were read with.
        output: the file, .json or .parquet.
        granularity: whose labels to write.

    Returns:
        What was written, in words.

    Raises:
        InputError: the ending of `output` is another, or the detections are too coarse.
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
        write_coco_json(output, detections, taxonomy, granularity)
    else:
        with DetectionsWriter(
            output, granularity, taxonomy, detections.model, detections.settings
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
    flags.DEFINE_string(
        "annotations",
        None,
        "COCO-style or LVIS JSON, a folder of Pascal VOC's XML or of YOLO's labels.",
        required=True,
    )
    flags.DEFINE_string(
        "detections",
        None,
        "GRANULARITY=PATH: Parquet, COCO or LVIS results JSON, a folder of YOLO's or of the VOC "
        "devkit's results. Without it, the annotations are converted.",
    )
    flags.DEFINE_string("output", None, "The file to write, .json or .parquet.", required=True)
    flags.DEFINE_enum_class(
        "granularity", None, Granularity, "Whose labels to write; by default as they are."
    )
    flags.DEFINE_string("taxonomy", None, "A taxonomy.json, instead of deriving label spaces.")
    flags.DEFINE_string("names", None, "The classes' names: YOLO's data.yaml, or one a line.")
    flags.DEFINE_string("super_categories", None, 'A JSON file, {"category": "super-class", ...}.')
    flags.DEFINE_string("images_dir", None, "The images that YOLO's labels are of.")
    flags.DEFINE_enum_class(
        "corners",
        Corners.INCLUSIVE,
        Corners,
        "VOC's corners: first and last pixel counted from 1, or edges counted from 0.",
    )
    flags.DEFINE_enum_class(
        "on_bad", OnBad.ERROR, OnBad, "What to do with bad records in the annotations."
    )


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    trained_on, path = Granularity.SPECIES, None
    if values.detections is not None:
        name, _, path = values.detections.partition("=")
        if name not in set(Granularity) or not path:
            raise InputError(f"--detections={values.detections}: must be GRANULARITY=PATH")
        trained_on = Granularity(name)
    options = Options(
        values.names if path is None else None,
        values.super_categories,
        values.images_dir,
        values.corners,
        values.on_bad,
    )
    annotations = read_any_annotations(values.annotations, options)
    taxonomy = Taxonomy.load(values.taxonomy) if values.taxonomy else annotations.taxonomy
    granularity = values.granularity or trained_on
    if path is None:
        written = convert_annotations(annotations, taxonomy, values.output, granularity)
    else:
        names = read_names(values.names) if values.names else None
        found = read_detections(
            path, trained_on, taxonomy, annotations.images, names, values.corners
        )
        written = convert_detections(found, taxonomy, values.output, granularity)
    print(f"{written} are in {values.output}", file=sys.stderr)
