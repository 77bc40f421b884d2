r"""Names what images, or the boxes of a detector, show by a trained classifier.

    inatdet classify --model_dir=MODEL --input='RECORDS/val-*' --output=predictions.parquet
    inatdet classify --model_dir=MODEL --annotations=val2017.json --images_dir=IMAGES \
        --output=predictions.parquet

Images come from TFRecords, or from a folder and a JSON file that lists them, with labels or
without. The file has the --k most probable labels of each image, and for every coarser level of the
model's label spaces the sums of the probabilities of all labels; `inatdet evaluate --predictions`
turns it into tables. Where the weights were averaged in training, the averages are used.

    inatdet classify --model_dir=MODEL --input='RECORDS/val-*' --boxes=generic.parquet \
        --output=species.parquet --granularities=super

names what is in the boxes of a detector, of whatever framework, and writes detections that
`inatdet evaluate --detections=species=species.parquet` reads. A box becomes a detection of each of
its --labels_per_box best labels, whose score is that of the box times the probability of the label.
Boxes that overlap a better one of their image by an IoU above 0.6 are left out. Classifiers of
whole images can do that, and those that were trained on boxes (task.view=box) as they learned it.

What is done is kept in OUTPUT.parts until the file is whole; after an interruption, the same
command goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from absl import flags

from inatdet.data.annotations import Image
from inatdet.data.box_choice import MOST_CONTEXT, BoxChoice
from inatdet.data.detections import Detections
from inatdet.data.formats.detections import read_detections
from inatdet.data.formats.images import read_images
from inatdet.data.ranking import KEPT
from inatdet.errors import InputError
from inatdet.files import sha256_of
from inatdet.programs.flags import (
    define_images_dir,
    define_trained_model,
    granularities_of,
)
from inatdet.programs.libraries import quiet_libraries
from inatdet.programs.running import command, progress
from inatdet.report.gallery import check_images_dir

if TYPE_CHECKING:
    from inatdet.classification.config import ClassificationExperiment

# The flags that only one of the two ways of running has.
_OF_IMAGES = ("k",)
_OF_BOXES = (
    "boxes_level",
    "min_score",
    "boxes_per_image",
    "box_context",
    "labels_per_box",
    "granularities",
)


def define_flags() -> None:
    """Defines this program's flags."""
    define_trained_model()
    flags.DEFINE_string("output", None, "The Parquet file to write.", required=True)
    flags.DEFINE_string("input", None, "A pattern of TFRecord files.")
    flags.DEFINE_string(
        "annotations", None, "JSON that lists the images of --images_dir, instead of --input."
    )
    define_images_dir("The folder of the images that --annotations lists.")
    flags.DEFINE_bool("any_labels", False, "Classify TFRecords of other categories, too.")
    flags.DEFINE_integer("k", KEPT, "How many labels of an image to write.", lower_bound=1)
    choice = BoxChoice()
    flags.DEFINE_string("boxes", None, "Detections, whose boxes are classified.")
    flags.DEFINE_string(
        "boxes_level", None, "The level of their labels, where the file does not say it: generic."
    )
    flags.DEFINE_float("min_score", choice.min_score, "Leaves out boxes with a lower score.")
    flags.DEFINE_integer(
        "boxes_per_image", choice.most, "How many boxes of an image to classify.", lower_bound=1
    )
    flags.DEFINE_float(
        "box_context",
        None,
        "The share of a box's width and height that is seen on each of its sides, too; by default "
        "that of the classifier's settings.",
    )
    # Not as bounds of the flag, which NaN would pass.
    flags.register_validator(
        "box_context",
        lambda share: share is None or 0 <= share <= MOST_CONTEXT,
        f"must be from 0 to {MOST_CONTEXT}",
    )
    flags.DEFINE_integer(
        "labels_per_box", choice.labels, "How many labels of a box to write.", lower_bound=1
    )
    flags.DEFINE_list(
        "granularities",
        [],
        "With --boxes: also write detections by summed probabilities: genus,super,generic.",
    )


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    _check(values)
    coarser = granularities_of("--granularities", values.granularities)
    images = read_images(values.annotations) if values.annotations else ()
    quiet_libraries(values)
    from inatdet.classification import experiments, sources
    from inatdet.classification.box_inference import classify_boxes
    from inatdet.classification.inference import classify
    from inatdet.networks import checkpoints

    if values.config_file:
        params = experiments.read_experiment(values.config_file, values.params_override)
    else:
        params = experiments.read_saved(values.model_dir, values.params_override)
    if values.taxonomy:
        params.task.taxonomy = values.taxonomy
    checkpoint = values.checkpoint or checkpoints.newest(values.model_dir)
    source = (
        sources.Records(values.input)
        if values.input
        else sources.ImageFiles(images, values.images_dir)
    )
    model = (params, checkpoint, values.model_dir, source)
    if not values.boxes:
        count = classify(
            *model,
            values.output,
            values.k,
            command=command(),
            any_labels=values.any_labels,
            notify=progress,
        )
        done = f"the best labels of {count:,} images"
    else:
        count = classify_boxes(
            *model,
            _boxes(values, params, images),
            values.output,
            BoxChoice(
                min_score=values.min_score,
                most=values.boxes_per_image,
                context=values.box_context,
                labels=values.labels_per_box,
            ),
            coarser,
            command=command(),
            any_labels=values.any_labels,
            notify=progress,
        )
        done = f"detections in {count:,} boxes"
    progress(f"{values.output}: {done}, {checkpoints.short_name(checkpoint)}")


def _check(values: flags.FlagValues) -> None:
    """Raises `InputError` for flags that do not go together."""
    if bool(values.input) == bool(values.images_dir):
        raise InputError("give one of --input and --images_dir, which say where the images are")
    if values.images_dir:
        if not values.annotations:
            raise InputError(
                "--annotations is missing; give the JSON file that lists the images of --images_dir"
            )
        check_images_dir(values.images_dir)
    unused = [name for name in (_OF_IMAGES if values.boxes else _OF_BOXES) if values[name].present]
    if unused:
        raise InputError(
            f"--{unused[0]} goes with {'whole images' if values.boxes else '--boxes'}; leave it out"
        )


def _boxes(
    values: flags.FlagValues, params: ClassificationExperiment, images: Sequence[Image]
) -> Detections:
    """The detections whose boxes are classified."""
    from inatdet.training.experiment import label_spaces

    level = values.boxes_level and granularities_of("--boxes_level", [values.boxes_level])[0]
    progress(f"reading {values.boxes}")
    found = read_detections(values.boxes, level, label_spaces(params, values.model_dir), images)
    for note in found.notes:
        progress(f"note: {note}")
    return replace(found, sha256=sha256_of(values.boxes))
