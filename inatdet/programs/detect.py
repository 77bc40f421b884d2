"""Runs a trained detector over TFRecords and writes its detections.

    inatdet detect --model_dir=MODEL --input='RECORDS/val-*' --output=detections.parquet

The newest checkpoint is used, with the settings and the labels that were saved beside it. Boxes are
in pixels of the original images. `inatdet evaluate` turns the file into tables. Images that have
only a label are passed over, unless the records hold no others.

What is done is kept in OUTPUT.parts until the file is whole; after an interruption, the same
command goes on from there.

By default the file has the best detections of each image. AP-Fixed and AP-Pool need the best of
each class instead:

    inatdet detect ... --most_per_class=10000

They are collected in memory, 32 bytes for each that may be kept: 0.9 GB for 2,854 species, and as
much for each of --granularities. An image may then have 1000 detections; if a note says that
classes have too few, raise --most_per_image, which takes more time.

--proposals writes what the first stage proposes, boxes without names, as generic detections with
their objectness as scores. `inatdet evaluate --detections=generic=OUTPUT` then tells recall at 1,
10, 100 and 300 of them, whatever the model was trained on:

    inatdet detect ... --proposals --params_override=task.model.rpn.max_proposals=300
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from inatdet.data.best_of_classes import PAPER_MOST_PER_CLASS
from inatdet.errors import InputError
from inatdet.programs.flags import define_trained_model, granularities_of
from inatdet.programs.libraries import quiet_libraries
from inatdet.programs.running import command, progress


def define_flags() -> None:
    """Defines this program's flags."""
    define_trained_model()
    flags.DEFINE_string("input", None, "A pattern of TFRecord files.", required=True)
    flags.DEFINE_string("output", None, "The Parquet file to write.", required=True)
    flags.DEFINE_list(
        "granularities", [], "Also write detections by summed probabilities: genus,super,generic."
    )
    flags.DEFINE_integer(
        "most_per_class",
        0,
        f"Write the best so many detections of each species over all images ({PAPER_MOST_PER_CLASS}"
        " for AP-Fixed), whatever their scores, instead of the best of each image; a coarser label "
        "has so many for each of its species.",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "most_per_image",
        0,
        "How many detections an image may have; 0 means task.model.detections.max_detections, and "
        "at least 1000 with --most_per_class. At least ten times as many candidates go into the "
        "suppression (task.model.detections.candidates, from task.model.rpn.max_proposals times "
        "the number of classes).",
        lower_bound=0,
    )
    flags.DEFINE_bool("proposals", False, "Write the first stage's proposals instead.")
    flags.DEFINE_bool("any_labels", False, "Detect in TFRecords of other categories, too.")


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    coarser = granularities_of("--granularities", values.granularities)
    if values.proposals and (coarser or values.most_per_class):
        other = "--granularities" if coarser else "--most_per_class"
        raise InputError(f"--proposals have no names, so {other} is not for them; leave out one")
    quiet_libraries(values)
    from inatdet.detection import experiments
    from inatdet.detection.inference import detect
    from inatdet.networks import checkpoints

    if values.config_file:
        params = experiments.read_experiment(values.config_file, values.params_override)
    else:
        params = experiments.read_saved(values.model_dir, values.params_override)
    if values.taxonomy:
        params.task.taxonomy = values.taxonomy
    checkpoint = values.checkpoint or checkpoints.newest(values.model_dir)
    images = detect(
        params,
        checkpoint,
        values.model_dir,
        values.input,
        values.output,
        coarser,
        command=command(),
        any_labels=values.any_labels,
        most_per_class=values.most_per_class,
        most_per_image=values.most_per_image,
        proposals=values.proposals,
        notify=progress,
    )
    what = "proposals" if values.proposals else "detections"
    progress(f"{values.output}: {what} in {images} images, {checkpoints.short_name(checkpoint)}")
