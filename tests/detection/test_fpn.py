import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection import forms
from inatdet.detection.c4 import C4FasterRCNN
from inatdet.detection.fpn import FPNFasterRCNN
from inatdet.detection.fpn_config import FPNConfig
from inatdet.detection.task import DetectionTask
from inatdet.errors import InputError
from tests.detection.small import (
    NUM_CLASSES,
    assert_padding_changes_nothing,
    batch_of,
    small_config,
)
from tests.settings import RESNET, small_pyramid


@pytest.fixture(scope="module")
def model():
    tf.random.set_seed(0)
    return forms.build(small_pyramid().task.model, NUM_CLASSES)


def statistics(model):
    return [v for v in model.non_trainable_variables if "moving" in v.name]


def test_settings_say_which_form():
    params = small_pyramid()
    assert params.experiment == "inatdet_fpn"
    assert isinstance(params.task.model, FPNConfig)
    assert params.as_dict()["experiment"] == "inatdet_fpn"
    assert isinstance(forms.build(small_config(), NUM_CLASSES), C4FasterRCNN)


def test_the_small_canvas_that_holds_an_image(model):
    wide, high = (128, 160), (160, 128)
    for size, expected in [((96, 128), wide), ((128, 96), wide), ((129, 100), high)]:
        image = model.first_stage.on_canvas(tf.ones([1, *size, 3]))
        assert tuple(image.shape[1:3]) == expected
        assert float(tf.reduce_sum(image)) == size[0] * size[1] * 3
    with pytest.raises(tf.errors.InvalidArgumentError, match="larger than every canvas"):
        model.first_stage.on_canvas(tf.ones([1, 161, 100, 3]))


def test_anchors_of_a_level_are_of_its_size_and_where_its_cells_are(model):
    batch = batch_of([(96, 128)])
    first = model.first_stage(batch["image"], batch["image_size"], False)
    # 6 anchors per cell on 16x20, 8x10 and 4x5 cells.
    assert first.anchors.shape == (6 * (320 + 80 + 20), 4)
    assert first.box_codes.shape == (1, 2520, 4)
    assert first.objectness.shape == (1, 2520, 2)
    sides = first.anchors[:, 2:] - first.anchors[:, :2]
    areas = np.sqrt(np.prod(sides, axis=1))
    for start, level in ((0, 3), (1920, 4), (2400, 5)):
        np.testing.assert_allclose(areas[start], 4 * 2**level, rtol=1e-4)
        center = (first.anchors[start + 6, :2] + first.anchors[start + 6, 2:]) / 2
        np.testing.assert_allclose(center, [0, 2**level], atol=1e-4)


def test_the_padding_does_not_change_detections(model):
    assert_padding_changes_nothing(model)


def test_batch_norm_is_frozen_in_the_backbone_alone(model):
    before = [v.numpy() for v in statistics(model)]
    model.losses_of(batch_of([(96, 128)]), training=False)
    assert all((a == b.numpy()).all() for a, b in zip(before, statistics(model)))
    model.losses_of(batch_of([(96, 128)]), training=True)
    assert all((a != b.numpy()).any() for a, b in zip(before, statistics(model)))
    frozen = forms.build(small_pyramid("task.model.backbone.batch_norm=frozen").task.model, 2)
    before = [v.numpy() for v in statistics(frozen)]
    frozen.losses_of(batch_of([(96, 128)]), training=True)
    moved = {v.name for a, v in zip(before, statistics(frozen)) if (a != v.numpy()).any()}
    backbone = {v.name for v in statistics(frozen.backbone)}
    assert moved == {v.name for v in statistics(frozen)} - backbone


@pytest.mark.slow
def test_it_learns_and_detects_in_batches_of_any_shape():
    tf.random.set_seed(0)
    params = small_pyramid()
    task = DetectionTask(params.task)
    model = forms.build(params.task.model, NUM_CLASSES)
    optimizer = task.create_optimizer(params.trainer.optimizer_config)
    signature = {
        "image": tf.TensorSpec([None, None, None, 3]),
        "image_size": tf.TensorSpec([None, 2], tf.int32),
        "boxes": tf.TensorSpec([None, None, 4]),
        "labels": tf.TensorSpec([None, None], tf.int32),
    }
    train = tf.function(lambda batch: task.train_step(batch, model, optimizer), [signature])
    detect = tf.function(lambda batch: model(batch, training=False), [signature])
    wide, high = batch_of([(96, 128), (96, 120)]), batch_of([(150, 96)])
    # Not pyramid and RPN head: no anchor of the coarsest level lies inside such small images.
    weights = [*model.backbone.trainable_variables, *model.box_head.trainable_variables]
    before = [v.numpy() for v in weights]
    losses = [float(train(wide if step % 2 else high)["loss"]) for step in range(40)]
    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:6])
    assert [v.name for old, v in zip(before, weights) if (old == v.numpy()).all()] == []
    for batch in (wide, high):
        found = detect(batch)
        for index, (height, width) in enumerate(batch["image_size"].numpy()):
            boxes = found.boxes[index, : int(found.count[index])].numpy()
            assert len(boxes)
            assert (boxes >= 0).all()
            assert (boxes <= [height, width, height, width]).all()


@pytest.mark.parametrize(
    "head",
    [
        {},
        pytest.param(
            {"class_agnostic_boxes": True, "separate_objectness": True}, marks=pytest.mark.slow
        ),
    ],
)
def test_on_resnet(head):
    config = small_pyramid().task.model
    config.backbone.override({**RESNET, "batch_norm": "trained"})
    config.head.override(head)
    model = forms.build(config, NUM_CLASSES)
    assert isinstance(model, FPNFasterRCNN)
    losses, _ = model.losses_of(batch_of([(96, 128)]), training=True)
    assert np.isfinite([float(loss) for loss in losses]).all()
    assert int(model(batch_of([(128, 96)]), training=False).count[0]) > 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task.model.canvases=[100x160]", r"100x160; it must be a height and a width"),
        ("task.model.canvases=[128]", "canvases is 128; it must be text"),
        ("task.model.canvases=[96x128]", "none that holds a batch of 101x101 pixels"),
        ("task.model.backbone.mask_padding=true", "which a feature pyramid does not support"),
        ("task.model.min_level=1", "min_level is 1 and task.model.max_level 5; they must be 2 to"),
        ("task.model.max_level=2", "min_level is 3 and task.model.max_level 2; they must be 2 to"),
        ("task.long_edge=140,task.model.canvases=[128x160]", "holds a batch of 140x96 pixels"),
    ],
)
def test_settings_that_do_not_fit(override, message):
    with pytest.raises(InputError, match=message):
        small_pyramid(override)
