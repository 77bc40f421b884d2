"""The forms of the detector, one for each class of settings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inatdet.detection.c4 import C4FasterRCNN
from inatdet.detection.detector_config import DetectorConfig, FasterRCNNConfig
from inatdet.detection.faster_rcnn import FasterRCNN
from inatdet.detection.fpn import FPNFasterRCNN
from inatdet.detection.fpn_config import FPNConfig
from inatdet.detection.level_losses import WeightedLevel

_FORMS = {FasterRCNNConfig: C4FasterRCNN, FPNConfig: FPNFasterRCNN}


def build(
    config: DetectorConfig,
    num_classes: int,
    priors: np.ndarray | None = None,
    levels: Sequence[WeightedLevel] = (),
) -> FasterRCNN:
    """Builds a detector.

    Args:
        config: its settings, whose class determines the form.
        num_classes: labels without the background.
        priors: `[classes]`, shares of the labels in training, for logit adjustment.
        levels: at which classes are judged in training, of `level_losses.weighted_levels`.
    """
    return _FORMS[type(config)](config, num_classes, priors, levels, name="faster_rcnn")
