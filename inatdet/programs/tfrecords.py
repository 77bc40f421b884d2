r"""Writes a dataset's images and boxes as TFRecords.

    inatdet tfrecords --annotations=train_2017_bboxes.json --images_dir=inat2017 \
        --output_dir=records --split=train
    inatdet tfrecords --annotations=val_2017_bboxes.json --images_dir=inat2017 \
        --output_dir=records --split=val --taxonomy=records/taxonomy.json

For classification, --image_labels=train2017.json gives what each image shows as a whole, with
--annotations or without; its images are written too, with boxes or without. Its label spaces are
written as `image_taxonomy.json`, to be given for val as --image_taxonomy.

The output folder contains `<split>-00000-of-00016.tfrecord` and so on, `taxonomy.json`, a label map
per level, `<split>.label_counts.json` with how often each category occurs, and, once the split
is complete, `<split>.json` with what was written, what was left out, and why. To resume an
interrupted run, give the same command again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from absl import flags

from inatdet.data.checking import OnBad
from inatdet.data.granularity import Granularity
from inatdet.programs.level_flags import define_granularity, define_ranks
from inatdet.programs.running import progress
from inatdet.tfrecords.conversion import Conversion, LeaveOut
from inatdet.tfrecords.writing import convert

_THREADS = 8  # at least: disks and networks answer many requests at a time


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string("annotations", None, "COCO-style JSON with the boxes.")
    flags.DEFINE_string(
        "image_labels",
        None,
        "COCO-style JSON with the categories of whole images, for classifiers.",
    )
    flags.DEFINE_string("images_dir", None, "Folder that its file names are relative to.")
    flags.DEFINE_string(
        "images_tar", None, "An archive of the images instead, which is not unpacked."
    )
    flags.DEFINE_string("output_dir", None, "Folder to write to.", required=True)
    flags.DEFINE_string(
        "split", None, "First part of the shards' names, such as train or val.", required=True
    )
    flags.DEFINE_integer("num_shards", 0, "0 means one per thousand images, but at least eight.")
    define_granularity(
        "granularity",
        Granularity.SPECIES,
        "Whose labels readers of standard Object Detection API or Model Garden files see; our own "
        "look the labels of any level up.",
    )
    define_ranks()
    flags.DEFINE_string("taxonomy", None, "taxonomy.json to use: for val, that of train.")
    flags.DEFINE_string(
        "image_taxonomy", None, "image_taxonomy.json to use: for val, that of train."
    )
    flags.DEFINE_list("super_classes", [], "Super-classes in the order of their labels.")
    flags.DEFINE_enum_class(
        "on_bad", OnBad.ERROR, OnBad, "Stop at bad entries and images, or leave them out."
    )
    flags.DEFINE_multi_enum_class(
        "leave_out",
        [],
        LeaveOut,
        "Pictures to leave out though they can be used; several times for several kinds. To find "
        "holes, every picture is decoded.",
    )
    flags.DEFINE_string(
        "leave_out_listed",
        None,
        "A CSV file whose column image_id lists images to leave out, such as problems.csv of "
        "inatdet check.",
    )
    flags.DEFINE_bool(
        "keep_boxless",
        False,
        "Also write images of --annotations without boxes, as images of none.",
    )
    flags.DEFINE_integer("seed", 0, "Seed of the shuffling of images into shards.")
    flags.DEFINE_string(
        "shards",
        "",
        "Write only a part, as one of several jobs: 3/16 is the fourth of 16 parts, 40-59 are "
        "shards. See docs/records.md.",
    )
    flags.DEFINE_integer(
        "threads",
        0,
        "Number of image files to read at the same time; 0 for two per core, but at least 8.",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "processes",
        0,
        "Number of processes to divide them among, each of which writes one shard at a time; 0 for "
        "one per core. More than one need Linux.",
        lower_bound=0,
    )


def main(argv: Sequence[str]) -> None:
    """Runs the program; see the module's docstring."""
    del argv
    values = flags.FLAGS
    cores = os.cpu_count() or 1
    threads = values.threads or max(_THREADS, 2 * cores)
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
        threads=threads,
        processes=values.processes or min(threads, cores),
        ranks=values.ranks,
        genus_from_names=values.genus_from_names,
        images_tar=values.images_tar,
        shards=values.shards,
        leave_out=tuple(values.leave_out),
        leave_out_listed=values.leave_out_listed,
        image_labels=values.image_labels,
        image_taxonomy=values.image_taxonomy,
    )
    progress(f"reading {conversion.sources}")
    summary = convert(conversion, progress=True)
    for note in summary["notes"]:
        progress(f"note: {note}")
    print(
        f"{conversion.output_dir}: {summary['images']} images with {summary['boxes']} boxes in "
        f"{summary['shards']} shards of {conversion.split}"
    )
    if (boxed := summary.get("boxed_images")) is not None:
        print(f"{summary['images'] - boxed} of the images have no boxes, only a label")
    if unwritten := summary.get("unwritten"):
        print(
            f"{unwritten} shards of {conversion.split} are still to be written; the part that ends "
            "last joins all of them"
        )
    for problem, count in summary["left_out"].items():
        print(f"left out: {count} ({problem})")
    if count := summary["turned"]:
        print(
            f"warning: {count} of {summary['images']} pictures have an EXIF orientation, which is "
            "ignored; look whether their boxes were drawn upright (`inatdet check` lists them)",
            file=sys.stderr,
        )
    for what, taxonomy in (("boxes", "taxonomy"), ("images", "image_taxonomy")):
        if count := summary.get(f"{what}_without_species_label"):
            print(
                f"warning: {count} {what} have a species without a label in "
                f"{getattr(conversion, taxonomy)}",
                file=sys.stderr,
            )
