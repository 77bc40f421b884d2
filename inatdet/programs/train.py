r"""Trains a detector or a classifier.

    inatdet train --config_file=pipelines/super.yaml --mode=train --model_dir=MODEL \
        --params_override=task.train_data.input_path='RECORDS/train-*',task.taxonomy=RECORDS/taxonomy.json

The experiment that the settings name decides what is trained: with pipelines/classification.yaml,
a classifier of whole images, or of boxes with task.view=box.

The loop is Model Garden's: checkpoints and TensorBoard scalars go to MODEL, and after an
interruption the same command resumes from the newest checkpoint. Several processes train together
with `inatdet launch`.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from inatdet.errors import InputError
from inatdet.programs.libraries import quiet_libraries
from inatdet.programs.running import command, progress
from inatdet.training.modes import MODES


def define_flags() -> None:
    """Defines this program's flags: those of Model Garden's that it uses."""
    flags.DEFINE_string("experiment", "", "Whose defaults, instead of those the files name.")
    flags.DEFINE_multi_string("config_file", [], "A YAML file of settings; may be repeated.")
    flags.DEFINE_string("params_override", "", "More settings: a.b=c,d.e=f or a YAML file.")
    flags.DEFINE_enum(
        "mode",
        "train",
        MODES,
        "What to do; eval computes validation losses, continuous_eval those of each checkpoint.",
    )
    flags.DEFINE_string("model_dir", None, "Where checkpoints and summaries go.", required=True)
    flags.DEFINE_float(
        "start_timeout", 600, "Seconds that the processes of a cluster wait for one another.", 0
    )


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    if not values.config_file:
        raise InputError("--config_file is missing; give one of the files in pipelines/")
    quiet_libraries(values)
    from inatdet.programs.experiments import read_experiment
    from inatdet.training.loop import train

    params = read_experiment(values.config_file, values.params_override, values.experiment)
    train(
        params,
        values.mode,
        values.model_dir,
        notify=progress,
        command=command(),
        start_timeout=values.start_timeout,
    )
