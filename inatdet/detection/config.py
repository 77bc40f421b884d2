"""The settings of an experiment, registered with Model Garden as `inatdet_faster_rcnn`.

The defaults are the paper's: "a TensorFlow implementation of Faster-RCNN with default
hyper-parameters". Sources, named at each field:

- [paper] Van Horn et al., "The iNaturalist Species Classification and Detection Dataset", 2018.
- [OD API] TensorFlow Object Detection API, sample configs, protos and code.
- [fgvc] its own iNaturalist config, samples/configs/faster_rcnn_resnet101_fgvc.config.
- [ours] a choice that the paper leaves open.
"""

from __future__ import annotations

import dataclasses

from official.core import config_definitions as cfg
from official.core import exp_factory
from official.modeling import hyperparams, optimization

from inatdet.networks.config import BackboneConfig
from inatdet.training.config import EXPERIMENT, DetectionExperiment, InputConfig


@dataclasses.dataclass
class AnchorConfig(hyperparams.Config):
    """Twelve anchors a cell, sides 64 to 512 [OD API].

    Attributes:
        base: side of the anchor of scale 1 and ratio 1, in pixels.
        scales: factors on the side.
        ratios: widths over heights.
        stride: pixels between cells; that of the trunk.
    """

    base: float = 256.0
    scales: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    stride: int = 16


@dataclasses.dataclass
class ProposalConfig(hyperparams.Config):
    """How the region proposal network is trained and read [OD API].

    Attributes:
        positive_iou: an anchor is positive at or above; each box's best anchor is, too.
        negative_iou: negative below.
        sample_size: anchors an image in the loss.
        positive_fraction: the largest share of positives among them.
        candidates: anchors that go into the suppression, the best by score; 0, as here, is all.
        nms_iou: of the suppression among proposals.
        min_score: proposals must have a higher probability of an object.
        max_proposals: kept an image, in training and detection alike ([fgvc] keeps 32).
    """

    positive_iou: float = 0.7
    negative_iou: float = 0.3
    sample_size: int = 256
    positive_fraction: float = 0.5
    candidates: int = 0
    nms_iou: float = 0.7
    min_score: float = 0.0
    max_proposals: int = 300


@dataclasses.dataclass
class RPNConfig(ProposalConfig):
    """The region proposal network of the C4 form [OD API].

    Attributes:
        channels: of its 3x3 convolution.
        initializer_stddev: of the truncated normal that its kernels start from.
    """

    channels: int = 512
    initializer_stddev: float = 0.01


@dataclasses.dataclass
class MinibatchConfig(hyperparams.Config):
    """The proposals that the second stage is trained on [OD API].

    Attributes:
        add_ground_truth: whether training adds the ground-truth boxes to the proposals.
        positive_iou: a proposal is positive at or above, negative below.
        sample_size: proposals an image in the loss ([fgvc] 32).
        positive_fraction: the largest share of positives among them.
        xla: compiles this stage with XLA [ours: off]. Its crops have one shape whatever the
            image's, so it is compiled once for training and once for detection; the trunk would be
            for each shape of images.
    """

    add_ground_truth: bool = False
    positive_iou: float = 0.5
    sample_size: int = 64
    positive_fraction: float = 0.25
    xla: bool = False


@dataclasses.dataclass
class HeadConfig(MinibatchConfig):
    """The second stage of the C4 form [OD API].

    Attributes:
        crop_size: side of the bilinear crops, in samples.
        pool_size: side and stride of the max pooling behind them.
    """

    crop_size: int = 14
    pool_size: int = 2


@dataclasses.dataclass
class LossConfig(hyperparams.Config):
    """The weights of the four losses, and what else they depend on [OD API].

    Attributes:
        rpn_objectness_weight: on the softmax cross entropy of the anchors.
        rpn_boxes_weight: on the smooth L1 of the anchors.
        classes_weight: on the softmax cross entropy of the proposals.
        boxes_weight: on the smooth L1 of the proposals.
        smooth_l1_delta: where the square becomes a line.
        weight_decay: times half the squared norm of all kernels, added to the loss.
    """

    rpn_objectness_weight: float = 1.0
    rpn_boxes_weight: float = 2.0
    classes_weight: float = 1.0
    boxes_weight: float = 2.0
    smooth_l1_delta: float = 1.0
    weight_decay: float = 0.0


