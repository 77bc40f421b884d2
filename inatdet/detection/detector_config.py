"""The settings of the detector's network, losses and detections.

The defaults are the paper's, with the sources that `inatdet.detection.config` names.
"""

from __future__ import annotations

import dataclasses

from official.modeling import hyperparams

from inatdet.choices import Choice
from inatdet.networks.config import BackboneConfig
from inatdet.training.config import LevelWeights


class MarginalBoxes(Choice):
    """Which box a coarse label gets whose probability is a sum over finer ones."""

    MOST_PROBABLE = "most_probable"
    MEAN = "mean"


@dataclasses.dataclass
class AnchorConfig(hyperparams.Config):
    """Twelve anchors per cell, sides 64 to 512 [OD API].

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
    """How the region proposal network is trained and its output used [OD API].

    Attributes:
        positive_iou: an anchor is positive at or above this overlap; so is each box's best anchor.
        negative_iou: an anchor is negative below this overlap.
        sample_size: anchors per image in the loss.
        positive_fraction: the largest share of positives among them.
        candidates: anchors that go into the suppression, the best by score; 0, the default, means
            all.
        nms_iou: threshold of the suppression among proposals.
        min_score: proposals must have a higher probability of an object.
        max_proposals: proposals kept per image, in training and detection alike ([fgvc] keeps 32).
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
        initializer_stddev: of the truncated normal that initializes its kernels.
    """

    channels: int = 512
    initializer_stddev: float = 0.01


@dataclasses.dataclass
class MinibatchConfig(hyperparams.Config):
    """The proposals that the second stage is trained on [OD API].

    Attributes:
        add_ground_truth: whether training adds the ground-truth boxes to the proposals.
        positive_iou: a proposal is positive at or above this overlap, negative below.
        sample_size: proposals per image in the loss ([fgvc] 32).
        positive_fraction: the largest share of positives among them.
        xla: compiles this stage with XLA [ours: off]. Its crops have one shape whatever that of the
            image, so it is compiled once for training and once for detection; the trunk would be
            compiled for each image shape.
        class_agnostic_boxes: one regressor refines the box of a proposal, whatever its class,
            instead of one for each class [OD API: a box per class unless
            `share_box_across_classes`; Dai et al., "R-FCN", 2016].
        separate_objectness: the probability of a class is a product of two factors with weights of
            their own, of an animal and of the class given an animal [Redmon and Farhadi,
            "YOLO9000", 2017; in Faster R-CNN's second stage, Wang et al., "Seesaw Loss for
            Long-Tailed Instance Segmentation", 2021], instead of one softmax over all classes and
            the background [OD API].
    """

    add_ground_truth: bool = False
    positive_iou: float = 0.5
    sample_size: int = 64
    positive_fraction: float = 0.25
    xla: bool = False
    class_agnostic_boxes: bool = False
    separate_objectness: bool = False


@dataclasses.dataclass
class HeadConfig(MinibatchConfig):
    """The second stage of the C4 form [OD API].

    Attributes:
        crop_size: side of the bilinear crops, in samples.
        pool_size: side and stride of the max pooling after them.
        position_sensitive_boxes: the regressors see every cell of the last features, instead of
            their mean, which says what is there but not where [OD API: the mean].
    """

    crop_size: int = 14
    pool_size: int = 2
    position_sensitive_boxes: bool = False


@dataclasses.dataclass
class LossConfig(hyperparams.Config):
    """The weights of the four losses, and what else they depend on [OD API].

    Attributes:
        rpn_objectness_weight: on the softmax cross entropy of the anchors.
        rpn_boxes_weight: on the smooth L1 of the anchors.
        classes_weight: on the softmax cross entropy of the proposals.
        level_weights: weights, within `classes_weight`, on the cross entropy of the proposals at
            each level of the taxonomy that is named, of summed probabilities; that of the model's
            own level is 1 unless it is named. None is, by default [OD API]. The hierarchical cross
            entropy of Bertinetto et al., "Making Better Mistakes", 2020, in other weights; see
            `inatdet.detection.level_losses`.
        boxes_weight: on the smooth L1 of the proposals.
        smooth_l1_delta: where the square becomes a line.
        weight_decay: times half the squared norm of all kernels, added to the loss.
    """

    rpn_objectness_weight: float = 1.0
    rpn_boxes_weight: float = 2.0
    classes_weight: float = 1.0
    level_weights: LevelWeights = dataclasses.field(default_factory=LevelWeights)
    boxes_weight: float = 2.0
    smooth_l1_delta: float = 1.0
    weight_decay: float = 0.0


@dataclasses.dataclass
class DetectionsConfig(hyperparams.Config):
    """How scores and boxes become detections [OD API].

    Attributes:
        min_score: detections must have a higher score.
        nms_iou: threshold of the class-wise suppression.
        max_per_class: detections kept per class and image ([fgvc] 5).
        max_detections: detections kept per image ([fgvc] 5).
        candidates: (proposal, class) pairs that go into the suppression, the best by score [ours:
            the OD API has no such cut; with 300 proposals and 2,854 classes it would suppress among
            856,200 boxes].
        logit_adjustment: tau of the post-hoc logit adjustment for a long tail [Menon et al.,
            "Long-tail learning via logit adjustment", 2021, who use 1]; 0 means none [OD API].
        marginal_boxes: the box of a coarser label in detections by summed probabilities [ours]:
            that of its `most_probable` class, or the `mean` over its classes, weighted by
            probability; see `inatdet.detection.marginals`.
    """

    min_score: float = 0.0
    nms_iou: float = 0.6
    max_per_class: int = 100
    max_detections: int = 300
    candidates: int = 3000
    logit_adjustment: float = 0.0
    marginal_boxes: str = "most_probable"


@dataclasses.dataclass
class DetectorConfig(hyperparams.Config):
    """What every form of the detector has; the forms add how they are built.

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
        """Raises InputError for settings that the form does not support.

        Args:
            short_edge: of the images, in pixels.
            long_edge: of the images, in pixels.
        """


@dataclasses.dataclass
class FasterRCNNConfig(DetectorConfig):
    """The C4 form, the paper's; it takes images of any size."""

    anchors: AnchorConfig = dataclasses.field(default_factory=AnchorConfig)
    rpn: RPNConfig = dataclasses.field(default_factory=RPNConfig)
    head: HeadConfig = dataclasses.field(default_factory=HeadConfig)
