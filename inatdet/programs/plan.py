r"""Says what training will take here: steps, epochs, time, memory and disk.

    inatdet plan --config_file=pipelines/super.yaml \
        --params_override=task.train_data.input_path='RECORDS/train-*',task.taxonomy=RECORDS/taxonomy.json

The flags are those of `inatdet train`. A few steps are made and measured, and thrown away; nothing
is written to the folder of a model. Times are ranges: the 95% interval of the mean step by the
spread of those that were measured, on a machine that stays as busy as it is. With --model_dir, what
is left of a run there is planned; that run may go on meanwhile.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from absl import flags

from inatdet.programs.flags import define_experiment, has_config_file
from inatdet.programs.libraries import quiet_libraries
from inatdet.programs.running import progress

_BEGAN = time.monotonic()  # before TensorFlow is loaded, which takes a while in training too


def define_flags() -> None:
    """Defines this program's flags: those of training, and how much is measured."""
    define_experiment()
    flags.DEFINE_string(
        "model_dir", "", "The folder of the run; without it, a run that begins is planned."
    )
    flags.DEFINE_integer("steps", 40, "How many steps to measure after the first.", lower_bound=10)
    flags.DEFINE_float(
        "seconds", 120.0, "After how long to stop measuring, if 10 steps have been made.", 0.0
    )
    flags.DEFINE_bool("json", False, "Print the plan as JSON, in seconds and bytes.")


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    has_config_file(values)
    progress("measuring a few steps of training")
    quiet_libraries(values)
    from inatdet.programs.experiments import read_experiment
    from inatdet.training.plan_in_words import in_words
    from inatdet.training.planning import plan

    found = plan(
        read_experiment(values.config_file, values.params_override, values.experiment),
        values.model_dir,
        values.mode,
        steps=values.steps,
        seconds=values.seconds,
        notify=progress,
        began=_BEGAN,
    )
    if found.free_bytes is not None and found.disk_bytes > found.free_bytes:
        progress(
            f"warning: {values.model_dir}: the checkpoints do not fit on its disk; free space, or "
            "keep fewer with trainer.max_to_keep"
        )
    prepared = found.preparation
    if prepared and prepared.bytes > prepared.free_bytes:
        progress(
            f"warning: the {prepared.what} do not fit on their disk; free space, name a folder on "
            "another one, or leave task.feature_cache out"
        )
    print(json.dumps(found.as_dict()) if values.json else in_words(found))
