"""The settings of a backbone."""

from __future__ import annotations

import dataclasses

from official.modeling import hyperparams
from official.vision.configs import backbones


@dataclasses.dataclass
class BackboneConfig(backbones.Backbone):
    """The backbone: Inception V3 [paper], or another of Model Garden's registry.

    Model Garden's backbones have their settings in the field of their name: `type: resnet` and
    `resnet: {model_id: 101}`. The settings below apply to all backbones unless one is named.

    Attributes:
        type: `inception_v3` or a field of `official.vision.configs.backbones.Backbone`;
            `inatdet.networks.backbones` says which ones the detector supports, and how.
        padding: Inception V3 only: `same` or `valid` in the stem and the reductions; `same` [OD
            API, Inception V2].
        width: Inception V3 only: factor on every number of filters; 1 is Inception V3.
        mask_padding: Inception V3 in the C4 form with SAME padding only: whether an image in a
            padded batch gets the features that it gets alone, which costs time [ours]; see
            `inatdet.networks.padding`.
        batch_norm: `frozen` statistics in both stages [OD API]; `trained`, those of a replica's
            batch; or `synchronised`, those of all replicas' batches together [Peng et al.,
            "MegDet", 2018].
        batch_norm_momentum: of the moving statistics, where they are trained [ours].
        frozen_until: Inception V3 only: the last block that is not trained, with all before it, as
            Keras calls it: `mixed7` is the whole trunk of the C4 form; '' trains all [ours].
            Nothing is computed backwards through these blocks, and their batch norm is as it was.
        weights: for Inception V3, the path of the Keras applications file, or `imagenet` [paper],
            which downloads it; for other backbones, the path of a checkpoint of Model Garden's
            image classification, without its extension. For either, the folder of a classifier of
            the same network and width that this package trained, or one of its checkpoints. An
            empty string means random initialization.
    """

    type: str = "inception_v3"
    padding: str = "same"
    width: float = 1.0
    mask_padding: bool = False
    batch_norm: str = "frozen"
    batch_norm_momentum: float = 0.99
    frozen_until: str = ""
    weights: str = "imagenet"

    def as_dict(self) -> dict[str, object]:
        """All settings except those of the backbones that are not chosen."""
        settings = hyperparams.Config.as_dict(self)
        return {
            name: value
            for name, value in settings.items()
            if name == self.type or not isinstance(value, dict)
        }
