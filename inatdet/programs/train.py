r"""Trains a detector.

    inatdet train --config_file=pipelines/super.yaml --mode=train --model_dir=MODEL \
        --params_override=task.train_data.input_path='RECORDS/train-*',task.taxonomy=RECORDS/taxonomy.json

The loop is Model Garden's: checkpoints and TensorBoard scalars go to MODEL, and the same command
goes on from the newest checkpoint after an interruption.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

import orbit
import tensorflow as tf
import tf_keras
from absl import flags
from official.core import config_definitions as cfg
from official.core import task_factory, train_lib, train_utils

from inatdet.detection import task  # noqa: F401 (registers the task)
from inatdet.detection.config import FasterRCNNTask
from inatdet.detection.validation_pictures import ValidationPictures
from inatdet.errors import InputError
from inatdet.tfrecords.damage import reading_errors
from inatdet.tfrecords.reading import find_files
from inatdet.training import experiment, label_priors
from inatdet.training.accumulation import AccumulatingTrainer
from inatdet.training.config import images_per_step, scale_to_replicas
from inatdet.training.progress import ProgressLine, StopOnNonFiniteLoss, losses_text

MODES = ("train", "eval", "train_and_eval")


def train(
    params: cfg.ExperimentConfig,
    mode: str,
    model_dir: str,
    strategy: tf.distribute.Strategy | None = None,
) -> dict[str, float]:
    """Trains, or computes the validation losses.

    Args:
        params: the settings, unlocked.
        mode: one of `MODES`.
        model_dir: where checkpoints, summaries and settings go.
        strategy: the devices, instead of those of `params.runtime`.

    Returns:
        The last values of a training run's losses (empty when nothing was left to train).

    Raises:
        InputError: for settings that do not fit the data or the machine.
        RunError: when a loss is not finite.
    """
    experiment.set_precision(params.runtime)
    strategy = strategy or experiment.strategy_of(params.runtime)
    replicas = strategy.num_replicas_in_sync
    factor = scale_to_replicas(params, replicas)
    patterns = _patterns(params.task, mode)
    for pattern in patterns:  # before anything is built that would take its time
        find_files(pattern)
    experiment.adopt_taxonomy(params, model_dir)
    if factor != 1.0:
        _say(
            f"{images_per_step(params.task, replicas)} images a step, "
            f"{factor:g} times the reference: learning rate times {factor:g}, "
            f"{params.trainer.train_steps} steps"
        )
    if "train" in mode:
        train_utils.serialize_config(params, model_dir)
        label_priors.keep(params.task, model_dir)
    params.lock()
    if params.task.seed is not None:
        tf_keras.utils.set_random_seed(params.task.seed)

    with strategy.scope():
        detection_task = task_factory.get_task(params.task, logging_dir=model_dir)
        trainer = train_utils.create_trainer(
            params,
            detection_task,
            train="train" in mode,
            evaluate="eval" in mode,
            trainer_cls=AccumulatingTrainer,
        )
    progress = ProgressLine(
        trainer.global_step,
        params.trainer.train_steps,
        images_per_step(params.task, replicas),
    )
    last: dict[str, float] = {}
    actions = [
        StopOnNonFiniteLoss(trainer.global_step, lambda: tf.train.latest_checkpoint(model_dir)),
        progress,
        lambda output: last.update({name: float(value) for name, value in output.items()}),
    ]
    summaries = orbit.utils.SummaryManager(
        os.path.join(model_dir, params.trainer.validation_summary_subdir),
        tf.summary.scalar,
        global_step=trainer.global_step,
    )
    pictures = []
    if params.task.validation_pictures and "eval" in mode:
        pictures.append(
            ValidationPictures(
                trainer.model, detection_task, strategy, summaries, trainer.global_step
            )
        )
    # Orbit prints what the progress line says better; its messages are kept in a file.
    os.makedirs(model_dir, exist_ok=True)
    with (
        open(os.path.join(model_dir, "orbit.log"), "a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
    ):
        runner = train_lib.OrbitExperimentRunner(
            distribution_strategy=strategy,
            task=detection_task,
            mode=mode,
            params=params,
            model_dir=model_dir,
            train_actions=actions,
            eval_actions=[
                lambda output: _say(
                    f"validation at step {int(trainer.global_step.numpy())}"
                    f" | loss {losses_text(output, 'validation_loss')}"
                ),
                *pictures,
            ],
            eval_summary_manager=summaries,
            trainer=trainer,
        )
        start = int(trainer.global_step.numpy())
        if start:
            _say(f"going on from step {start} in {model_dir}")
        progress.start()
        with reading_errors(*patterns):
            runner.run()
    if mode == "train" and start >= params.trainer.train_steps:
        _say(f"{model_dir} is trained already: {start} of {params.trainer.train_steps} steps")
    return last


def _patterns(settings: FasterRCNNTask, mode: str) -> list[str]:
    """The TFRecords that a mode reads."""
    patterns = []
    if "train" in mode:
        patterns.append(settings.train_data.input_path)
    if "eval" in mode:
        patterns.append(settings.validation_data.input_path)
    return patterns


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def define_flags() -> None:
    """Defines this program's flags: the ones of Model Garden's that it uses."""
    flags.DEFINE_string("experiment", "", "Whose defaults, instead of those the files name.")
    flags.DEFINE_multi_string("config_file", [], "A YAML file of settings; may be given again.")
    flags.DEFINE_string("params_override", "", "More settings: a.b=c,d.e=f or a YAML file.")
    flags.DEFINE_enum("mode", "train", MODES, "What to do; eval computes validation losses.")
    flags.DEFINE_string("model_dir", None, "Where checkpoints and summaries go.", required=True)


def main(argv: Sequence[str]) -> None:
    """The program."""
    del argv
    values = flags.FLAGS
    experiment.log_less(values)
    if not values.config_file:
        raise InputError("--config_file is missing; give one of the files in pipelines/")
    params = experiment.read_experiment(
        values.config_file, values.params_override, values.experiment
    )
    train(params, values.mode, values.model_dir)