@dataclasses.dataclass
class DetectionsConfig(hyperparams.Config):
    """What becomes of scores and boxes [OD API].

    Attributes:
        min_score: detections must have a higher score.
        nms_iou: of the class-wise suppression.
        max_per_class: detections kept of one class in one image ([fgvc] 5).
        max_detections: detections kept of one image ([fgvc] 5).
        candidates: (proposal, class) pairs that go into the suppression, the best by score [ours:
            the OD API has no such cut; with 300 proposals and 2,854 classes it would suppress among
            856,200 boxes].
        logit_adjustment: tau of the post-hoc logit adjustment for a long tail [Menon et al.,
            "Long-tail learning via logit adjustment", 2021, whose choice is 1]; 0 is none [OD API].
    """

    min_score: float = 0.0
    nms_iou: float = 0.6
    max_per_class: int = 100
    max_detections: int = 300
    candidates: int = 3000
    logit_adjustment: float = 0.0


@dataclasses.dataclass
class DetectorConfig(hyperparams.Config):
    """What every form of the detector has; the forms add how it is built.

    Attributes:
        box_code_scales: s in the codes of both stages, s0 dy / h, s1 dx / w, s2 log(h' / h) and
            s3 log(w' / w) [OD API].
    """

    box_code_scales: tuple[float, ...] = (10.0, 10.0, 5.0, 5.0)
    backbone: BackboneConfig = dataclasses.field(default_factory=BackboneConfig)
    rpn: ProposalConfig = dataclasses.field(default_factory=ProposalConfig)
    head: MinibatchConfig = dataclasses.field(default_factory=MinibatchConfig)
    losses: LossConfig = dataclasses.field(default_factory=LossConfig)
    detections: DetectionsConfig = dataclasses.field(default_factory=DetectionsConfig)

    def check(self, short_edge: int, long_edge: int) -> None:
        """Raises InputError for what the form cannot do, and where it takes no such images."""


@dataclasses.dataclass
class FasterRCNNConfig(DetectorConfig):
    """The C4 form, the paper's; it takes images of any size."""

    anchors: AnchorConfig = dataclasses.field(default_factory=AnchorConfig)
    rpn: RPNConfig = dataclasses.field(default_factory=RPNConfig)
    head: HeadConfig = dataclasses.field(default_factory=HeadConfig)


@dataclasses.dataclass
class FasterRCNNTask(cfg.TaskConfig):
    """What is learned from which images.

    Attributes:
        granularity: `species`, `super` or `generic`: which labels.
        taxonomy: the taxonomy.json beside the TFRecords; the number of labels comes from it.
        short_edge: images are resized to this shorter side, in pixels [paper] ...
        long_edge: ... or to this longer side, where that is less [OD API].
        accumulate_steps: batches of `train_data` that a replica takes, one after another, for one
            step of the optimizer: as one batch of that many times the images, in the memory of one
            [ours]. Trained batch norm sees one of the batches at a time.
        reference_batch_size: images a step, over all replicas and accumulated batches, for which
            the learning rate and the steps are stated. With more images a step the learning rate
            grows and the steps shrink in proportion (the linear scaling rule of Goyal et al.,
            "Accurate, Large Minibatch SGD", 2017). 0 leaves both as they are.
        seed: makes the first weights, the order and flips of the images and the sampled anchors and
            proposals repeatable; none by default. (Sums over threads can still differ in their
            last digits.)
        validation_pictures: images, the first of `validation_data`, that TensorBoard shows with
            their detections after each validation [ours].
    """

    granularity: str = "species"
    taxonomy: str = ""
    short_edge: int = 600
    long_edge: int = 1024
    accumulate_steps: int = 1
    reference_batch_size: int = 1
    seed: int | None = None
    validation_pictures: int = 8
    model: FasterRCNNConfig = dataclasses.field(default_factory=FasterRCNNConfig)
    train_data: InputConfig = dataclasses.field(
        default_factory=lambda: InputConfig(is_training=True)
    )
    validation_data: InputConfig = dataclasses.field(default_factory=InputConfig)


@exp_factory.register_config_factory(EXPERIMENT)
def faster_rcnn_experiment() -> DetectionExperiment:
    """Faster R-CNN with Inception V3 as in the paper.

    Momentum .9 [paper]; each tensor's gradient clipped to norm 10 [OD API]; learning rate 3e-4,
    a tenth after 3.0M and again after 3.5M steps, 4.0M steps of one image [fgvc].
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
