r"""Evaluates detections: the paper's Tables 5 and 6 and its precision-recall curves.

    inatdet evaluate --annotations=val_2017_bboxes.json \
        --detections=species=SPECIES.parquet --detections=super=SUPER.parquet \
        --detections=generic=GENERIC.parquet --output_dir=REPORT

Each file may be Parquet, as `inatdet detect` writes it; COCO or LVIS results JSON from any
framework, in which `category_id` is the dataset's category id for species and the taxonomy's label
for super and generic; a folder of YOLO's .txt files (with --names=data.yaml, unless class i is
label i + 1); or a folder of the Pascal VOC devkit's results. Any one of the three is enough.
TensorFlow is not needed.

With --train_annotations the report has rows for rare, common and frequent species, in LVIS's bins
or those of --frequency_bins.

With --resamples=200 every number of Tables 5 and 6 gets a 95% interval; with --images_dir the page
report.html shows detections on images; --latex writes the tables for LaTeX as well.

The report also lists true boxes that the finest model contradicts. With --fiftyone they are written
for FiftyOne too, where they can be looked at and corrected:

    import fiftyone as fo
    dataset = fo.Dataset.from_json("REPORT/fiftyone.json", rel_dir="IMAGES")

--most_per_class=10000 adds AP-Fixed and AP-Pool, for which no image has a limit of detections. They
need a file that `inatdet detect --most_per_class=10000` wrote: the usual one has the best of each
image, and these measures would repeat what AP says.

Coarse detections that a fine model made by summing its probabilities (`inatdet detect
--granularities=super,generic`) are given as --detections=species/super=PATH and so on.

Two models are tested against each other by `inatdet compare`. In Python, `inatdet.evaluate` does
the same as this program.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from inatdet.data.best_of_classes import PAPER_MOST_PER_CLASS
from inatdet.data.formats.reading import read_annotations
from inatdet.data.granularity import ALWAYS
from inatdet.errors import InputError
from inatdet.evaluation.average_precision import Engine
from inatdet.evaluation.frequency import LVIS, bins_of
from inatdet.evaluation.label_errors import MOST_LISTED
from inatdet.programs.flags import (
    define_all_images,
    define_images_dir,
    define_strict,
    define_truth,
    detections_by_model,
    granularities_of,
    noted,
    read_detections_of,
    read_truth,
    whole_numbers_of,
    writing_to,
)
from inatdet.programs.running import command, progress
from inatdet.report.report import evaluate


def define_flags() -> None:
    """Defines this program's flags."""
    define_truth()
    define_images_dir("The folder that file names start from, to show some images.")
    define_all_images()
    define_strict()
    flags.DEFINE_list(
        "levels",
        [str(level) for level in ALWAYS],
        "The levels that tables show besides those of the models, such as species,genus,super; "
        "the ladder has all that the label spaces have.",
    )
    flags.DEFINE_multi_string(
        "detections",
        [],
        "GRANULARITY=PATH: Parquet, COCO results JSON, or a folder of YOLO's or VOC's results.",
    )
    flags.DEFINE_string("output_dir", None, "The folder for the report.", required=True)
    flags.DEFINE_string("train_annotations", None, "The training boxes, to be counted per species.")
    flags.DEFINE_list(
        "frequency_bins",
        [str(border) for border in LVIS],
        "The most training images of a rare species, and of a common one; others are frequent.",
    )
    flags.DEFINE_integer(
        "resamples",
        0,
        "Random halves of the images that 95% intervals come from; 0 for no intervals.",
        lower_bound=0,
    )
    flags.DEFINE_bool("errors", True, "Tell kinds of error apart.")
    flags.DEFINE_integer(
        "label_errors",
        MOST_LISTED,
        "How many likely errors of the annotations are listed of each kind; 0 for none.",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "most_per_class",
        0,
        "Also AP-Fixed and AP-Pool, which count so many detections of each species over all "
        f"images: {PAPER_MOST_PER_CLASS} in their paper; see the same flag of inatdet detect.",
        lower_bound=0,
    )
    flags.DEFINE_bool("latex", False, "Write the tables for LaTeX as well.")
    flags.DEFINE_bool("fiftyone", False, "Write the likely errors for FiftyOne as well.")
    flags.DEFINE_enum_class(
        "engine", Engine.INATDET, Engine, "What counts; the libraries are slower and agree."
    )


def main(argv: Sequence[str]) -> None:
    """Evaluates and writes the report."""
    del argv
    values = flags.FLAGS
    paths = detections_by_model(values.detections)
    if values.fiftyone and not values.label_errors:
        raise InputError(
            "--fiftyone writes the likely errors of the annotations, which --label_errors=0 leaves "
            "out; give one of the two"
        )
    frequency_bins = whole_numbers_of("--frequency_bins", values.frequency_bins)
    bins_of(frequency_bins)  # before files are read, which may take long
    if frequency_bins != [*LVIS] and not values.train_annotations:
        raise InputError("--frequency_bins needs the training boxes; give --train_annotations")
    with writing_to(values.output_dir):
        truth = read_truth(values)
        found = read_detections_of(paths, truth, values.names, values.corners)
        training = None
        if values.train_annotations:
            progress(f"reading {values.train_annotations}")
            training = read_annotations(
                values.train_annotations,
                super_categories=values.super_categories,
                on_bad=values.on_bad,
            )
        report = evaluate(
            truth,
            found,
            training=training,
            frequency_bins=frequency_bins,
            images_dir=values.images_dir,
            all_images=values.all_images,
            levels=granularities_of("--levels", values.levels),
            engine=values.engine,
            resamples=values.resamples,
            errors=values.errors,
            label_errors=values.label_errors,
            most_per_class=values.most_per_class,
            strict=values.strict,
            notify=progress,
            command=command(),
        )
        try:
            report.save(values.output_dir, values.latex, progress, fiftyone=values.fiftyone)
        finally:  # what was computed is not lost with a full disk
            print(report)
    progress(f"the report is in {values.output_dir}{noted(report.warnings)}")
