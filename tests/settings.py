"""Settings of a detector that is small enough to be trained in a test."""

import os

from inatdet.detection.experiments import read_experiment

# Model Garden's ResNet, whose graph is built in a fraction of the time of Inception V3's. On a
# narrower one, TensorFlow 2.20's gradients with oneDNN write where they should not.
RESNET = {"type": "resnet", "weights": "", "resnet": {"model_id": 10, "depth_multiplier": 0.25}}
RESNET_OVERRIDE = (
    "task.model.backbone.type=resnet,task.model.backbone.resnet.model_id=10,"
    "task.model.backbone.resnet.depth_multiplier=0.25"
)
INCEPTION_OVERRIDE = "task.model.backbone.type=inception_v3"

SMALL = (
    f"{RESNET_OVERRIDE},task.model.backbone.width=0.125,"
    "task.model.backbone.batch_norm_momentum=0.8,"
    "task.model.rpn.channels=32,task.model.rpn.max_proposals=16,task.model.head.crop_size=8,"
    "task.short_edge=96,task.long_edge=128,task.train_data.batch_size=4,task.seed=1,"
    "trainer.steps_per_loop=5,trainer.summary_interval=5,trainer.checkpoint_interval=10"
)

SMALL_PYRAMID = (
    "task.model.backbone.width=0.125,task.model.decoder.fpn.num_filters=16,"
    "task.model.head.hidden=[32],task.model.canvases=[128x160,160x128],"
    "task.short_edge=96,task.long_edge=128,task.model.rpn.max_proposals=16"
)


def small(more=""):
    """Settings of a small C4 detector of species on ResNet, and overrides."""
    return read_experiment(["pipelines/mini_species.yaml"], _joined(SMALL, more))


def training_on(data, steps, more=""):
    """Settings that train the small C4 detector on `records.write`'s files."""
    folder = os.path.dirname(data)
    return small(
        _joined(
            f"task.train_data.input_path={data},trainer.train_steps={steps},"
            f"task.taxonomy={folder}/taxonomy.json",
            more,
        )
    )


def small_pyramid(more=""):
    """Settings of a small pyramid detector of species, and overrides."""
    return read_experiment(["pipelines/fpn_mini_species.yaml"], _joined(SMALL_PYRAMID, more))


def _joined(*overrides):
    return ",".join(override for override in overrides if override)
