"""The settings of the experiment `inatdet_fpn`, the second architecture.

[FPN] Lin et al., "Feature Pyramid Networks for Object Detection", 2017. Everything not set here is
as in `inatdet.detection.config`, so that the two forms differ only in the pyramid and its heads.
"""

from __future__ import annotations

import dataclasses
import re

from official.modeling import hyperparams
from official.vision.configs import common, decoders, maskrcnn

from inatdet.detection.config import DetectionExperiment, FasterRCNNTask, faster_rcnn_experiment
from inatdet.detection.detector_config import DetectorConfig, MinibatchConfig
from inatdet.detection.inputs import largest_batches
from inatdet.errors import InputError

FPN_EXPERIMENT = "inatdet_fpn"


@dataclasses.dataclass
class PyramidAnchorConfig(hyperparams.Config):
    """Anchors of one size per level [FPN]; on levels 3 to 6, 64 to 512 pixels as in the C4 form.

    Attributes:
        size: side of the square anchor, in cells of its level.
        scales: factors on the side.
        ratios: widths over heights.
    """

    size: float = 8.0
    scales: tuple[float, ...] = (1.0,)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)


@dataclasses.dataclass
class PyramidHeadConfig(MinibatchConfig):
    """The second stage: two dense layers on each crop [FPN].

    Attributes:
        level4_size: side of the smallest square box that is cut from level 4, in pixels; boxes of
            half that size or more are cut from level 3, and so on [FPN].
        crop_size: side of the crops, in bins [FPN].
        samples: side of a bin, in bilinear samples; the bin is their mean [He et al., "Mask R-CNN",
            2017].
        hidden: units of the dense layers, each with ReLU [FPN].
    """

    level4_size: float = 224.0
    crop_size: int = 7
    samples: int = 2
    hidden: tuple[int, ...] = (1024, 1024)


@dataclasses.dataclass
class FPNConfig(DetectorConfig):
    """A feature pyramid on the backbone, built by Model Garden's factory.

    Attributes:
        canvases: `height x width`, in pixels. An image keeps its size and is padded to the smallest
            canvas that holds it [ours]: Model Garden's pyramid adds each level, enlarged twice, to
            the next finer one, so sides must be divisible by the strides; and a small number of
            shapes stays in the caches of the libraries that multiply.
        min_level: finest level, of stride 2^min_level [ours: 3, where the smallest anchors, of 64
            pixels, are 8 cells large; FPN has 2, for anchors of 32].
        max_level: coarsest level; every side of a canvas must be a multiple of its stride [FPN].
        decoder: Model Garden's `fpn` with 256 filters [FPN].
        anchors: of every level.
        rpn_head: Model Garden's, shared by the levels: one 3x3 convolution [FPN].
        head: the second stage.
        norm_activation: batch norm and activation of the pyramid and `rpn_head` [ours: FPN has
            none, but Model Garden's parts do]. Its statistics are trained, whatever
            `backbone.batch_norm` is.
    """

    canvases: tuple[str, ...] = ("640x640", "640x832", "640x1024", "832x640", "1024x640")
    min_level: int = 3
    max_level: int = 6
    decoder: decoders.Decoder = dataclasses.field(
        default_factory=lambda: decoders.Decoder(
            type="fpn", fpn=decoders.FPN(num_filters=256, use_keras_layer=True)
        )
    )
    anchors: PyramidAnchorConfig = dataclasses.field(default_factory=PyramidAnchorConfig)
    rpn_head: maskrcnn.RPNHead = dataclasses.field(
        default_factory=lambda: maskrcnn.RPNHead(num_convs=1, num_filters=256)
    )
    head: PyramidHeadConfig = dataclasses.field(default_factory=PyramidHeadConfig)
    norm_activation: common.NormActivation = dataclasses.field(
        default_factory=lambda: common.NormActivation(use_sync_bn=False)
    )

    def canvas_sizes(self) -> list[tuple[int, int]]:
        """Heights and widths of the canvases, the smallest first.

        Raises:
            InputError: if one is written differently, or a side is not a multiple of the stride.
        """
        stride = 2**self.max_level
        sizes = []
        for canvas in self.canvases:
            sides = re.fullmatch(r"(\d+)x(\d+)", str(canvas))
            if sides is None or any(int(side) % stride for side in sides.groups()):
                raise InputError(
                    f"task.model.canvases has {canvas}; it must be a height and a width, as in "
                    f"{4 * stride}x{5 * stride}, both multiples of {stride}, the stride of "
                    f"task.model.max_level {self.max_level}"
                )
            sizes.append((int(sides[1]), int(sides[2])))
        return sorted(sizes, key=lambda size: size[0] * size[1])

    def check(self, short_edge: int, long_edge: int) -> None:
        """Raises InputError for settings that a pyramid does not support; see the base class."""
        if self.backbone.mask_padding:
            raise InputError(
                "task.model.backbone.mask_padding is true, which a feature pyramid does not "
                "support; leave it out, or train the C4 form (pipelines/species.yaml)"
            )
        if not 2 <= self.min_level <= self.max_level <= 7:
            raise InputError(
                f"task.model.min_level is {self.min_level} and task.model.max_level "
                f"{self.max_level}; they must be 2 to 7, in this order"
            )
        sizes = self.canvas_sizes()
        for height, width in largest_batches(short_edge, long_edge):
            if not any(height <= high and width <= wide for high, wide in sizes):
                raise InputError(
                    f"task.model.canvases has none that holds a batch of {height}x{width} pixels, "
                    f"which task.short_edge {short_edge} and task.long_edge {long_edge} can give; "
                    "add one"
                )


@dataclasses.dataclass
class FPNTask(FasterRCNNTask):
    """What is learned from which images; see `FasterRCNNTask`."""

    model: FPNConfig = dataclasses.field(default_factory=FPNConfig)


def fpn_experiment() -> DetectionExperiment:
    """Faster R-CNN with Inception V3 and a feature pyramid, trained like the C4 form."""
    experiment = faster_rcnn_experiment()
    experiment.override({"experiment": FPN_EXPERIMENT})
    experiment.task = FPNTask()
    return experiment
