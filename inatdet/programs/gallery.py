r"""Draws detections on images: green where the label is right, red where it is wrong.

    inatdet gallery --annotations=val_2017_bboxes.json --images_dir=IMAGES \
        --detections=species=SPECIES.parquet --choose=worst --count=20 --output_dir=GALLERY

Images are judged by their best-scored detection: `best` are right, `worst` are wrong, both with the
highest scores first; --name=Aves selects images of one species or super-class.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from inatdet.errors import InputError
from inatdet.evaluation.plausibility import checked, told
from inatdet.evaluation.protocol import prepare
from inatdet.programs.detection_flags import granularity_and_path, read_detections_at
from inatdet.programs.flags import (
    define_all_images,
    define_images_dir,
    define_strict,
    define_truth,
    writing_to,
)
from inatdet.programs.reading import read_truth
from inatdet.programs.running import progress
from inatdet.report.gallery import Choose, pictures, save, warnings_of
from inatdet.report.text import one_line


def define_flags() -> None:
    """Defines this program's flags."""
    define_truth()
    define_images_dir("The folder that file names start from.", required=True)
    define_all_images()
    define_strict()
    flags.DEFINE_string("detections", None, "GRANULARITY=PATH.", required=True)
    flags.DEFINE_string("output_dir", None, "The folder for the pictures.", required=True)
    flags.DEFINE_enum_class("choose", Choose.RANDOM, Choose, "Which images.")
    flags.DEFINE_integer("count", 12, "How many at most.", lower_bound=1)
    flags.DEFINE_string("name", "", "Only images of this species or super-class.")
    flags.DEFINE_integer("seed", 0, "The seed of the random choice.")


def main(argv: Sequence[str]) -> None:
    """Chooses, draws and writes the pictures."""
    del argv
    values = flags.FLAGS
    granularity, path = granularity_and_path("--detections=", values.detections)
    with writing_to(values.output_dir):
        truth = read_truth(values)
        found = read_detections_at(path, truth, granularity, values.names, values.corners)
        prepared = prepare(truth, [found], all_images=values.all_images)
        checked(prepared, strict=values.strict, notify=progress)
        unreadable: dict[str, str] = {}
        drawn = pictures(
            prepared,
            prepared.detections[0],
            values.images_dir,
            values.choose,
            values.count,
            name=values.name,
            seed=values.seed,
            unreadable=unreadable,
        )
        told(warnings_of(unreadable), strict=values.strict, notify=progress)
        if not drawn and unreadable:
            raise InputError(next(iter(unreadable.values())))
        if not drawn:
            raise InputError(f"{path}: has no such detection; try another --choose or --name")
        file_names = save(drawn, values.output_dir)
    for file_name, picture in zip(file_names, drawn):
        verdict = "right" if picture.right else "wrong"
        print(
            f"{file_name}: {one_line(' and '.join(picture.truth))}, detected as "
            f"{one_line(picture.answer)} ({picture.score:.2f}), {verdict}"
        )
    progress(f"{len(drawn)} pictures are in {values.output_dir}")
