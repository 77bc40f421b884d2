"""All of training's arithmetic at once, from the network's outputs to the four losses."""

import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection.c4 import C4FasterRCNN
from inatdet.detection.level_losses import WeightedLevel
from tests.detection import reference
from tests.detection.small import NUM_CLASSES, batch_of, small_config
from tests.settings import RESNET

SIZES = [(96, 112), (80, 64)]
OWN_LEVEL = WeightedLevel(np.arange(NUM_CLASSES + 1), 1.0)
PAIRS = WeightedLevel(np.array([0, 1, 2, 2, 1]), 0.5)
SWITCHES = {
    "backbone": RESNET,
    "head": {"class_agnostic_boxes": True, "separate_objectness": True, "add_ground_truth": True},
    "losses": {"level_weights": {"pairs": 0.5}},
}


def expected_losses(model, config, batch, levels):
    """In NumPy, image by image; only the layers of the network use TensorFlow."""
    sums = []
    first = model.first_stage(batch["image"], batch["image_size"], False)
    for image, (height, width) in enumerate(batch["image_size"].numpy()):
        real = batch["labels"][image].numpy() > 0
        truth = batch["boxes"][image].numpy().astype(float)[real]
        labels = batch["labels"][image].numpy()[real]
        features = first.features[image].numpy()
        codes, logits = (
            x[image].numpy().astype(float) for x in (first.box_codes, first.objectness)
        )
        grid = reference.anchors(
            *features.shape[:2], config.anchors.base, config.anchors.scales,
            config.anchors.ratios, config.anchors.stride,
        )  # fmt: skip
        usable = reference.inside(grid, height, width)
        assert 0 < usable.sum() < len(grid)

        matched = reference.match(
            grid, usable, truth, config.rpn.positive_iou, config.rpn.negative_iou, force=True
        )
        sampled = np.flatnonzero(matched > -2)
        rpn_objectness = sum(
            reference.cross_entropy(logits[i], int(matched[i] >= 0)) for i in sampled
        )
        scales = config.box_code_scales
        rpn_boxes = sum(
            reference.smooth_l1(codes[i], reference.encode(truth[matched[i]], grid[i], scales))
            for i in sampled
            if matched[i] >= 0
        )

        boxes, _ = reference.proposals(
            grid, codes, logits, usable, height, width,
            config.rpn.max_proposals, config.rpn.nms_iou, scales,
        )  # fmt: skip
        if config.head.add_ground_truth:
            boxes = np.concatenate([boxes, truth])
        matched = reference.match(
            boxes, np.ones(len(boxes), bool), truth, *[config.head.positive_iou] * 2, force=False
        )
        crops = [
            reference.crop(
                features, box, config.head.crop_size, config.head.pool_size,
                config.anchors.stride, height, width,
            )
            for box in boxes
        ]  # fmt: skip
        _, pooled = model.box_head(tf.constant(crops, tf.float32), training=False)
        probabilities = reference.class_probabilities(model.box_head, pooled.numpy())
        class_codes = model.box_head.box_codes(pooled).numpy()
        classes = box_sum = 0.0
        for i, match in enumerate(matched):
            label = labels[match] if match >= 0 else 0
            for labels_at, weight in levels:
                is_own = labels_at == labels_at[label]
                classes -= weight * np.log(probabilities[i, is_own].sum())
            if match >= 0:
                target = reference.encode(truth[match], boxes[i], scales)
                regressor = 0 if config.head.class_agnostic_boxes else label - 1
                box_sum += reference.smooth_l1(class_codes[i, regressor], target)
        sums.append(
            [
                rpn_objectness / len(sampled),
                rpn_boxes / len(sampled),
                classes / len(boxes),
                box_sum / len(boxes),
            ]
        )
    return np.mean(sums, axis=0) * [1, 2, 1, 2]


@pytest.mark.parametrize(
    "more",
    [{}, {"head": {"add_ground_truth": True}}, {"box_code_scales": (1.0, 2.0, 3.0, 4.0)}, SWITCHES],
    ids=["defaults", "ground truth added", "other box codes", "no class, two factors, two levels"],
)
def test_losses_from_the_outputs_of_the_network(more):
    # Minibatches as large as the number of candidates, so that nothing is left to chance.
    config = small_config(
        rpn={"sample_size": 1000, "positive_fraction": 1.0},
        head={"sample_size": 64, "positive_fraction": 1.0},
    )
    config.override(more)
    tf.random.set_seed(2)
    levels = [OWN_LEVEL, PAIRS] if "losses" in more else []
    model = C4FasterRCNN(config, NUM_CLASSES, levels=levels)
    batch = batch_of(SIZES, seed=3, boxes=3)
    if not more:
        # Proposals that differ from the anchors, and an image without boxes.
        head = model.rpn_head._box_codes
        head.kernel.assign(head.kernel * 30)
        batch["labels"] *= [[1], [0]]
    losses, diagnostics = model.losses_of(batch, training=False)
    expected = expected_losses(model, config, batch, levels or [OWN_LEVEL])
    assert (expected[:3] > 0).all()
    if "head" in more:
        assert float(diagnostics.positives) > 0
        assert expected[3] > 0
    np.testing.assert_allclose(np.array(losses), expected, rtol=2e-4, atol=1e-6)
    assert float(model.weight_penalty()) == 0  # by default there is none


def test_weight_decay_is_half_the_squared_norm_of_the_kernels():
    model = C4FasterRCNN(small_config(losses={"weight_decay": 0.1}), NUM_CLASSES)
    kernels = [v.numpy() for v in model.trainable_variables if v.shape.rank > 1]
    assert len(kernels) == 94 + 3 + 2
    expected = 0.05 * sum((k.astype(float) ** 2).sum() for k in kernels)
    np.testing.assert_allclose(float(model.weight_penalty()), expected, rtol=1e-5)
