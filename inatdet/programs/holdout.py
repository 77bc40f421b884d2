r"""Writes training annotations without some species, as a test of unknown animals.

    inatdet holdout --annotations=train_2017_bboxes.json --by=genus --share=0.2 \
        --output=train_known.json

A fifth of the genera (or species, or labels of any other level) is drawn at random; images that
show one of their species are left out, so that no animal is taught as background. Beside the
output, train_known.held_out.csv lists the species held out. Train on the output, then evaluate on
the whole validation set with --taxonomy of the new TFRecords: the report has a section on the
species that were never seen.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from absl import flags

from inatdet.data.formats.writing import write_annotations
from inatdet.data.granularity import Granularity
from inatdet.datasets.holdout import choose, hold_out
from inatdet.files import write_text
from inatdet.programs.flags import define_images_dir, define_truth
from inatdet.programs.level_flags import define_granularity
from inatdet.programs.reading import read_truth
from inatdet.programs.running import progress

_LIST_SUFFIX = ".held_out.csv"


def define_flags() -> None:
    """Defines this program's flags."""
    define_truth()
    define_images_dir("The images, whose sizes YOLO's labels need.")
    define_granularity("by", Granularity.SPECIES, "The level whose labels are held out.")
    flags.DEFINE_float("share", 0.2, "The share of its labels, above 0 and below 1.")
    flags.DEFINE_integer("seed", 0, "The seed of the draw.")
    flags.DEFINE_string("output", None, "The annotations to write, .json.", required=True)


def main(argv: Sequence[str]) -> None:
    """Draws species and writes the annotations without them."""
    del argv
    values = flags.FLAGS
    truth = read_truth(values)
    truth.check_level(values.by)
    holdout = hold_out(truth, choose(truth.taxonomy, values.by, values.share, values.seed))
    write_annotations(holdout.known, values.output)
    listed = os.path.splitext(values.output)[0] + _LIST_SUFFIX
    write_text(listed, holdout.table)
    progress(
        f"{values.output}: {len(holdout.known.images):,} images and {len(holdout.known.boxes):,} "
        f"boxes; {len(holdout.species):,} of {len(truth.taxonomy.species):,} species are held out "
        f"({holdout.images:,} images), listed in {listed}"
    )
