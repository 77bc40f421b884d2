"""The experiment `inatdet_faster_rcnn`, the paper's detector: its images and its training.

The defaults, here and in `inatdet.detection.detector_config`, are the paper's: "a TensorFlow
implementation of Faster-RCNN with default hyper-parameters". Sources, named at each field:

- [paper] Van Horn et al., "The iNaturalist Species Classification and Detection Dataset", 2018.
- [OD API] TensorFlow Object Detection API, sample configs, protos and code.
- [fgvc] its own iNaturalist config, samples/configs/faster_rcnn_resnet101_fgvc.config.
- [ours] a choice that the paper leaves open.
"""

from __future__ import annotations

import dataclasses

from official.core import config_definitions as cfg
from official.modeling import optimization

from inatdet.data.checking import OnBad
from inatdet.detection.detector_config import FasterRCNNConfig, MarginalBoxes
from inatdet.errors import InputError
from inatdet.networks import backbones
from inatdet.networks.inception_v3_tables import TRUNK_END, is_frozen
from inatdet.training.cluster import STRATEGIES
from inatdet.training.config import Experiment, TrainingTask, check_choice

FASTER_RCNN_EXPERIMENT = "inatdet_faster_rcnn"


@dataclasses.dataclass
class FasterRCNNTask(TrainingTask):
    """What is learned from which images.

    Attributes:
        short_edge: images are resized to this shorter side, in pixels [paper] ...
        long_edge: ... or to this longer side, if that makes them smaller [OD API].
        validation_pictures: how many images, the first of `validation_data`, TensorBoard shows with
            their detections after each validation [ours].
        feature_cache: a folder for the features of the training images, computed once, in the C4
            form with a trunk that is frozen to its end; runs that need the same ones share them.
            '' computes them in each step [ours]. See `inatdet.detection.feature_cache`.
        model: the detector.
    """

    short_edge: int = 600
    long_edge: int = 1024
    validation_pictures: int = 8
    feature_cache: str = ""
    model: FasterRCNNConfig = dataclasses.field(default_factory=FasterRCNNConfig)

    def learned(self) -> tuple[str, ...]:
        """The sizes of images and what shapes the network; see the base class."""
        backbone = self.model.backbone
        names = (
            "anchors",
            "box_code_scales",
            "head.crop_size",
            "head.pool_size",
            *(f"backbone.{name}" for name in ("type", "padding", "width", backbone.type)),
            "rpn.channels",
            "head.class_agnostic_boxes",
            "head.position_sensitive_boxes",
            "head.separate_objectness",
            # Those of the pyramid alone:
            "min_level",
            "max_level",
            "decoder",
            "rpn_head",
            "head.hidden",
            "head.level4_size",
            "head.samples",
        )
        return (*super().learned(), "short_edge", "long_edge", *(f"model.{n}" for n in names))

    def check(self) -> None:
        """Raises InputError for a setting that is out of range or not supported."""
        super().check()
        backbone = self.model.backbone
        backbones.check(backbone)
        self.check_batch_norm("task.model.backbone.batch_norm", backbone.batch_norm)
        self.model.losses.level_weights.check("task.model.losses.level_weights")
        check_choice(
            "task.model.detections.marginal_boxes",
            self.model.detections.marginal_boxes,
            MarginalBoxes,
        )
        if self.validation_pictures < 0:
            raise InputError(
                f"task.validation_pictures is {self.validation_pictures}; it must be 0, which "
                "shows none, or more"
            )
        if not 0 < self.short_edge <= self.long_edge:
            raise InputError(
                f"task.short_edge is {self.short_edge} and task.long_edge {self.long_edge}; the "
                "edges must be positive, the short one no longer than the long one"
            )
        self.model.check(self.short_edge, self.long_edge)
        if self.feature_cache:
            self._check_feature_cache()

    def _check_feature_cache(self) -> None:
        backbone = self.model.backbone
        if not isinstance(self.model, FasterRCNNConfig):
            raise InputError(
                "task.feature_cache is set, but a feature pyramid needs more than the last "
                "features of a frozen trunk; leave it out, or train the C4 form"
            )
        if not is_frozen(TRUNK_END, backbone.frozen_until):
            raise InputError(
                "task.feature_cache keeps the features of a trunk that does not change; set "
                f"task.model.backbone.frozen_until to {TRUNK_END}, its last block (it is "
                f"{backbone.frozen_until!r}), or leave task.feature_cache out"
            )
        if self.train_data.on_bad == OnBad.SKIP:
            raise InputError(
                "task.feature_cache needs records that can all be read, so "
                "task.train_data.on_bad=skip is impossible with it; write the damaged ones again"
            )


@dataclasses.dataclass
class DetectionExperiment(Experiment):
    """An experiment with a detector; see `Experiment`."""

    experiment: str = FASTER_RCNN_EXPERIMENT

    def check(self) -> None:
        """Raises InputError for a setting that is out of range or not supported."""
        super().check()
        if self.runtime.enable_xla:
            raise InputError(
                "runtime.enable_xla would compile whole training steps again for each image shape; "
                "set task.model.head.xla=true, which compiles only the second stage"
            )
        if self.task.feature_cache and self.runtime.distribution_strategy in STRATEGIES:
            raise InputError(
                "task.feature_cache is for training in one process; leave it out, or set "
                "runtime.distribution_strategy to mirrored"
            )


def faster_rcnn_experiment() -> DetectionExperiment:
    """Faster R-CNN with Inception V3 as in the paper.

    Momentum .9 [paper]; each tensor's gradient clipped to norm 10 [OD API]; learning rate 3e-4,
    a tenth of it after 3.0M and again after 3.5M steps, 4.0M steps of one image [fgvc].
    """
    optimizer_config = optimization.OptimizationConfig(
        {
            "optimizer": {"type": "sgd", "sgd": {"momentum": 0.9, "clipnorm": 10.0}},
            "learning_rate": {
                "type": "stepwise",
                "stepwise": {
                    "boundaries": [3_000_000, 3_500_000],
                    "values": [3e-4, 3e-5, 3e-6],
                },
            },
        }
    )
    return DetectionExperiment(
        task=FasterRCNNTask(),
        trainer=cfg.TrainerConfig(
            optimizer_config=optimizer_config,
            train_steps=4_000_000,
            steps_per_loop=100,
            summary_interval=100,
            checkpoint_interval=10_000,
            validation_interval=10_000,
        ),
        restrictions=["task.train_data.is_training != None"],
    )
