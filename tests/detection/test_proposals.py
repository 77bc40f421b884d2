import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection import proposals
from inatdet.detection.detector_config import ProposalConfig
from tests.detection import reference


def selected(anchors, codes, logits, usable, sizes, scales=reference.CODE_SCALES, **options):
    config = ProposalConfig(
        **{"candidates": 0, "nms_iou": 0.7, "min_score": 0.0, "max_proposals": 200} | options
    )
    arrays = (tf.constant(x, tf.float32) for x in (anchors, codes, logits))
    return proposals.select_proposals(
        *arrays, tf.constant(usable), tf.constant(sizes), config=config, code_scales=scales
    )


def random_inputs(seed=0):
    rng = np.random.default_rng(seed)
    return (
        reference.random_boxes(rng, 90, smallest=5.0) - 25,
        rng.normal(0, 1, (2, 90, 4)),
        rng.normal(0, 2, (2, 90, 2)),
        rng.uniform(size=(2, 90)) < 0.7,
        np.array([[100, 150], [60, 70]]),
    )


@pytest.mark.parametrize("scales", [reference.CODE_SCALES, (1.0, 2.0, 3.0, 4.0)])
@pytest.mark.parametrize("max_proposals", [5, 200])
def test_against_numpy(max_proposals, scales):
    anchors, codes, logits, usable, sizes = random_inputs()
    found = selected(anchors, codes, logits, usable, sizes, scales, max_proposals=max_proposals)
    for image in range(2):
        boxes, scores = reference.proposals(
            anchors, codes[image], logits[image], usable[image], *sizes[image],
            max_proposals, 0.7, scales,
        )  # fmt: skip
        count = len(boxes)
        assert found.valid[image].numpy().tolist() == [True] * count + [False] * (
            max_proposals - count
        )
        np.testing.assert_allclose(found.boxes[image, :count], boxes, atol=1e-3)
        np.testing.assert_allclose(found.scores[image, :count], scores, rtol=1e-5)
        assert not found.boxes[image, count:].numpy().any()


def test_anchors_across_the_border_are_clipped_before_they_are_decoded():
    # By hand: what is left of the first is 20 x 20 around (10, 10), of the second 10 x 40 around
    # (95, 20) in the first image and 30 x 40 around (105, 20) in the larger one. The codes move
    # each by half its height and double its width.
    anchors = [[-10.0, -10, 20, 20], [90, 0, 130, 40]]
    codes = np.tile([5.0, 0, 0, 5 * np.log(2)], (2, 2, 1))
    logits = [[[0.0, 4], [0, 3]]] * 2
    found = selected(anchors, codes, logits, [[True] * 2] * 2, [[100, 150], [120, 150]])
    expected = [[[10, 0, 30, 30], [95, 0, 100, 60]], [[10, 0, 30, 30], [105, 0, 120, 60]]]
    np.testing.assert_allclose(found.boxes[:, :2], expected, atol=1e-4)


def test_anchors_across_the_border_are_clipped_and_those_beyond_it_dropped():
    anchors = [[-10.0, -10, 20, 20], [90, 140, 130, 180], [100, 150, 120, 170], [0, 0, 50, 60]]
    logits = [[[0.0, 4], [0, 3], [0, 2], [0, 1]]]
    found = selected(anchors, np.zeros((1, 4, 4)), logits, [[True] * 4], [[100, 150]])
    assert int(found.valid.numpy().sum()) == 3
    expected = [[0, 0, 20, 20], [90, 140, 100, 150], [0, 0, 50, 60]]
    np.testing.assert_allclose(found.boxes[0, :3], expected, atol=1e-4)


def test_nothing_is_cut_before_the_suppression_unless_asked():
    inputs = random_inputs(1)
    everything = selected(*inputs)
    same = selected(*inputs, candidates=90)
    np.testing.assert_array_equal(everything.boxes, same.boxes)
    few = selected(*inputs, candidates=10)
    anchors, codes, logits, usable, sizes = inputs
    for image in range(2):
        decoded = reference.decode_clipped(anchors, codes[image], *sizes[image])
        has_area = ((decoded[:, 2:] - decoded[:, :2]) > 0).all(axis=1)
        margin = np.where(
            usable[image] & has_area, logits[image, :, 1] - logits[image, :, 0], -np.inf
        )
        best = np.argsort(-margin)[:10]
        boxes, _ = reference.proposals(
            anchors[best], codes[image, best], logits[image, best], usable[image, best],
            *sizes[image], 200, 0.7, reference.CODE_SCALES,
        )  # fmt: skip
        count = int(few.valid[image].numpy().sum())
        assert count == len(boxes) < int(everything.valid[image].numpy().sum())
        np.testing.assert_allclose(few.boxes[image, :count], boxes, atol=1e-3)


def test_only_higher_scores_than_the_least():
    inputs = random_inputs(2)
    everything = selected(*inputs)
    likely = selected(*inputs, min_score=0.6)
    expected = everything.scores.numpy() > 0.6
    assert 0 < expected.sum() < everything.valid.numpy().sum()
    np.testing.assert_array_equal(likely.valid, expected)
    np.testing.assert_array_equal(likely.boxes, np.where(expected[..., None], everything.boxes, 0))


def test_no_gradient_passes():
    codes, logits = tf.Variable(tf.random.normal([1, 9, 4])), tf.random.normal([1, 9, 2])
    anchors = tf.constant(reference.random_boxes(np.random.default_rng(1), 9), tf.float32)
    with tf.GradientTape() as tape:
        found = proposals.select_proposals(
            anchors, codes, logits, tf.ones([1, 9], tf.bool), tf.constant([[99, 99]]),
            config=ProposalConfig(nms_iou=0.7, max_proposals=4),
            code_scales=reference.CODE_SCALES,
        )  # fmt: skip
        total = tf.reduce_sum(found.boxes)
    assert tape.gradient(total, codes) is None
