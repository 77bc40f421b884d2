r"""Evaluates detectors and classifiers: the paper's Tables 3 to 6, Figures 5 and 6.

    inatdet evaluate --annotations=val_2017_bboxes.json \
        --detections=species=SPECIES.parquet --detections=super=SUPER.parquet \
        --detections=generic=GENERIC.parquet --output_dir=REPORT

Each file may be Parquet, as `inatdet detect` writes it; COCO or LVIS results JSON from any
framework, in which `category_id` is the dataset's category id for species and the taxonomy's label
for super and generic; a folder of YOLO's .txt files (with --names=data.yaml, unless class i is
label i + 1); or a folder of the Pascal VOC devkit's results. Any one of the three is enough.
TensorFlow is not needed.

    inatdet evaluate --labels=val2017.json --train_labels=train2017.json \
        --predictions=inception_v3=A.parquet --predictions=resnet_101=B.csv --output_dir=REPORT

Predictions may be Parquet, as `inatdet classify` writes it; a table of category ids, the best
first, as Kaggle's `id,predicted`; a table of scores; or NumPy's logits or probabilities. Several
splits are given by their names, --labels=val=PATH --labels=public_test=PATH. Where --labels is
missing, the boxes of --annotations say what images show. The page is classification.html; with
detections as well there are both reports, and each page leads to the other.

With --train_annotations or, for predictions, --train_labels there are rows for rare, common and
frequent species, in LVIS's bins or those of --frequency_bins.

With --resamples=200 the numbers of the paper's tables get 95% intervals; with --images_dir the
pages show detections on images, and what a classifier calls them; --latex writes the tables for
LaTeX as well.

The report on detections also lists true boxes that the finest model contradicts. With --fiftyone
they are written for FiftyOne too, where they can be looked at and corrected:

    import fiftyone as fo
    dataset = fo.Dataset.from_json("REPORT/fiftyone.json", rel_dir="IMAGES")

--most_per_class=10000 adds AP-Fixed and AP-Pool, for which no image has a limit of detections. They
need a file that `inatdet detect --most_per_class=10000` wrote: the usual one has the best of each
image, and these measures would repeat what AP says.

Coarse detections that a fine model made by summing its probabilities (`inatdet detect
--granularities=super,generic`) are given as --detections=species/super=PATH and so on.

Two models are tested against each other by `inatdet compare`. In Python, `inatdet.evaluate` and
`inatdet.evaluate_predictions` do the same as this program.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from inatdet.data.annotations import Annotations
from inatdet.data.formats.reading import read_annotations
from inatdet.errors import InputError
from inatdet.evaluation.frequency import LVIS, bins_of
from inatdet.programs import evaluate_detections, evaluate_predictions
from inatdet.programs.flags import (
    define_images_dir,
    define_strict,
    define_truth,
    noted,
    whole_numbers_of,
    writing_to,
)
from inatdet.programs.reading import read_truth
from inatdet.programs.running import progress


def define_flags() -> None:
    """Defines this program's flags."""
    define_truth(required=False)
    define_images_dir("The folder that file names start from, to show some images.")
    define_strict()
    flags.DEFINE_string("output_dir", None, "The folder for the reports.", required=True)
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
    flags.DEFINE_bool("latex", False, "Write the tables for LaTeX as well.")
    evaluate_detections.define_flags()
    evaluate_predictions.define_flags()


def main(argv: Sequence[str]) -> None:
    """Evaluates and writes the reports."""
    del argv
    values = flags.FLAGS
    # Before files are read, which may take long.
    named = evaluate_predictions.named(values) if values.predictions else None
    paths = evaluate_detections.paths_of(values) if values.detections or not named else None
    bins = _frequency_bins(values)
    with writing_to(values.output_dir):
        truth = _boxes(values) if paths or not (named and named.labels) else None
        found = evaluate_detections.read(values, paths, truth) if paths and truth else None
        given = evaluate_predictions.read(values, named, truth) if named else None
        training = _training_boxes(values)
        detected = classified = None
        if found is not None and truth is not None:
            detected = evaluate_detections.report_of(values, truth, found, training, bins)
        if given is not None:
            classified = evaluate_predictions.report_of(values, given, training, bins)
        try:
            if detected:
                evaluate_detections.save(values, detected, classified)
            if classified:
                evaluate_predictions.save(values, classified, detected)
        finally:  # what was computed is not lost with a full disk
            print("\n\n".join(str(report) for report in (detected, classified) if report))
    warnings = [w for report in (detected, classified) if report for w in report.warnings]
    reports = "reports are" if detected and classified else "report is"
    progress(f"the {reports} in {values.output_dir}{noted(warnings)}")


def _frequency_bins(values: flags.FlagValues) -> list[int]:
    bins = whole_numbers_of("--frequency_bins", values.frequency_bins)
    bins_of(bins)
    if bins != [*LVIS] and not (values.train_annotations or values.train_labels):
        raise InputError(
            "--frequency_bins needs the training boxes; give --train_annotations or, for "
            "predictions, --train_labels"
        )
    return bins


def _boxes(values: flags.FlagValues) -> Annotations:
    if not values.annotations:
        raise InputError(
            "the ground truth is missing; give --annotations for detections or --labels for "
            "predictions"
        )
    return read_truth(values)


def _training_boxes(values: flags.FlagValues) -> Annotations | None:
    if not values.train_annotations:
        return None
    progress(f"reading {values.train_annotations}")
    return read_annotations(
        values.train_annotations,
        super_categories=values.super_categories,
        on_bad=values.on_bad,
    )
