import functools

import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection import boxes as box_math
from inatdet.detection.marginals import marginal
from inatdet.detection.postprocess import ClassifiedProposals


@pytest.mark.parametrize("groups", [[0, 1, 1, 0, 2], [0, 0, 0, 0, 0], [4, 3, 2, 1, 0]])
def test_against_loops(groups):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (2, 7, 6))
    scores = tf.nn.softmax(tf.constant(logits, tf.float32))[..., 1:].numpy()
    scores[0, 0] = 0.1  # ties: the first class of each group
    codes = rng.normal(size=(2, 7, 5, 4)).astype(np.float32)
    boxes, valid = rng.uniform(size=(2, 7, 4)), rng.uniform(size=(2, 7)) < 0.5
    box_codes = functools.partial(box_math.of_pairs, codes)
    fine = ClassifiedProposals(tf.constant(scores), box_codes, boxes, valid)
    num_groups = max(groups) + 2
    coarse = marginal(fine, np.array(groups), num_groups)
    found = coarse.box_codes(*np.indices([2, 7, num_groups], np.int32)[1:].reshape(2, 2, -1))
    found = tf.reshape(found, [2, 7, num_groups, 4])
    assert not coarse.scores[..., -1].numpy().any()  # the last group has no class
    for group in range(max(groups) + 1):
        members = [c for c in range(5) if groups[c] == group]
        for image in range(2):
            for proposal in range(7):
                p = scores[image, proposal, members]
                np.testing.assert_allclose(coarse.scores[image, proposal, group], p.sum(), 1e-5)
                np.testing.assert_array_equal(
                    found[image, proposal, group],
                    codes[image, proposal, members[int(np.argmax(p))]],
                )
    np.testing.assert_array_equal(coarse.boxes, boxes)
    np.testing.assert_array_equal(coarse.valid, valid)


def test_generic_is_one_minus_background():
    probabilities = tf.nn.softmax(tf.random.normal([1, 9, 40], seed=1))
    fine = ClassifiedProposals(
        probabilities[..., 1:],
        functools.partial(box_math.of_pairs, tf.zeros([1, 9, 39, 4])),
        tf.zeros([1, 9, 4]),
        tf.ones([1, 9]) > 0,
    )
    generic = marginal(fine, np.zeros(39, int), 1)
    np.testing.assert_allclose(generic.scores[..., 0], 1 - probabilities[..., 0], atol=1e-6)
