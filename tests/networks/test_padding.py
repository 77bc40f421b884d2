"""An image alone and the same image in a padded batch: what is equal, and what is not."""

import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection.c4 import C4FasterRCNN
from inatdet.errors import InputError
from inatdet.networks import checkpoints, padding
from tests.detection.small import NUM_CLASSES, batch_of, small_config

# All remainders of 16 matter: they decide where each stride of two begins.
SIZES = [(64, 112), (70, 91), (37, 50), (63, 97)]


@pytest.fixture(scope="module")
def plain():
    """A detector whose biases matter, as after training."""
    tf.random.set_seed(3)
    model = C4FasterRCNN(small_config(), NUM_CLASSES)
    rng = np.random.default_rng(0)
    for variable in model.trunk.variables:
        if "beta" in variable.name or "moving_mean" in variable.name:
            variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


@pytest.fixture(scope="module")
def masking(plain):
    model = C4FasterRCNN(small_config(backbone={"mask_padding": True}), NUM_CLASSES)
    model.set_weights(plain.get_weights())
    return model


def features_of(model, batch):
    return model.first_stage(batch["image"], batch["image_size"], False).features.numpy()


def alone(batch, index):
    height, width = batch["image_size"][index].numpy()
    return {
        "image": batch["image"][index : index + 1, :height, :width],
        "image_size": batch["image_size"][index : index + 1],
    }


def test_alignment_by_hand():
    images = tf.ones([2, 20, 16, 3]) * [[[[1.0]]], [[[2.0]]]]
    moved, inside = padding.align(images, tf.constant([[20, 16], [16, 3]]))
    assert moved.shape == (2, 32, 16, 3)
    expected = np.zeros((2, 32, 16, 1))
    expected[0, 12:] = 1  # 20 lacks 12 to 32
    expected[1, :16, 13:] = 1  # 3 lacks 13 to 16
    np.testing.assert_array_equal(inside, expected)
    np.testing.assert_array_equal(moved[..., :1], expected * [[[[1]]], [[[2]]]])


@pytest.mark.slow
def test_masked_features_are_those_of_each_image_alone(plain, masking):
    batch = batch_of(SIZES)
    together = features_of(masking, batch)
    for index, (height, width) in enumerate(SIZES):
        rows, columns = -(-height // 16), -(-width // 16)
        expected = features_of(plain, alone(batch, index))
        assert expected.shape[1:3] == (rows, columns)
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(
            together[index, :rows, :columns], expected[0], rtol=1e-4, atol=1e-5
        )
        assert not together[index, rows:].any()
        assert not together[index, :, columns:].any()


def test_masked_detections_are_those_of_each_image_alone(plain, masking):
    batch = batch_of(SIZES)
    together = masking(batch, training=False)
    for index in range(len(SIZES)):
        expected = plain(alone(batch, index), training=False)
        count = int(expected.count[0])
        assert int(together.count[index]) == count > 0
        np.testing.assert_allclose(
            together.scores[index, :count], expected.scores[0, :count], atol=1e-4
        )
        np.testing.assert_allclose(
            together.boxes[index, :count], expected.boxes[0, :count], atol=0.01
        )


def test_without_masks_only_images_that_fill_the_batch_are_as_alone(plain):
    batch = batch_of([(64, 112), (64, 112), (48, 96)])  # of equal remainders, so that cells agree
    together = features_of(plain, batch)
    for index in (0, 1):
        np.testing.assert_allclose(
            together[index], features_of(plain, alone(batch, index))[0], rtol=1e-4, atol=1e-5
        )
    difference = np.abs(together[2, :3, :6] - features_of(plain, alone(batch, 2))[0])
    assert difference.max() > 1e-2


def test_every_weight_gets_a_gradient_through_the_masked_trunk(masking):
    names = [v.name for v in masking.trainable_variables]
    assert len(names) == len(set(map(id, masking.trainable_variables))) == 94 * 2 + 6 + 4
    with tf.GradientTape() as tape:
        losses, _ = masking.losses_of(batch_of(SIZES[:2]), training=True)
        loss = tf.add_n(list(losses))
    gradients = tape.gradient(loss, masking.trainable_variables)
    assert [name for name, gradient in zip(names, gradients) if gradient is None] == []


def test_a_checkpoint_has_each_weight_once_and_fits_with_and_without_masks(
    plain, masking, tmp_path
):
    with_masks = tf.train.Checkpoint(model=masking).write(str(tmp_path / "masking"))
    without = tf.train.Checkpoint(model=plain).write(str(tmp_path / "plain"))
    assert tf.train.list_variables(with_masks) == tf.train.list_variables(without)
    for model, path in ((plain, with_masks), (masking, without)):
        checkpoints.restore(model, path)


@pytest.mark.parametrize("backbone", [{"padding": "valid"}, {"type": "resnet", "weights": ""}])
def test_backbones_without_masks(backbone):
    with pytest.raises(InputError, match="mask_padding is not possible with type"):
        C4FasterRCNN(small_config(backbone={**backbone, "mask_padding": True}), NUM_CLASSES)
