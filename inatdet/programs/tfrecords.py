"""TODO."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags

from inatdet.data.checking import OnBad
from inatdet.data.taxonomy import Granularity
from inatdet.tfrecords.writing import Conversion, convert


def define_flags() -> None:
    flags.DEFINE_string("annotations", None, "COCO-style JSON with the boxes.", required=True)
    flags.DEFINE_string("images_dir", None, "Folder that its file names start from.", required=True)
    flags.DEFINE_string("output_dir", None, "Folder to write to.", required=True)
    flags.DEFINE_string(
        "split", None, "First part of the shards' names: train, val.", required=True
    )
    flags.DEFINE_integer("num_shards", 0, "0: one a thousand images, but at least eight.")
    flags.DEFINE_enum_class(
        "granularity",
        Granularity.SPECIES,
        Granularity,
        "Whose labels stock OD API and Model Garden readers see; all three are written.",
    )
    flags.DEFINE_string("taxonomy", None, "taxonomy.json to use: give train's when writing val.")
    flags.DEFINE_list("super_classes", [], "Super-classes in the order of their labels.")
    flags.DEFINE_enum_class(
        "on_bad", OnBad.ERROR, OnBad, "Stop at bad records and images, or leave them out."
    )
    flags.DEFINE_bool("keep_boxless", False, "Write images without any box too.")
    flags.DEFINE_integer("seed", 0, "Of the shuffling of images into shards.")
    flags.DEFINE_integer("threads", 8, "Image files to read at the same time.")


def main(argv: Sequence[str]) -> None:
    """Runs the program; see the module's docstring."""
    del argv
    values = flags.FLAGS
    conversion = Conversion(
        annotations=values.annotations,
        images_dir=values.images_dir,
        output_dir=values.output_dir,
        split=values.split,
        num_shards=values.num_shards,
        granularity=values.granularity,
        taxonomy=values.taxonomy,
        super_classes=tuple(values.super_classes),
        on_bad=values.on_bad,
        keep_boxless=values.keep_boxless,
        seed=values.seed,
        threads=values.threads,
    )
    summary = convert(conversion, progress=True)
    print(
        f"{conversion.output_dir}: {summary['images']} images with {summary['boxes']} boxes in "
        f"{summary['shards']} shards of {conversion.split}"
    )
    for problem, count in summary["left_out"].items():
        print(f"left out: {count} ({problem})")
    if count := summary["boxes_without_species_label"]:
        print(
            f"warning: {count} boxes have a species that {conversion.taxonomy} gives no label",
            file=sys.stderr,
        )
