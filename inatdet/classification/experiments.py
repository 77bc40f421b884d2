"""The classifier's experiment: its registration, and how its settings are read."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from official.core import exp_factory, task_factory

from inatdet.classification.config import (
    EXPERIMENT,
    ClassificationExperiment,
    ClassificationTask,
    image_classifier_experiment,
)
from inatdet.classification.task import ClassifierTask
from inatdet.training import experiment as shared
from inatdet.training import rmsprop


@functools.cache
def register() -> None:
    """Makes the experiment, its task and its optimizer known to Model Garden.

    Reading settings does this, too. It may be called again and again.
    """
    rmsprop.register()
    exp_factory.register_config_factory(EXPERIMENT)(image_classifier_experiment)
    task_factory.register_task_cls(ClassificationTask)(ClassifierTask)


def read_experiment(
    config_files: Sequence[str] = (), params_override: str = "", experiment: str = ""
) -> ClassificationExperiment:
    """The settings of a classifier; see `inatdet.training.experiment.read_experiment`."""
    register()
    return shared.read_experiment(
        config_files, params_override, default=EXPERIMENT, experiment=experiment
    )


def read_saved(model_dir: str, params_override: str = "") -> ClassificationExperiment:
    """The settings of a trained classifier; see `inatdet.training.experiment.read_saved`."""
    register()
    return shared.read_saved(
        model_dir,
        params_override,
        default=EXPERIMENT,
        kind="classifier",
        experiments=(EXPERIMENT,),
    )
