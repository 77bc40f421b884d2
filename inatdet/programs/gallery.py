r"""Draws detections on images: green where the species is right, red where it is wrong.

    inatdet gallery --annotations=val_2017_bboxes.json --images_dir=IMAGES \
        --detections=species=SPECIES.parquet --choose=worst --count=20 --output_dir=GALLERY

Images are judged by their best-scored detection: `best` are right, `worst` are wrong, both with the
highest scores first; `--name=Aves` looks only at images of one species or super-class.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from absl import flags

from inatdet.data.checking import OnBad
from inatdet.data.formats.coco import read_annotations
from inatdet.data.formats.detections import read_detections
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation.protocol import images_to_evaluate, in_images
from inatdet.files import atomic_path
from inatdet.report.gallery import Choose, pictures


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string("annotations", None, "The ground truth: COCO-style JSON.", required=True)
    flags.DEFINE_string("images_dir", None, "Where its file names start from.", required=True)
    flags.DEFINE_string("detections", None, "GRANULARITY=PATH.", required=True)
    flags.DEFINE_string("output_dir", None, "Where the pictures go.", required=True)
    flags.DEFINE_string("taxonomy", None, "A taxonomy.json, instead of deriving label spaces.")
    flags.DEFINE_enum_class("choose", Choose.RANDOM, Choose, "Which images.")
    flags.DEFINE_integer("count", 12, "How many at most.", lower_bound=1)
    flags.DEFINE_string("name", "", "Only images of this species or super-class.")
    flags.DEFINE_integer("seed", 0, "Of the random choice.")
    flags.DEFINE_bool("all_images", False, "Also images with several boxes.")
    flags.DEFINE_enum_class(
        "on_bad", OnBad.ERROR, OnBad, "What to do with bad records in the annotations."
    )


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    name, equals, path = values.detections.partition("=")
    if name not in set(Granularity) or not equals or not path:
        raise InputError(f"--detections={values.detections}: must be GRANULARITY=PATH")
    granularity = Granularity(name)
    annotations = read_annotations(values.annotations, values.on_bad)
    taxonomy = Taxonomy.load(values.taxonomy) if values.taxonomy else annotations.taxonomy
    kept = images_to_evaluate(annotations, values.all_images)
    found = in_images(
        read_detections(path, granularity, taxonomy, annotations.images), annotations, kept
    )
    drawn = pictures(
        kept,
        taxonomy,
        found,
        values.images_dir,
        values.choose,
        values.count,
        name=values.name,
        granularity=granularity,
        seed=values.seed,
    )
    if not drawn:
        raise InputError(f"{path}: has no such detection; try another --choose or --name")
    os.makedirs(values.output_dir, exist_ok=True)
    for position, picture in enumerate(drawn, 1):
        file_name = f"{values.choose}-{position:03d}-{picture.image.id}.jpg"
        with (
            atomic_path(os.path.join(values.output_dir, file_name)) as temporary,
            open(temporary, "wb") as file,
        ):
            file.write(picture.jpeg)
        verdict = "right" if picture.right else "wrong"
        print(
            f"{file_name}: {' and '.join(picture.truth)}, said to be {picture.answer} "
            f"({picture.score:.2f}), {verdict}"
        )
    print(f"{len(drawn)} pictures are in {values.output_dir}", file=sys.stderr)
