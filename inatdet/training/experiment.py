"""From flags and files to an experiment's settings, and to the devices it runs on."""

from __future__ import annotations

import contextlib
import enum
import os
from collections.abc import Sequence

import tensorflow as tf
import yaml
from absl import flags, logging
from official.core import config_definitions as cfg
from official.core import exp_factory
from official.modeling import hyperparams

from inatdet.data.taxonomy import TAXONOMY_FILE, Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.networks import backbones
from inatdet.networks.inception_v3 import BatchNorm
from inatdet.tfrecords.sampling import Sampling
from inatdet.training.config import EXPERIMENT

PARAMS_FILE = "params.yaml"

_PRECISIONS = ("float32", "bfloat16", "float16")


def read_experiment(
    config_files: Sequence[str], params_override: str = "", experiment: str = ""
) -> cfg.ExperimentConfig:
    """Defaults, then each file, then the overrides: Model Garden's order.

    Args:
        config_files: YAML files, each overriding those before it.
        params_override: a YAML file, or `a.b=c,d.e=f`.
        experiment: the name under which the defaults are registered; by default the one that a
            file names in its field `experiment`, or the paper's detector.

    Returns:
        The settings, unlocked.

    Raises:
        InputError: for a file that is missing or is no YAML, and for a setting or an experiment
            that does not exist.
    """
    name = experiment or _experiment_of(config_files)
    try:
        params = exp_factory.get_exp_config(name)
    except LookupError as error:
        raise InputError(
            f"there is no experiment {name!r}; pipelines/*.yaml name those that there are"
        ) from error
    for source in [*config_files, params_override]:
        if not source:
            continue
        if source != params_override and not os.path.isfile(source):
            raise InputError(f"{source}: no such file; --config_file names a file of pipelines/")
        try:
            params = hyperparams.override_params_dict(params, source, is_strict=True)
        except KeyError as error:
            raise InputError(f"{source}: unknown setting ({error.args[0]})") from error
        except (yaml.YAMLError, tf.errors.OpError, ValueError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{source}: cannot be read as settings ({reason}); use YAML, or a.b=c,d.e=f"
            ) from error
    if params.experiment != name and not experiment:
        raise InputError(
            f"{params_override}: sets experiment; only a --config_file or --experiment can do that"
        )
    params.experiment = name
    _check(params)
    return params


def _experiment_of(config_files: Sequence[str]) -> str:
    """What the last of the files that name an experiment names; unreadable files name none."""
    name = EXPERIMENT
    for path in config_files:
        with contextlib.suppress(OSError, yaml.YAMLError), open(path, encoding="utf-8") as file:
            # As Model Garden reads it, because it writes tuples, which are no plain YAML.
            settings = yaml.load(file, Loader=yaml.FullLoader)  # noqa: S506
            if isinstance(settings, dict):
                name = settings.get("experiment", name)
    return name


def read_kept(model_dir: str, params_override: str = "") -> cfg.ExperimentConfig:
    """The settings that a model was trained with, from its folder, wherever that is by now.

    Args:
        model_dir: where checkpoints, settings and taxonomy lie.
        params_override: see `read_experiment`.

    Returns:
        The settings; the taxonomy is the folder's own, unless overridden.

    Raises:
        InputError: if the folder has no settings, or an override is wrong.
    """
    kept = os.path.join(model_dir, PARAMS_FILE)
    if not os.path.exists(kept):
        raise InputError(f"{kept}: no such file; train first, or give the folder of a model")
    params = read_experiment([kept], params_override)
    trained_at = read_experiment([kept]).task.taxonomy
    taxonomy = os.path.join(model_dir, TAXONOMY_FILE)
    if params.task.taxonomy == trained_at and os.path.exists(taxonomy):
        params.task.taxonomy = taxonomy
    return params


def log_less(values: flags.FlagValues) -> None:
    """Leaves out what libraries say to programmers, unless --verbosity asks for it."""
    if not values["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
        tf.get_logger().setLevel("ERROR")


def _check(params: cfg.ExperimentConfig) -> None:
    task = params.task
    _check_choice("task.granularity", task.granularity, Granularity)
    _check_choice("task.train_data.sampling", task.train_data.sampling, Sampling)
    if not task.train_data.repeat_threshold > 0:
        raise InputError(
            f"task.train_data.repeat_threshold is {task.train_data.repeat_threshold}; it is a "
            "share of images and must be above 0"
        )
    backbones.check(task.model.backbone)
    _check_choice("task.model.backbone.batch_norm", task.model.backbone.batch_norm, BatchNorm)
    if task.accumulate_steps < 1:
        raise InputError(f"task.accumulate_steps is {task.accumulate_steps}; it must be at least 1")
    if task.accumulate_steps > 1 and task.model.backbone.batch_norm == BatchNorm.SYNCHRONISED:
        raise InputError(
            "task.model.backbone.batch_norm is synchronised, which task.accumulate_steps above 1 "
            "cannot be: replicas do not meet between their batches; use trained or frozen"
        )
    if task.validation_pictures < 0:
        raise InputError(f"task.validation_pictures is {task.validation_pictures}; 0 shows none")
    precision = params.runtime.mixed_precision_dtype
    if precision not in (None, "", *_PRECISIONS):
        raise InputError(
            f"runtime.mixed_precision_dtype is {precision!r}; it must be one of "
            f"{', '.join(_PRECISIONS)}"
        )
    if params.runtime.enable_xla:
        raise InputError(
            "runtime.enable_xla would compile whole training steps anew for each shape of images; "
            "set task.model.head.xla=true, which compiles the second stage alone"
        )
    if not 0 < task.short_edge <= task.long_edge:
        raise InputError(
            f"task.short_edge is {task.short_edge} and task.long_edge {task.long_edge}; the edges "
            "must be positive, the short one no longer than the long one"
        )
    task.model.check(task.short_edge, task.long_edge)


def _check_choice(name: str, value: str, choices: type[enum.Enum]) -> None:
    allowed = [choice.value for choice in choices]
    if value not in allowed:
        raise InputError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")


def adopt_taxonomy(params: cfg.ExperimentConfig, model_dir: str) -> Taxonomy:
    """Keeps a model's label space beside its checkpoints, and the settings pointing there.

    Args:
        params: the settings; `task.taxonomy` becomes the copy in `model_dir`.
        model_dir: where checkpoints go.

    Returns:
        The taxonomy.

    Raises:
        InputError: if there is none, or `model_dir` holds a model with another.
    """
    kept = os.path.join(model_dir, TAXONOMY_FILE)
    given = params.task.taxonomy
    if given and given != kept:
        taxonomy = Taxonomy.load(given)
        if os.path.exists(kept) and Taxonomy.load(kept) != taxonomy:
            raise InputError(
                f"{model_dir} holds a model trained on the labels of {kept}, which differ from "
                f"those of {given}; choose another --model_dir"
            )
        taxonomy.save(kept)
    elif not os.path.exists(kept):
        raise InputError(
            "task.taxonomy is not set; give the taxonomy.json that was written with the TFRecords"
        )
    params.task.taxonomy = kept
    return Taxonomy.load(kept)
