"""The detector's experiments: their registration, and how their settings are read."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from official.core import exp_factory, task_factory

from inatdet.detection.config import (
    FASTER_RCNN_EXPERIMENT,
    DetectionExperiment,
    FasterRCNNTask,
    faster_rcnn_experiment,
)
from inatdet.detection.fpn_config import FPN_EXPERIMENT, FPNTask, fpn_experiment
from inatdet.detection.task import DetectionTask
from inatdet.networks import backbones
from inatdet.training import experiment as shared

DEFAULT_EXPERIMENT = FASTER_RCNN_EXPERIMENT
"""The paper's detector: the experiment of settings that name none."""


@functools.cache
def register() -> None:
    """Makes experiments, tasks and Inception V3 known to Model Garden.

    Reading settings does this, too. It may be called again and again.
    """
    backbones.register()
    for name, defaults in (
        (FASTER_RCNN_EXPERIMENT, faster_rcnn_experiment),
        (FPN_EXPERIMENT, fpn_experiment),
    ):
        exp_factory.register_config_factory(name)(defaults)
    for config in (FasterRCNNTask, FPNTask):
        task_factory.register_task_cls(config)(DetectionTask)


def read_experiment(
    config_files: Sequence[str] = (), params_override: str = "", experiment: str = ""
) -> DetectionExperiment:
    """The settings of a detector; see `inatdet.training.experiment.read_experiment`."""
    register()
    return shared.read_experiment(
        config_files, params_override, default=DEFAULT_EXPERIMENT, experiment=experiment
    )


def read_saved(model_dir: str, params_override: str = "") -> DetectionExperiment:
    """The settings of a trained detector; see `inatdet.training.experiment.read_saved`."""
    register()
    return shared.read_saved(
        model_dir,
        params_override,
        default=DEFAULT_EXPERIMENT,
        kind="detector",
        experiments=(FASTER_RCNN_EXPERIMENT, FPN_EXPERIMENT),
    )
