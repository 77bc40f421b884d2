"""The settings of a classifier, and the experiment with the paper's.

Sources in brackets: [paper], Van Horn et al., 2018, section 4.1; [authors], the training code of
its authors, visipedia/tf_classification, whose defaults hold where the paper says nothing; [ours].
"""

from __future__ import annotations

import dataclasses

from official.core import config_definitions as cfg
from official.modeling import hyperparams
from official.vision.configs import backbones

from inatdet.choices import Choice
from inatdet.data.box_choice import MOST_CONTEXT
from inatdet.errors import InputError
from inatdet.networks import classifiers
from inatdet.networks.backbones import check_frozen
from inatdet.training import rmsprop
from inatdet.training.config import Experiment, InputConfig, TrainingTask, check_choice

EXPERIMENT = "image_classifier"

TRAIN_IMAGES = 579_184
"""Images of iNat2017's training split [paper, Table 2]: the epochs of the schedule."""

_BATCH = 32
_EPOCH = TRAIN_IMAGES // _BATCH  # steps


class View(Choice):
    """What an example of a classifier is.

    `IMAGE`: a whole image, with the category that it shows.

    `BOX`: a box and what surrounds it, with the category of the box. Boxes around a crowd are left
    out.
    """

    IMAGE = "image"
    BOX = "box"


@dataclasses.dataclass
class ModelGardenConfig(hyperparams.Config):
    """The settings of Model Garden's backbones, each under its name, as in `resnet.model_id=101`.

    They are Model Garden's own, with its defaults.
    """

    resnet: backbones.ResNet = dataclasses.field(default_factory=backbones.ResNet)
    efficientnet: backbones.EfficientNet = dataclasses.field(default_factory=backbones.EfficientNet)
    mobilenet: backbones.MobileNet = dataclasses.field(default_factory=backbones.MobileNet)
    mobiledet: backbones.MobileDet = dataclasses.field(default_factory=backbones.MobileDet)
    revnet: backbones.RevNet = dataclasses.field(default_factory=backbones.RevNet)


@dataclasses.dataclass
class ClassifierConfig(hyperparams.Config):
    """The network.

    Attributes:
        network: one of the nine of Table 3 (`inception_v3`, `inception_v3_se`, …), or as
            `tf_keras.applications` calls it, or a backbone of Model Garden's such as `resnet`; see
            `inatdet.networks.classifiers`.
        weights: `imagenet` [paper], which downloads Keras' file; the path of such a file, or of a
            checkpoint of Model Garden's for its backbones; or '' for random weights.
        width: factor on every number of filters of Inception V3; 1 is Inception V3.
        dropout: the share of the pooled features that is dropped in training; a negative number
            stands for the network's own: .5 of the ResNets "drp" [paper], of the Inception networks
            and MobileNet [authors], 0 of the other ResNets.
        batch_norm: `trained` statistics, those of a replica's batch [authors]; `synchronised`,
            those of all replicas; or `frozen`, those of the pretrained network.
        batch_norm_momentum: of the moving statistics [authors].
        frozen_until: `inception_v3` only: the last block that is not trained, with all before it,
            as Keras calls it, such as `mixed7`; '' trains all [authors].
        label_smoothing: the share of the probability that is spread over all labels [authors].
        weight_decay: times half the sum of the squared kernels [authors].
        backbone: the settings of Model Garden's backbones, of which that of `network` counts.
        logit_adjustment: tau of the post-hoc logit adjustment for a long tail [Menon et al.,
            "Long-tail learning via logit adjustment", 2021, who use 1]; 0 means none [paper].
    """

    network: str = "inception_v3"
    weights: str = "imagenet"
    width: float = 1.0
    dropout: float = -1.0
    batch_norm: str = "trained"
    batch_norm_momentum: float = 0.9997
    frozen_until: str = ""
    label_smoothing: float = 0.1
    weight_decay: float = 4e-5
    backbone: ModelGardenConfig = dataclasses.field(default_factory=ModelGardenConfig)
    logit_adjustment: float = 0.0


@dataclasses.dataclass
class AugmentationConfig(hyperparams.Config):
    """How training varies an image, or a box and what surrounds it.

    Attributes:
        min_area: the least share of its area that a random crop has [authors].
        max_area: the greatest [authors].
        min_aspect: the least width of a crop for each pixel of its height [authors].
        max_aspect: the greatest [authors].
        color_share: the share of the images whose colors are distorted [authors].
    """

    min_area: float = 0.5
    max_area: float = 1.0
    min_aspect: float = 0.7
    max_aspect: float = 1.33
    color_share: float = 0.3


@dataclasses.dataclass
class BoxConfig(hyperparams.Config):
    """What is seen of a box, be it one to train on or one of a detector.

    Attributes:
        context: the share of a box's width and height that is seen on each of its sides, too
            [ours].
        central_fraction: of the height and of the width of the box and what surrounds it, the part
            that is seen outside of training [ours: all of it].
    """

    context: float = 0.1
    central_fraction: float = 1.0


