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

from inatdet.programs.flags import define_experiment, has_config_file
from inatdet.programs.libraries import quiet_libraries
from inatdet.programs.running import command, progress


def define_flags() -> None:
    """Defines this program's flags: those of Model Garden's that it uses."""
    define_experiment()
    flags.DEFINE_string("model_dir", None, "Where checkpoints and summaries go.", required=True)
    flags.DEFINE_float(
        "start_timeout", 600, "Seconds that the processes of a cluster wait for one another.", 0
    )


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    has_config_file(values)
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
