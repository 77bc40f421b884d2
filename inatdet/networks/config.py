"""TODO."""

from __future__ import annotations

import dataclasses

from official.modeling import hyperparams
from official.vision.configs import backbones


@dataclasses.dataclass
class BackboneConfig(backbones.Backbone):
    """The network under the detector: Inception V3 [paper], or another of Model Garden's registry.

    Model Garden's backbones have their settings in the field of their name: `type: resnet` and
    `resnet: {model_id: 101}`. Those below hold for all where nothing else is said.

    Attributes:
        type: `inception_v3` or a field of `official.vision.configs.backbones.Backbone`; what the
            detector can do with each, `inatdet.networks.backbones` says.
        padding: of Inception V3: `same` or `valid` in the stem and the reductions; `same` [OD API,
            Inception V2].
        width: of Inception V3: factor on every number of filters; 1 is Inception V3.
        mask_padding: of Inception V3 in the C4 form with SAME padding: whether an image in a padded
            batch is seen just as it is alone, which costs time [ours]; see
            `inatdet.networks.padding`.
        batch_norm: `frozen` statistics in both stages [OD API]; `trained`, those of a replica's
            batch; or `synchronised`, those of all replicas' batches together [Peng et al.,
            "MegDet", 2018].
        batch_norm_momentum: of the moving statistics, where they are trained [ours].
        weights: a path: of Inception V3, the Keras applications file, which `imagenet` [paper]
            downloads; of the others, a checkpoint of Model Garden's image classification, without
            its extension. Nothing starts from random weights.
    """

    type: str = "inception_v3"
    padding: str = "same"
    width: float = 1.0
    mask_padding: bool = False
    batch_norm: str = "frozen"
    batch_norm_momentum: float = 0.99
    weights: str = "imagenet"

    def as_dict(self) -> dict[str, object]:
        """All settings but those of the backbones that are not chosen."""
        settings = hyperparams.Config.as_dict(self)
        return {
            name: value
            for name, value in settings.items()
            if name == self.type or not isinstance(value, dict)
        }
