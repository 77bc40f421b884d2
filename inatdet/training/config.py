"""The settings that all tasks share: where examples come from, how steps are counted."""

from __future__ import annotations

import dataclasses

from official.core import config_definitions as cfg
from official.modeling import hyperparams

from inatdet.choices import Choice
from inatdet.data.checking import OnBad
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from inatdet.networks.inception_v3 import BatchNorm
from inatdet.tfrecords.sampling import Sampling

_PRECISIONS = ("float32", "bfloat16", "float16")

# The fields of Model Garden's schedules that are learning rates, and those that count steps.
_RATES = frozenset({"learning_rate", "initial_learning_rate", "values", "warmup_learning_rate"})
_STEPS = frozenset({"boundaries", "decay_steps", "warmup_steps"})


@dataclasses.dataclass
class InputConfig(hyperparams.Config):
    """Where examples come from and how they are grouped.

    Attributes:
        input_path: a pattern of TFRecord files.
        batch_size: images per replica and batch; 1 [OD API: 1 per worker].
        is_training: shuffle, flip [OD API: the only augmentation] and repeat.
        shuffle_buffer: number of examples from which the next one is drawn.
        cache: keeps the encoded examples in memory.
        single_instance: trains only on images with exactly one box. [paper] iNaturalist's boxes
            were drawn at super-class level, so in an image with several boxes, not every box need
            be of the image's species. Off by default: the paper trains on all images.
        sampling: how often images of rare labels are shown in training: `none`; `repeat_factor`
            [Gupta et al., "LVIS", 2019]; or `class_balanced` [Shen et al., "Relay
            Backpropagation", 2016]; see `inatdet.tfrecords.sampling.Sampling`.
        repeat_threshold: share of images below which a label's images are repeated [LVIS: .001].
        on_bad: what training does about records that are damaged, and images that cannot be
            decoded: `error`, or `skip` to leave them out [ours], which takes a second decoding.
    """

    input_path: str = ""
    batch_size: int = 1
    is_training: bool = False
    shuffle_buffer: int = 2048
    cache: bool = False
    single_instance: bool = False
    sampling: str = "none"
    repeat_threshold: float = 0.001
    on_bad: str = "error"


@dataclasses.dataclass(eq=False)  # which would compare fields, of which it has none
class LevelWeights(hyperparams.Config):
    """A weight by the name of a level, as in `{super: 0.5, generic: 0.5}`.

    Unlike other groups of settings it has whatever names it is given: only the taxonomy knows which
    levels there are. Weights that are given later are added, or replace those of the same level.
    """

    def _override(self, override_dict: dict[str, object], is_strict: bool = True) -> None:
        del is_strict
        super()._override(override_dict, is_strict=False)

    def check(self, name: str) -> None:
        """Raises InputError for weights that are negative.

        Args:
            name: of the setting, for the error.
        """
        for level, weight in self.as_dict().items():
            if weight < 0:
                raise InputError(f"{name}.{level} is {weight}; it must not be negative")


