"""The settings of an experiment: read from files, saved beside a model and read from there."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import yaml
from official.core import exp_factory
from official.modeling import hyperparams

from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.data.taxonomy_file import TAXONOMY_FILE
from inatdet.errors import InputError, cannot_read
from inatdet.files import atomic_path
from inatdet.networks import checkpoints
from inatdet.training import overrides
from inatdet.training.config import Experiment, LevelWeights
from inatdet.training.values import check_values

PARAMS_FILE = "params.yaml"

_GROUPS = ("task", "trainer", "runtime", "experiment")


def read_experiment(
    config_files: Sequence[str],
    params_override: str = "",
    *,
    default: str,
    experiment: str = "",
) -> Experiment:
    """Defaults, then each file, then the overrides: Model Garden's order.

    Args:
        config_files: YAML files, each overriding those before it.
        params_override: a YAML file, or `a.b=c,d.e=f`.
        default: the experiment whose defaults are used if neither a file nor `experiment` names
            one.
        experiment: the experiment whose defaults are used, whatever the files name in their field
            `experiment`.

    Returns:
        The settings, unlocked.

    Raises:
        InputError: for a file that is missing or is not valid YAML, and for a setting or an
            experiment that does not exist.
    """
    sources = [(path, _settings_in(path)) for path in config_files]
    named = [settings["experiment"] for _, settings in sources if "experiment" in settings]
    name = experiment or (named[-1] if named else default)
    if params_override:
        sources.append(_overrides(params_override))
        if "experiment" in sources[-1][1]:
            raise InputError(
                f"{sources[-1][0]}: sets experiment; only a --config_file or --experiment can do "
                "that"
            )
    try:
        params = exp_factory.get_exp_config(name)
    except (LookupError, TypeError) as error:
        raise InputError(
            f"there is no experiment {name!r}; the files in pipelines/ name the existing ones"
        ) from error
    for source, settings in sources:
        _check_names(source, settings, params)
        try:
            params.override(settings, is_strict=True)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{source}: cannot be read as settings ({reason})") from error
    params.experiment = name
    check_values(params)
    params.check()
    return params


def _overrides(line: str) -> tuple[str, dict[str, Any]]:
    """Where more settings are, and what they are; see `read_experiment`."""
    if os.path.isfile(line):
        return line, _settings_in(line)
    return "--params_override", overrides.parse(line, _GROUPS)


def _settings_in(path: str) -> dict[str, Any]:
    """The settings in a YAML file; `InputError` if it cannot be read as such."""
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file; --config_file takes a file of pipelines/")
    try:
        with open(path, encoding="utf-8") as file:
            # The loader of Model Garden, which writes tuples, an extension of plain YAML.
            settings = yaml.load(file, Loader=yaml.FullLoader)  # noqa: S506
    except OSError as error:
        raise cannot_read(path, error) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: cannot be read as settings ({reason}); use YAML") from error
    if not isinstance(settings, dict) or not all(isinstance(name, str) for name in settings):
        raise InputError(
            f"{path}: cannot be read as settings (it has no names with values); use YAML such as "
            "that in pipelines/"
        )
    return settings


def _check_names(
    source: str, settings: Mapping[str, Any], params: hyperparams.Config, prefix: str = ""
) -> None:
    """Raises InputError for a setting that does not exist, and says which one may be meant."""
    if isinstance(params, LevelWeights):
        return
    known = params.as_dict()
    for name, value in settings.items():
        # A backbone's settings are not among those of the dictionary unless it is the chosen one.
        if name not in known and not hasattr(params, str(name)):
            close = difflib.get_close_matches(str(name), known, n=1)
            meant = f"; is {prefix}{close[0]} meant?" if close else ""
            raise InputError(f"{source}: unknown setting {prefix}{name}{meant}")
        group = getattr(params, name)
        if isinstance(value, Mapping) and isinstance(group, hyperparams.Config):
            _check_names(source, value, group, f"{prefix}{name}.")


def save(params: Experiment, model_dir: str) -> None:
    """Writes the settings, the label spaces and the format version beside checkpoints."""
    path, taxonomy = os.path.join(model_dir, TAXONOMY_FILE), params.task.taxonomy
    if taxonomy and taxonomy != path:
        Taxonomy.load(taxonomy).save(path)
    with atomic_path(os.path.join(model_dir, PARAMS_FILE)) as temporary:
        hyperparams.save_params_dict_to_yaml(params, temporary)
    checkpoints.save_format(model_dir)


def saved_name(model_dir: str, default: str) -> str:
    """The experiment that a model was trained by.

    Args:
        model_dir: the folder with its settings.
        default: the experiment of settings that name none.

    Raises:
        InputError: if the folder has no settings.
    """
    path = _saved_settings(model_dir)
    return str(_settings_in(path).get("experiment") or default)


def _saved_settings(model_dir: str) -> str:
    path = os.path.join(model_dir, PARAMS_FILE)
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file; train first, or give the folder of a model")
    return path


def read_saved(
    model_dir: str,
    params_override: str = "",
    *,
    default: str,
    kind: str,
    experiments: Collection[str],
) -> Experiment:
    """The settings that a model was trained with, wherever its folder is by now.

    Args:
        model_dir: the folder with checkpoints, settings and taxonomy.
        params_override: see `read_experiment`.
        default: see `read_experiment`.
        kind: what the model must be, for the message: `detector`.
        experiments: those whose models are of this kind.

    Returns:
        The settings; the taxonomy is the folder's own, unless overridden.

    Raises:
        InputError: if the folder has no settings, those of a model of another kind, or is of a
            format that this version does not read, or an override is wrong.
    """
    path = _saved_settings(model_dir)
    checkpoints.check_format(model_dir)
    name = saved_name(model_dir, default)
    if name not in experiments:
        raise InputError(
            f"{model_dir}: holds a model of the experiment {name!r}, which is not a {kind}; give "
            f"the folder of a {kind}"
        )
    params = read_experiment([path], params_override, default=default)
    trained_at = read_experiment([path], default=default).task.taxonomy
    taxonomy = os.path.join(model_dir, TAXONOMY_FILE)
    if params.task.taxonomy == trained_at and os.path.exists(taxonomy):
        params.task.taxonomy = taxonomy
    return params


def _with_level(path: str, params: Experiment) -> Taxonomy:
    """The label spaces in a file, which must have the level that the settings name."""
    taxonomy = Taxonomy.load(path)
    try:
        taxonomy.check(Granularity(params.task.granularity))
    except InputError as error:
        raise InputError(
            f"{path}: {error}; write the TFRecords' label spaces with `inatdet tfrecords --ranks`"
        ) from error
    return taxonomy


def label_spaces(params: Experiment, model_dir: str) -> Taxonomy:
    """The label spaces of a model: those in its folder, or those that the settings name.

    Args:
        params: the settings; `task.taxonomy` becomes the file in `model_dir`, if there is one.
        model_dir: where checkpoints are, or go.

    Returns:
        The taxonomy.

    Raises:
        InputError: if there is none, or `model_dir` holds a model with another.
    """
    saved, given = os.path.join(model_dir, TAXONOMY_FILE), params.task.taxonomy
    # Without a checkpoint, the file is of a run that ended before the first one.
    if not os.path.exists(saved) or (given and checkpoints.latest(model_dir) is None):
        if not given:
            raise InputError(
                "task.taxonomy is not set; give the taxonomy.json that was written with the "
                "TFRecords"
            )
        return _with_level(given, params)
    taxonomy = _with_level(saved, params)
    if given and given != saved:
        new = Taxonomy.load(given)
        if not new.agrees_with(taxonomy, {*ALWAYS, Granularity(params.task.granularity)}):
            raise InputError(
                f"{model_dir} holds a model trained on the labels of {saved}, which differ from "
                f"those of {given}; choose another --model_dir"
            )
        taxonomy = new  # which may have more levels
    params.task.taxonomy = saved
    return taxonomy
