"""The settings that all tasks share: where examples come from, how steps are counted."""

from __future__ import annotations

import dataclasses

from official.core import config_definitions as cfg
from official.modeling import hyperparams

EXPERIMENT = "inatdet_faster_rcnn"

# The fields of Model Garden's schedules that are learning rates, and those that count steps.
_RATES = frozenset({"learning_rate", "initial_learning_rate", "values", "warmup_learning_rate"})

_STEPS = frozenset({"boundaries", "decay_steps", "warmup_steps"})


@dataclasses.dataclass
class InputConfig(hyperparams.Config):
    """Where examples come from and how they are grouped.

    Attributes:
        input_path: a pattern of TFRecord files.
        batch_size: images a replica and step; 1 [OD API: 1 a worker].
        is_training: shuffle, flip [OD API: the only augmentation] and repeat.
        shuffle_buffer: examples among which the order is drawn.
        cache: keeps the encoded examples in memory.
        single_instance: trains only on images with exactly one box. [paper] iNaturalist's boxes
            were drawn at super-class level, so in an image with several not every box need be of
            the image's species. Off by default: the paper trains on all.
        sampling: `none`; `repeat_factor` [Gupta et al., "LVIS", 2019]; or `class_balanced` [Shen
            et al., "Relay Backpropagation", 2016]: how often images of rare labels are shown in
            training; see `inatdet.tfrecords.sampling.Sampling`.
        repeat_threshold: share of images below which a label's images are repeated [LVIS: .001].
    """

    input_path: str = ""
    batch_size: int = 1
    is_training: bool = False
    shuffle_buffer: int = 2048
    cache: bool = False
    single_instance: bool = False
    sampling: str = "none"
    repeat_threshold: float = 0.001


@dataclasses.dataclass
class DetectionExperiment(cfg.ExperimentConfig):
    """Model Garden's experiment, and which one it is.

    Attributes:
        experiment: the name under which the defaults are registered; in a pipeline's file it says
            which defaults the file goes on from, and it is kept with a model's settings.
    """

    experiment: str = EXPERIMENT


def images_per_step(task: cfg.TaskConfig, num_replicas: int) -> int:
    """How many images one step of the optimizer sees."""
    return task.train_data.batch_size * task.accumulate_steps * num_replicas


def scale_to_replicas(params: cfg.ExperimentConfig, num_replicas: int) -> float:
    """Applies the linear scaling rule in place.

    Args:
        params: an experiment, unlocked.
        num_replicas: how many replicas take `accumulate_steps` batches each in one step.

    Returns:
        The factor: images a step over `task.reference_batch_size`, or 1 where that is 0.
    """
    reference = params.task.reference_batch_size
    factor = images_per_step(params.task, num_replicas) / reference if reference else 1.0
    if factor == 1.0:
        return factor
    trainer = params.trainer
    trainer.train_steps = max(1, round(trainer.train_steps / factor))
    for schedule in (trainer.optimizer_config.learning_rate, trainer.optimizer_config.warmup):
        settings = schedule.get()
        if settings is None:
            continue
        for name, value in settings.as_dict().items():
            if name in _RATES:
                scaled = [v * factor for v in value] if isinstance(value, list) else value * factor
            elif name in _STEPS and value is not None:
                scaled = (
                    [max(1, round(v / factor)) for v in value]
                    if isinstance(value, list)
                    else max(1, round(value / factor))
                )
            else:
                continue
            settings.override({name: scaled})
    return factor