@dataclasses.dataclass
class ClassificationTask(TrainingTask):
    """What is learned from which images.

    Attributes:
        view: whether an example is a whole `image` [paper], or a `box` with its own category
            [ours]; see `View`.
        image_size: the side of the square that images are resized to, in pixels [paper].
        central_fraction: of the height and of the width of an image that is seen outside of
            training: a single centred crop [paper], .875 [authors]; 1 is the whole image.
        box: what is seen of a box.
        shrink_while_decoding: whether libjpeg may halve large images while decoding them [ours].
        augmentation: of the images in training.
        model: the network.
    """

    view: str = "image"
    image_size: int = 299
    central_fraction: float = 0.875
    shrink_while_decoding: bool = True
    reference_batch_size: int = _BATCH
    train_data: InputConfig = dataclasses.field(
        default_factory=lambda: InputConfig(is_training=True, batch_size=_BATCH)
    )
    validation_data: InputConfig = dataclasses.field(
        default_factory=lambda: InputConfig(batch_size=_BATCH)
    )
    augmentation: AugmentationConfig = dataclasses.field(default_factory=AugmentationConfig)
    box: BoxConfig = dataclasses.field(default_factory=BoxConfig)
    model: ClassifierConfig = dataclasses.field(default_factory=ClassifierConfig)

    def learned(self) -> tuple[str, ...]:
        """The view, the size of images and what shapes the network; see the base class."""
        network = self.model.network
        names = ("view", "image_size", "model.network", "model.width", f"model.backbone.{network}")
        return (*super().learned(), *names)

    def is_of_boxes(self) -> bool:
        """Whether the classifier learns from boxes instead of whole images."""
        return View(self.view) is View.BOX

    def fraction_seen(self) -> float:
        """The central share of the height and of the width of a whole image that is seen.

        A classifier of boxes sees an image as a box that has nothing around it.
        """
        return self.box.central_fraction if self.is_of_boxes() else self.central_fraction

    def check(self) -> None:
        """Raises InputError for a setting that is out of range or not supported."""
        super().check()
        model, crop = self.model, self.augmentation
        check_choice("task.view", self.view, View)
        classifiers.find(model.network)
        self.check_batch_norm("task.model.batch_norm", model.batch_norm)
        check_frozen("task.model.frozen_until", model.frozen_until, model.network)
        shares = {
            "task.central_fraction": self.central_fraction,
            "task.box.central_fraction": self.box.central_fraction,
            "task.augmentation.min_area": crop.min_area,
            "task.augmentation.max_area": crop.max_area,
        }
        for name, share in shares.items():
            if not 0 < share <= 1:
                raise InputError(f"{name} is {share}; it must be above 0 and at most 1")
        if crop.min_area > crop.max_area or not 0 < crop.min_aspect <= crop.max_aspect:
            raise InputError(
                f"task.augmentation goes from an area of {crop.min_area} to {crop.max_area} and an "
                f"aspect of {crop.min_aspect} to {crop.max_aspect}; the least must be above 0 and "
                "not exceed the greatest"
            )
        for name, value in (
            ("task.augmentation.color_share", crop.color_share),
            ("task.model.label_smoothing", model.label_smoothing),
        ):
            if not 0 <= value <= 1:
                raise InputError(f"{name} is {value}; it must lie between 0 and 1")
        if not 0 <= self.box.context <= MOST_CONTEXT:
            raise InputError(
                f"task.box.context is {self.box.context}; it must be from 0 to {MOST_CONTEXT}"
            )
        if not model.dropout < 1:
            raise InputError(f"task.model.dropout is {model.dropout}; it must be below 1")


@dataclasses.dataclass
class ClassificationExperiment(Experiment):
    """An experiment with a classifier; see `Experiment`."""

    experiment: str = EXPERIMENT


def image_classifier_experiment() -> ClassificationExperiment:
    """A classifier as in the paper.

    RMSProp with decay .9 and momentum .9, learning rate .0045 falling by .94 every 4 epochs
    [paper], in steps, epsilon 1, averages of the weights by .9999 [authors].
    """
    optimizer_config = rmsprop.Optimization(
        {
            "optimizer": {
                "type": rmsprop.NAME,
                rmsprop.NAME: {"rho": 0.9, "momentum": 0.9, "epsilon": 1.0},
            },
            "ema": {"average_decay": 0.9999, "trainable_weights_only": False},
            "learning_rate": {
                "type": "exponential",
                "exponential": {
                    "initial_learning_rate": 0.0045,
                    "decay_rate": 0.94,
                    "decay_steps": 4 * _EPOCH,
                    "staircase": True,
                },
            },
        }
    )
    return ClassificationExperiment(
        task=ClassificationTask(),
        trainer=cfg.TrainerConfig(
            optimizer_config=optimizer_config,
            train_steps=80 * _EPOCH,
            steps_per_loop=100,
            summary_interval=100,
            checkpoint_interval=10_000,
            validation_interval=10_000,
        ),
        restrictions=["task.train_data.is_training != None"],
    )
