"""Every default of the detectors, pinned, and the document that says where each comes from.

The numbers are repeated here on purpose: a changed default is a changed detector.
"""

import re

import pytest

from inatdet.detection.detector_config import FasterRCNNConfig, MinibatchConfig, ProposalConfig
from inatdet.detection.experiments import read_experiment
from inatdet.detection.fpn_config import FPNConfig
from tests.fidelity import (
    DETECTOR,
    SOURCE,
    check_row,
    described,
    field,
    find,
    named_in,
    plain,
    rows,
)

MODEL = {
    "backbone.padding": "same",
    "backbone.width": 1.0,
    "backbone.mask_padding": False,
    "backbone.batch_norm": "frozen",
    "backbone.frozen_until": "",
    "backbone.weights": "imagenet",
    "anchors.base": 256.0,
    "anchors.scales": (0.25, 0.5, 1.0, 2.0),
    "anchors.ratios": (0.5, 1.0, 2.0),
    "anchors.stride": 16,
    "rpn.channels": 512,
    "rpn.initializer_stddev": 0.01,
    "rpn.positive_iou": 0.7,
    "rpn.negative_iou": 0.3,
    "rpn.sample_size": 256,
    "rpn.positive_fraction": 0.5,
    "rpn.candidates": 0,
    "rpn.nms_iou": 0.7,
    "rpn.min_score": 0.0,
    "rpn.max_proposals": 300,
    "box_code_scales": (10.0, 10.0, 5.0, 5.0),
    "head.crop_size": 14,
    "head.pool_size": 2,
    "head.position_sensitive_boxes": False,
    "head.add_ground_truth": False,
    "head.positive_iou": 0.5,
    "head.sample_size": 64,
    "head.positive_fraction": 0.25,
    "head.class_agnostic_boxes": False,
    "head.separate_objectness": False,
    "losses.rpn_objectness_weight": 1.0,
    "losses.rpn_boxes_weight": 2.0,
    "losses.classes_weight": 1.0,
    "losses.boxes_weight": 2.0,
    "losses.smooth_l1_delta": 1.0,
    "losses.weight_decay": 0.0,
    "detections.min_score": 0.0,
    "detections.nms_iou": 0.6,
    "detections.max_per_class": 100,
    "detections.max_detections": 300,
    "detections.candidates": 3000,
}
OTHERS = {
    "task.short_edge": 600,
    "task.long_edge": 1024,
    "task.reference_batch_size": 1,
    "task.accumulate_steps": 1,
    "task.feature_cache": "",
    "task.train_data.single_instance": False,
    "task.train_data.sampling": "none",
    "task.model.detections.logit_adjustment": 0.0,
    "task.model.detections.marginal_boxes": "most_probable",
    "task.model.head.xla": False,
    "task.train_data.batch_size": 1,
    "task.train_data.is_training": True,
    "task.validation_data.is_training": False,
    "trainer.train_steps": 4_000_000,
    "trainer.optimizer_config.optimizer.type": "sgd",
    "trainer.optimizer_config.optimizer.sgd.momentum": 0.9,
    "trainer.optimizer_config.optimizer.sgd.nesterov": False,
    "trainer.optimizer_config.optimizer.sgd.clipnorm": 10.0,
    "trainer.optimizer_config.optimizer.sgd.global_clipnorm": None,
    "trainer.optimizer_config.learning_rate.type": "stepwise",
    "trainer.optimizer_config.learning_rate.stepwise.boundaries": [3_000_000, 3_500_000],
    "trainer.optimizer_config.learning_rate.stepwise.values": [3e-4, 3e-5, 3e-6],
    "trainer.optimizer_config.warmup.type": None,
    "trainer.optimizer_config.ema": None,
}
FPN = {
    "canvases": ("640x640", "640x832", "640x1024", "832x640", "1024x640"),
    "min_level": 3,
    "max_level": 6,
    "decoder.type": "fpn",
    "decoder.fpn.num_filters": 256,
    "anchors.size": 8.0,
    "anchors.scales": (1.0,),
    "anchors.ratios": (0.5, 1.0, 2.0),
    "rpn_head.num_convs": 1,
    "rpn_head.num_filters": 256,
    "head.level4_size": 224.0,
    "head.crop_size": 7,
    "head.samples": 2,
    "head.hidden": (1024, 1024),
    "norm_activation.activation": "relu",
    "norm_activation.use_sync_bn": False,
}
# What both forms have is the same in both.
SHARED = {
    path: value
    for path, value in MODEL.items()
    if path.partition(".")[0] not in ("anchors", "rpn", "head")
    or path.rpartition(".")[2] in [*vars(ProposalConfig()), *vars(MinibatchConfig())]
}
DEFAULTS = {f"task.model.{path}": value for path, value in MODEL.items()} | OTHERS


@pytest.fixture(scope="module")
def params():
    return read_experiment([])


@pytest.mark.parametrize("path", DEFAULTS)
def test_a_default(params, path):
    assert plain(field(path, params)) == plain(DEFAULTS[path])


@pytest.mark.parametrize("config", [FasterRCNNConfig(), FPNConfig()])
def test_the_loss_is_at_the_models_own_level(config):
    assert config.losses.level_weights.as_dict() == {}


@pytest.mark.parametrize("path", FPN | SHARED)
def test_a_default_of_the_pyramid(path):
    assert plain(field(path, FPNConfig())) == plain((FPN | SHARED)[path])


@pytest.mark.parametrize(
    ("config", "paths"), [(FasterRCNNConfig(), MODEL), (FPNConfig(), FPN | SHARED)]
)
def test_every_field_of_the_model_is_described_and_has_a_source(config, paths):
    for path in paths:
        section, _, name = path.rpartition(".")
        if "official" in type(field(section, config) if section else config).__module__:
            section, _, name = "", "", section.partition(".")[0]  # Model Garden's, described as one
        # The source is named at the field, or at the head of its class for all fields.
        texts = described(field(section, config) if section else config, name)
        assert any(re.search(SOURCE, text) for text in texts), path


def test_the_document_names_every_default():
    named = {name for row in rows(DETECTOR) for name in named_in(row[3])}
    unnamed = [path for path in MODEL if path not in named]
    assert unnamed == []


def setting(path, params):
    root = params if path.partition(".")[0] in ("task", "trainer") else params.task.model
    return field(path, root)  # AttributeError where there is none


@pytest.mark.parametrize("row", rows(DETECTOR), ids=lambda row: row[0])
def test_what_the_table_names_exists(params, row):
    check_row(row, lambda place: setting(place, params))


def test_files_and_settings_in_the_sentences_exist(params):
    sections = "|".join(name for name in vars(params.task.model) if not name.startswith("_"))
    checked = 0
    for name in named_in(DETECTOR):
        if re.fullmatch(r"[\w/]+\.(py|yaml)", name):
            assert find(name), name
            checked += 1
        elif re.fullmatch(rf"(task|trainer|{sections})\.[\w.]+", name):
            setting(name, params)
            checked += 1
    assert checked > 50
