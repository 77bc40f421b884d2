"""The part of `inatdet evaluate` that is about detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from absl import flags

from inatdet.data.annotations import Annotations
from inatdet.data.best_of_classes import PAPER_MOST_PER_CLASS
from inatdet.data.detections import Detections
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.errors import InputError
from inatdet.evaluation.average_precision import Engine
from inatdet.evaluation.label_errors import MOST_LISTED
from inatdet.programs.detection_flags import detections_by_model, read_detections_of
from inatdet.programs.flags import define_all_images, granularities_of
from inatdet.programs.running import command, progress
from inatdet.report.classification.report import ClassificationReport
from inatdet.report.report import Report, evaluate

# The flags defined here belong to the program, and so do their lines of help.
flags.disclaim_key_flags()

Paths = Mapping[tuple[Granularity, Granularity], str]
"""The files by the granularity of the model and that of its detections."""


def define_flags() -> None:
    """Defines the flags that only detections have."""
    define_all_images()
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
    flags.DEFINE_bool("fiftyone", False, "Write the likely errors for FiftyOne as well.")
    flags.DEFINE_enum_class(
        "engine", Engine.INATDET, Engine, "What counts; the libraries are slower and agree."
    )


def paths_of(values: flags.FlagValues) -> Paths:
    """The files of detections that the flags name.

    Raises:
        InputError: there are none, or flags contradict each other.
    """
    paths = detections_by_model(values.detections)
    if values.fiftyone and not values.label_errors:
        raise InputError(
            "--fiftyone writes the likely errors of the annotations, which --label_errors=0 leaves "
            "out; give one of the two"
        )
    return paths


def read(values: flags.FlagValues, paths: Paths, truth: Annotations) -> list[Detections]:
    """Reads the files of `paths_of`."""
    return read_detections_of(paths, truth, values.names, values.corners)


def report_of(
    values: flags.FlagValues,
    truth: Annotations,
    found: Sequence[Detections],
    training: Annotations | None,
    frequency_bins: Sequence[int],
) -> Report:
    """Evaluates detections as the flags say."""
    return evaluate(
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


def save(values: flags.FlagValues, report: Report, other: ClassificationReport | None) -> None:
    """Writes the report; its page leads to another one in the folder, if there is one."""
    beside = [other] if other else []
    report.save(values.output_dir, values.latex, progress, beside=beside, fiftyone=values.fiftyone)
