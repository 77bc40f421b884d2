r"""Tests two models of one dataset against each other, on the same images.

    inatdet compare --annotations=val_2017_bboxes.json species=A.parquet super=B.json \
        --output_dir=REPORT

The files are of the kinds that `inatdet evaluate` takes. Every measure is counted again on random
halves of the images, the same for both models; printed and written are the differences, second
minus first, their 95% intervals and p-values. Models of two granularities are compared at the
coarser one; --merge=nms then suppresses duplicates of the finer model first.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from inatdet.errors import InputError
from inatdet.evaluation.granularities import Merge
from inatdet.programs.flags import (
    define_all_images,
    define_images_dir,
    define_strict,
    define_truth,
    granularity_and_path,
    noted,
    read_detections_at,
    read_truth,
    writing_to,
)
from inatdet.programs.running import command, progress
from inatdet.report.comparison import compare

MAX_ARGUMENTS = 2


def define_flags() -> None:
    """Defines this program's flags."""
    define_truth()
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
        raise InputError(
            f"compare takes two sets of detections, not {len(argv) - 1}: GRANULARITY=PATH "
            "GRANULARITY=PATH"
        )
    sides = [granularity_and_path("", item) for item in argv[1:]]
    with writing_to(values.output_dir):
        truth = read_truth(values)
        found = [
            read_detections_at(path, truth, granularity, values.names, values.corners)
            for granularity, path in sides
        ]
        report = compare(
            truth,
            *found,
            resamples=values.resamples,
            merge=values.merge,
            all_images=values.all_images,
            strict=values.strict,
            notify=progress,
            command=command(),
        )
        try:
            report.save(values.output_dir)
        finally:  # what was computed is not lost with a full disk
            print(report)
    progress(f"the comparison is in {values.output_dir}{noted(report.warnings)}")
