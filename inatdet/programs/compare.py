r"""Tests two models of one dataset against each other, on the same images.

    inatdet compare --annotations=val_2017_bboxes.json species=A.parquet super=B.json \
        --output_dir=REPORT

    inatdet compare --labels=val2017.json inception_v3=A.parquet resnet_101=B.csv \
        --output_dir=REPORT

The files are detections, or with --labels predictions of classifiers, of the kinds that `inatdet
evaluate` takes. Every measure is counted again on random
halves of the images, the same for both models; printed and written are the differences, second
minus first, their 95% intervals and p-values. Models of two granularities are compared at the
coarser one; --merge=nms then suppresses duplicates of the finer model first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from absl import flags

from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from inatdet.evaluation.classification.protocol import MAIN_SPLIT
from inatdet.evaluation.granularities import Merge
from inatdet.programs.detection_flags import granularity_and_path, read_detections_at
from inatdet.programs.flags import (
    define_all_images,
    define_images_dir,
    define_strict,
    define_truth,
    noted,
    writing_to,
)
from inatdet.programs.predictions import (
    define_labels,
    label_spaces_of,
    one_path_of_labels,
    read_predictions_at,
    two_models,
)
from inatdet.programs.reading import read_labels_as_flags_say, read_truth
from inatdet.programs.running import command, progress
from inatdet.report.classification.comparison import compare_predictions
from inatdet.report.comparison import compare
from inatdet.report.paired import PairedReport

MAX_ARGUMENTS = 2


def define_flags() -> None:
    """Defines this program's flags."""
    define_truth(required=False)
    define_labels()
    define_images_dir("The images, whose sizes YOLO's labels need.")
    define_all_images()
    define_strict()
    flags.DEFINE_string("output_dir", None, "The folder for the result.", required=True)
    flags.DEFINE_integer(
        "resamples", 1000, "Random halves of the images that intervals come from.", lower_bound=2
    )
    flags.DEFINE_enum(
        "merge",
        str(Merge.NONE),
        [str(Merge.NONE), str(Merge.NMS)],
        "What happens to the detections of the finer model.",
    )


def main(argv: Sequence[str]) -> None:
    """Compares and writes the result."""
    values = flags.FLAGS
    if len(argv) != 3:
        what, form = ("predictions", "MODEL") if values.labels else ("detections", "GRANULARITY")
        raise InputError(
            f"compare takes two sets of {what}, not {len(argv) - 1}: {form}=PATH {form}=PATH"
        )
    if values.labels:
        labels, sides = one_path_of_labels(values.labels), two_models(argv[1:])
    else:
        models = [granularity_and_path("", item) for item in argv[1:]]
        if not values.annotations:
            raise InputError(
                "the ground truth is missing; give --annotations for detections or --labels for "
                "predictions"
            )
    with writing_to(values.output_dir):
        report: PairedReport
        if values.labels:
            report = _of_predictions(values, labels, sides)
        else:
            report = _of_detections(values, models)
        try:
            report.save(values.output_dir)
        finally:  # what was computed is not lost with a full disk
            print(report)
    progress(f"the comparison is in {values.output_dir}{noted(report.warnings)}")


def _of_detections(
    values: flags.FlagValues, sides: Sequence[tuple[Granularity, str]]
) -> PairedReport:
    truth = read_truth(values)
    first, second = (
        read_detections_at(path, truth, granularity, values.names, values.corners)
        for granularity, path in sides
    )
    return compare(
        truth,
        first,
        second,
        resamples=values.resamples,
        merge=values.merge,
        all_images=values.all_images,
        strict=values.strict,
        notify=progress,
        command=command(),
    )


def _of_predictions(values: flags.FlagValues, path: str, sides: Mapping[str, str]) -> PairedReport:
    truth = read_labels_as_flags_say(path, values)
    taxonomy = label_spaces_of({MAIN_SPLIT: truth}, values.taxonomy)
    found = {model: read_predictions_at(path, truth, taxonomy) for model, path in sides.items()}
    return compare_predictions(
        truth,
        found,
        taxonomy=values.taxonomy,
        resamples=values.resamples,
        strict=values.strict,
        notify=progress,
        command=command(),
    )