@dataclasses.dataclass
class TrainingTask(cfg.TaskConfig):
    """What every task has; tasks add their model and the settings of their images.

    Attributes:
        granularity: which labels: `species`, `super`, `generic` or another level of the taxonomy.
        taxonomy: the taxonomy.json beside the TFRecords; the number of labels comes from it.
        accumulate_steps: batches of `train_data` that a replica processes, one after another, in
            one step of the optimizer: the same as one batch of that many times the images, in the
            memory of a single batch [ours]. Trained batch norm sees one of the batches at a time.
        reference_batch_size: images per step, over all replicas and accumulated batches, for which
            the learning rate and the steps are stated. With more images per step the learning rate
            grows and the steps shrink in proportion (the linear scaling rule of Goyal et al.,
            "Accurate, Large Minibatch SGD", 2017). 0 leaves both as they are.
        seed: makes the initial weights, the order and flips of the images and the random sampling
            in the model repeatable; none by default, when that of the images is drawn and kept in
            the model's folder. (Sums over threads can still differ in their last digits.)
        wait_for_disk: how many seconds training waits where a checkpoint cannot be saved, as on a
            full disk, before it gives up.
        train_data: the images that are trained on.
        validation_data: the images of the validation losses, and those that are detected in.
    """

    granularity: str = "species"
    taxonomy: str = ""
    accumulate_steps: int = 1
    reference_batch_size: int = 1
    seed: int | None = None
    wait_for_disk: int = 3600
    train_data: InputConfig = dataclasses.field(
        default_factory=lambda: InputConfig(is_training=True)
    )
    validation_data: InputConfig = dataclasses.field(default_factory=InputConfig)

    def learned(self) -> tuple[str, ...]:
        """Dotted names of the settings that change what is learned; tasks add their own.

        Training does not resume with other values of these. A name stands for all below it.
        """
        return ("granularity",)

    def check(self) -> None:
        """Raises InputError for a setting that is out of range; tasks add their own checks."""
        try:
            Granularity(self.granularity)
        except (TypeError, ValueError) as error:
            raise InputError(f"task.granularity: {error}") from error
        check_choice("task.train_data.sampling", self.train_data.sampling, Sampling)
        check_choice("task.train_data.on_bad", self.train_data.on_bad, OnBad)
        if not self.train_data.repeat_threshold > 0:
            raise InputError(
                f"task.train_data.repeat_threshold is {self.train_data.repeat_threshold}; it is a "
                "share of images and must be above 0"
            )
        if self.accumulate_steps < 1:
            raise InputError(
                f"task.accumulate_steps is {self.accumulate_steps}; it must be at least 1"
            )

    def check_batch_norm(self, name: str, value: str) -> None:
        """Raises InputError for statistics of batch norm that do not exist or cannot be had.

        Args:
            name: of the setting, for the error.
            value: the setting.
        """
        check_choice(name, value, BatchNorm)
        if self.accumulate_steps > 1 and value == BatchNorm.SYNCHRONIZED:
            raise InputError(
                f"{name} is {value}, which is impossible with task.accumulate_steps above 1: "
                f"replicas do not meet between their batches; use {BatchNorm.TRAINED} or "
                f"{BatchNorm.FROZEN}"
            )


@dataclasses.dataclass
class Experiment(cfg.ExperimentConfig):
    """Model Garden's experiment, and which one it is.

    Attributes:
        experiment: the name under which the defaults are registered. A pipeline's file names here
            the experiment whose defaults it starts from; the name is saved with a model's settings.
    """

    experiment: str = ""

    def check(self) -> None:
        """Raises InputError for a setting that is out of range, the task's included."""
        precision = self.runtime.mixed_precision_dtype
        if precision not in (None, "", *_PRECISIONS):
            raise InputError(
                f"runtime.mixed_precision_dtype is {precision!r}; it must be one of "
                f"{', '.join(_PRECISIONS)}"
            )
        trainer = self.trainer
        if trainer.summary_interval % trainer.steps_per_loop:
            raise InputError(
                f"trainer.summary_interval is {trainer.summary_interval}; it must be a multiple of "
                f"trainer.steps_per_loop, which is {trainer.steps_per_loop}"
            )
        if trainer.validation_steps < 1 and trainer.validation_steps != -1:
            raise InputError(
                f"trainer.validation_steps is {trainer.validation_steps}; it must be above 0, or "
                "-1 for all images"
            )
        if (
            self.runtime.distribution_strategy == "parameter_server"
            and self.task.train_data.on_bad == OnBad.SKIP
        ):
            raise InputError(
                "task.train_data.on_bad is skip, which is impossible with parameter_server: "
                "workers cannot say what they leave out; use error"
            )
        self.task.check()


def check_choice(name: str, value: str, choices: type[Choice]) -> None:
    """Raises InputError if a setting is not among its choices.

    Args:
        name: of the setting, for the error.
        value: the setting.
        choices: what it may be.
    """
    allowed = [choice.value for choice in choices]
    if value not in allowed:
        raise InputError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")


def images_per_step(task: TrainingTask, num_replicas: int) -> int:
    """How many images one step of the optimizer sees."""
    return task.train_data.batch_size * task.accumulate_steps * num_replicas


def scale_to_replicas(params: Experiment, num_replicas: int) -> float:
    """Applies the linear scaling rule in place.

    Args:
        params: an experiment, unlocked.
        num_replicas: how many replicas process `accumulate_steps` batches each in one step.

    Returns:
        The factor: images per step over `task.reference_batch_size`, or 1 where that is 0.
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
