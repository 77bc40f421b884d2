r"""Saves a trained model as a SavedModel that plain TensorFlow loads.

    inatdet export --model_dir=MODEL --output_dir=SAVED

    detector = tf.saved_model.load("SAVED")
    found = detector.detect(tf.constant([open("photo.jpg", "rb").read()]))

`found` has `boxes` (x, y, width, height in pixels of the image), `names`, `labels`, `scores` and
`count`. A classifier has `classify` instead, which gives the `names`, `labels` and `probabilities`
of all labels, best first. The signature `serving_default` does the same. The saved model works
without inatdet; `inatdet predict --saved_model=SAVED photo.jpg` draws or prints what it finds.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from inatdet.programs.libraries import quiet_libraries
from inatdet.programs.running import progress


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string("model_dir", None, "Where the checkpoints are.", required=True)
    flags.DEFINE_string("output_dir", None, "The folder to create.", required=True)
    flags.DEFINE_string("checkpoint", None, "Which checkpoint, instead of the newest.")
    flags.DEFINE_string("params_override", "", "More settings: a.b=c,d.e=f or a YAML file.")


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    quiet_libraries(values)
    from inatdet.classification import experiments as classification
    from inatdet.classification.serving import export as export_classifier
    from inatdet.detection import experiments as detection
    from inatdet.detection.serving import export as export_detector
    from inatdet.networks import checkpoints
    from inatdet.programs.experiments import Kind, kind_of

    read_saved, export = {
        Kind.DETECTOR: (detection.read_saved, export_detector),
        Kind.CLASSIFIER: (classification.read_saved, export_classifier),
    }[kind_of(values.model_dir)]
    params = read_saved(values.model_dir, values.params_override)
    checkpoint = values.checkpoint or checkpoints.newest(values.model_dir)
    export(params, checkpoint, values.model_dir, values.output_dir)
    progress(f"{values.output_dir}: {checkpoints.short_name(checkpoint)}")
