"""Models of which the benchmarks that kill programs train many: settings, and a count of kills."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from inatdet.files import write_text

_RESNET = "task.model.backbone.resnet.model_id=10,task.model.backbone.resnet.depth_multiplier=0.25,"
_EVERY = "trainer.steps_per_loop={0},trainer.summary_interval={0},trainer.checkpoint_interval={0}"


def data(records: str) -> str:
    """Settings that name a folder of TFRecords."""
    return f"task.train_data.input_path={records}/train-*,task.taxonomy={records}/taxonomy.json"


def detector(steps: int, save_every: int) -> str:
    """Settings of a detector for `pipelines/mini_species.yaml`."""
    return (
        f"task.model.backbone.type=resnet,{_RESNET}"
        "task.model.rpn.channels=32,task.model.rpn.max_proposals=16,"
        "task.short_edge=96,task.long_edge=160,task.train_data.batch_size=2,task.seed=1,"
        "task.validation_data.batch_size=4,"
        f"trainer.train_steps={steps},{_EVERY.format(save_every)},trainer.max_to_keep=3"
    )


def classifier(steps: int) -> str:
    """Settings of a classifier for `pipelines/mini_classification.yaml`."""
    return (
        f"task.model.network=resnet,{_RESNET}task.model.width=1,task.image_size=64,"
        f"task.validation_data.batch_size=8,trainer.train_steps={steps},{_EVERY.format(steps)}"
    )


class Counted:
    """What was counted so far, in a file, so that a benchmark that is interrupted goes on.

    Args:
        path: the file.

    Attributes:
        values: what was counted, by name; with `default` until then.
    """

    def __init__(self, path: str, default: Mapping[str, object]):
        self._path = path
        self.values = dict(default)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.values |= json.load(file)

    def save(self) -> None:
        """Writes the file."""
        write_text(self._path, json.dumps(self.values, indent=1) + "\n")
