import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection import boxes as box_math
from inatdet.detection import marginals
from inatdet.detection.c4 import C4FasterRCNN
from tests.detection.small import (
    NUM_CLASSES,
    assert_padding_changes_nothing,
    batch_of,
    small_config,
)


@pytest.fixture(scope="module")
def model():
    tf.random.set_seed(0)
    return C4FasterRCNN(small_config(), NUM_CLASSES)


@pytest.mark.parametrize("sizes", [[(64, 96)], [(70, 91), (96, 64)], [(33, 50)]])
def test_detections_of_any_shape(model, sizes):
    found = model(batch_of(sizes), training=False)
    assert found.boxes.shape[0] == len(sizes)
    for index, (height, width) in enumerate(sizes):
        count = int(found.count[index])
        boxes = found.boxes[index, :count].numpy()
        assert count > 0
        assert (boxes >= 0).all()
        assert (boxes <= [height, width, height, width]).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        labels, scores = found.labels[index, :count].numpy(), found.scores[index, :count].numpy()
        assert (np.diff(scores) <= 0).all()
        assert set(labels) <= set(range(1, NUM_CLASSES + 1))


def test_the_padding_does_not_change_detections(model):
    assert_padding_changes_nothing(model)


@pytest.mark.parametrize("max_per_class", [100, 2])
def test_box_codes_of_some_classes_give_the_detections_of_all(max_per_class, monkeypatch):
    tf.random.set_seed(2)
    limits = {"max_detections": 30, "max_per_class": max_per_class}
    model = C4FasterRCNN(small_config(detections=limits), 120)
    batch = batch_of([(64, 96), (96, 64)])
    groups = (np.arange(120) % 50, 50)

    def detections():
        fine = model.classify(batch, training=False)
        views = (fine, *marginals.marginals(fine, [groups]))
        return [model.detections_of(view, batch["image_size"]) for view in views]

    some = detections()

    def from_all(features, crops, classes):
        return box_math.of_pairs(model.box_head.box_codes(features), crops, classes)

    monkeypatch.setattr(model.box_head, "box_codes_of_pairs", from_all)
    for got, expected in zip(some, detections()):
        assert got.count.numpy().tolist() == [30, 30]
        np.testing.assert_array_equal(got.labels, expected.labels)
        np.testing.assert_array_equal(got.scores, expected.scores)
        np.testing.assert_allclose(got.boxes, expected.boxes, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("boxes", [0, 2])
def test_losses_are_finite_with_and_without_boxes(model, boxes):
    losses, diagnostics = model.losses_of(batch_of([(64, 96), (96, 64)], boxes=boxes), True)
    assert np.isfinite([float(loss) for loss in losses]).all()
    if boxes:
        assert float(losses.rpn_boxes) > 0
        assert float(diagnostics.rpn_positives) >= 1
    else:
        assert float(losses.rpn_boxes) == float(losses.boxes) == 0
        assert float(diagnostics.rpn_positives) == float(diagnostics.positives) == 0


def test_an_image_in_which_no_anchor_fits(model):
    losses, _ = model.losses_of(batch_of([(17, 18)]), True)
    assert np.isfinite([float(loss) for loss in losses]).all()
    assert float(losses.rpn_objectness) >= 0


def test_every_weight_gets_a_gradient_and_frozen_statistics_stay():
    tf.random.set_seed(1)
    frozen = C4FasterRCNN(small_config(backbone={"batch_norm": "frozen"}), NUM_CLASSES)
    statistics = [v.numpy() for v in frozen.non_trainable_variables]
    with tf.GradientTape() as tape:
        losses, _ = frozen.losses_of(batch_of([(96, 96)]), training=True)
        loss = tf.add_n(list(losses))
    gradients = tape.gradient(loss, frozen.trainable_variables)
    names = [v.name for v, g in zip(frozen.trainable_variables, gradients) if g is None]
    assert names == []
    betas = [(v.name, g) for v, g in zip(frozen.trainable_variables, gradients) if "beta" in v.name]
    assert len(betas) == 94
    assert [name for name, gradient in betas if not np.any(gradient)] == []
    for before, after in zip(statistics, frozen.non_trainable_variables):
        np.testing.assert_array_equal(before, after)


def test_trained_statistics_move(model):
    before = [v.numpy() for v in model.non_trainable_variables]
    model.losses_of(batch_of([(96, 96)]), training=True)
    changed = [(a != b.numpy()).any() for a, b in zip(before, model.non_trainable_variables)]
    assert all(changed)


def test_the_network_sees_pixels_from_minus_one_to_one_and_zeros_in_the_padding(model):
    batch = batch_of([(64, 80)], padded=(96, 96))
    scaled = batch["image"].numpy() * 2 / 255 - 1
    scaled[:, 64:] = scaled[:, :, 80:] = 0
    first = model.first_stage(batch["image"], batch["image_size"], False)
    np.testing.assert_allclose(first.features, model.trunk(scaled, training=False), atol=1e-5)


def test_initial_losses_are_those_of_uniform_guesses(model):
    # Objectness starts near log 2 with kernels of deviation .01.
    losses, _ = model.losses_of(batch_of([(96, 128)]), training=True)
    np.testing.assert_allclose(float(losses.rpn_objectness), np.log(2), atol=0.1)
