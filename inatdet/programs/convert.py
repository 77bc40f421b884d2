r"""Converts annotations and detections from and to the formats of other programs.

Annotations become COCO-style JSON with super-categories, which every program here reads:

    inatdet convert --annotations=VOC/Annotations --super_categories=super.json \
        --output=val.json
    inatdet convert --annotations=labels/val --images_dir=images/val \
        --names=data.yaml --super_categories=super.json --output=val.json
    inatdet convert --annotations=lvis_v1_val.json --super_categories=super.json \
        --output=val.json
    inatdet convert --annotations=caltech_bboxes.json --super_categories=super.json \
        --images_dir=cct_images --output=val.json

The input may be a folder of Pascal VOC's .xml files, a folder of YOLO's .txt files, or a JSON file
of COCO, LVIS or COCO Camera Traps, whose text ids become numbers and whose images are measured if
sizes are missing; which one it is, is recognized. super.json says which super-class a category
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

from absl import flags

from inatdet.data.formats.writing import write_annotations, write_detections
from inatdet.data.granularity import Granularity
from inatdet.evaluation.plausibility import checked
from inatdet.evaluation.protocol import prepare
from inatdet.outputs import check_file
from inatdet.programs.detection_flags import granularity_and_path, read_detections_at
from inatdet.programs.flags import define_images_dir, define_strict, define_truth
from inatdet.programs.level_flags import define_granularity
from inatdet.programs.reading import read_truth
from inatdet.programs.running import command, progress


def define_flags() -> None:
    """Defines this program's flags."""
    define_truth("Class names of YOLO's files: a data.yaml, or one name per line.")
    define_strict()
    define_images_dir("The images, for the sizes that YOLO's labels and COCO Camera Traps lack.")
    flags.DEFINE_string(
        "detections",
        None,
        "GRANULARITY=PATH: Parquet, COCO or LVIS results JSON (also one per line), MegaDetector's "
        "JSON, or a folder of YOLO's or of the VOC devkit's results. Without it, the annotations "
        "are converted.",
    )
    flags.DEFINE_string("output", None, "The file to write, .json or .parquet.", required=True)
    define_granularity("granularity", None, "Whose labels to write; by default those of the input.")


def main(argv: Sequence[str]) -> None:
    """Reads and writes what the flags name."""
    del argv
    values = flags.FLAGS
    check_file(values.output)
    if values.detections is None:
        truth = read_truth(values, number_ids=True)
        write_annotations(truth, values.output, values.granularity or Granularity.SPECIES)
        written = f"{len(truth.images):,} images and {len(truth.boxes):,} boxes"
    else:
        trained_on, path = granularity_and_path("--detections=", values.detections)
        truth = read_truth(values, with_names=False)
        if values.granularity:
            truth.check_level(values.granularity)
        found = read_detections_at(path, truth, trained_on, values.names, values.corners)
        if len(truth.images):
            checked(prepare(truth, [found], all_images=True), strict=values.strict, notify=progress)
        granularity = values.granularity or trained_on
        count = write_detections(found, values.output, granularity, command=command())
        written = f"{count:,} {granularity} detections"
        if count < len(found):
            written += f"; {len(found) - count:,} without a label were left out"
    progress(f"{values.output}: {written}")
