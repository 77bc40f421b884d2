import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection import proposals
from tests.detection import reference


@pytest.mark.parametrize("max_proposals", [5, 200])
def test_against_numpy(max_proposals):
    rng = np.random.default_rng(0)
    sizes = np.array([[100, 150], [60, 70]])
    anchors = reference.random_boxes(rng, 90, smallest=5.0) - 25
    codes = rng.normal(0, 1, (2, 90, 4))
    logits = rng.normal(0, 2, (2, 90, 2))
    usable = rng.uniform(size=(2, 90)) < 0.7
    found = proposals.select_proposals(
        tf.constant(anchors, tf.float32),
        tf.constant(codes, tf.float32),
        tf.constant(logits, tf.float32),
        tf.constant(usable),
        tf.constant(sizes),
        max_proposals,
        0.7,
    )
    for image in range(2):
        limit = np.tile(sizes[image], 2)
        boxes = [reference.decode(c, a) for c, a in zip(codes[image], anchors)]
        boxes = np.clip(boxes, 0, limit)
        scores = 1 / (1 + np.exp(logits[image, :, 0] - logits[image, :, 1]))
        has_area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        assert not has_area.all()  # the case is there: boxes clipped to nothing
        scores = np.where(usable[image] & has_area, scores, -1)
        kept = reference.nms(boxes, scores, max_proposals, 0.7)
        count = len(kept)
        assert found.valid[image].numpy().tolist() == [True] * count + [False] * (
            max_proposals - count
        )
        np.testing.assert_allclose(found.boxes[image, :count], boxes[kept], atol=1e-3)
        np.testing.assert_allclose(found.scores[image, :count], scores[kept], rtol=1e-5)
        assert not found.boxes[image, count:].numpy().any()


def test_no_gradient_passes():
    codes, logits = tf.Variable(tf.random.normal([1, 9, 4])), tf.random.normal([1, 9, 2])
    anchors = tf.constant(reference.random_boxes(np.random.default_rng(1), 9), tf.float32)
    with tf.GradientTape() as tape:
        found = proposals.select_proposals(
            anchors, codes, logits, tf.ones([1, 9], tf.bool), tf.constant([[99, 99]]), 4, 0.7
        )
        total = tf.reduce_sum(found.boxes)
    assert tape.gradient(total, codes) is None
