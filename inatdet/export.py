r"""Saves a trained detector as a SavedModel that plain TensorFlow loads.

    python -m inatdet.export --model_dir=MODEL --output_dir=SAVED

    detector = tf.saved_model.load("SAVED")
    found = detector.detect(tf.constant([open("photo.jpg", "rb").read()]))

`found` has `boxes` (x, y, width, height in pixels of the image), `names`, `labels`, `scores` and
`count`. `serving_default` is the same as a signature. inatdet need not be installed where it is
used; where it is, `python -m inatdet.predict --saved_model=SAVED photo.jpg` draws what is found.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence

import tensorflow as tf
from absl import flags
from official.core import config_definitions as cfg

from inatdet.detection import checkpoints, experiment, serving
from inatdet.errors import InputError, run_main


def export(params: cfg.ExperimentConfig, checkpoint: str, model_dir: str, output_dir: str) -> None:
    """Saves a detector. The folder appears under its name only when it is whole.

    Args:
        params: the settings that the model was trained with.
        checkpoint: its weights.
        model_dir: where its taxonomy lies.
        output_dir: the folder to make.

    Raises:
        InputError: if the folder exists, or the checkpoint does not fit the settings.
    """
    output_dir = os.path.abspath(output_dir)
    if os.path.exists(output_dir):
        raise InputError(f"{output_dir}: exists; name a folder that does not, or remove it")
    served = serving.restored(params, checkpoint, model_dir)
    parent = os.path.dirname(output_dir)
    os.makedirs(parent, exist_ok=True)
    temporary = tempfile.mkdtemp(prefix=f".{os.path.basename(output_dir)}.", dir=parent)
    try:
        tf.saved_model.save(served, temporary, signatures={"serving_default": served.detect})
        shutil.copymode(parent, temporary)  # mkdtemp's folders are for their owner alone
        os.rename(temporary, output_dir)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def define_flags() -> None:
    """Defines this program's flags."""
    flags.DEFINE_string("model_dir", None, "Where the checkpoints are.", required=True)
    flags.DEFINE_string("output_dir", None, "The folder to make.", required=True)
    flags.DEFINE_string("checkpoint", None, "Which checkpoint, instead of the newest.")
    flags.DEFINE_string("params_override", "", "More settings: a.b=c,d.e=f or a YAML file.")


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    experiment.log_less(values)
    params = experiment.read_kept(values.model_dir, values.params_override)
    checkpoint = values.checkpoint or checkpoints.newest(values.model_dir)
    export(params, checkpoint, values.model_dir, values.output_dir)
    print(f"{values.output_dir}: {checkpoints.short_name(checkpoint)}", file=sys.stderr)


if __name__ == "__main__":
    define_flags()
    run_main(main)
