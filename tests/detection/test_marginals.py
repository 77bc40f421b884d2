import functools
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from inatdet.detection import boxes as box_math
from inatdet.detection.detector_config import MarginalBoxes
from inatdet.detection.marginals import marginals
from inatdet.detection.postprocess import ClassifiedProposals


class Fine(NamedTuple):
    """Probabilities and box codes of five classes in seven proposals of two images."""

    scores: np.ndarray
    codes: np.ndarray
    proposals: ClassifiedProposals


@pytest.fixture
def fine(rng):
    logits = rng.normal(0, 2, (2, 7, 6))
    scores = tf.nn.softmax(tf.constant(logits, tf.float32))[..., 1:].numpy()
    scores[0, 0] = 0.1  # ties: the first class of each group
    codes = rng.normal(size=(2, 7, 5, 4)).astype(np.float32)
    boxes, valid = rng.uniform(size=(2, 7, 4)), rng.uniform(size=(2, 7)) < 0.5
    box_codes = functools.partial(box_math.of_pairs, codes)
    return Fine(scores, codes, ClassifiedProposals(tf.constant(scores), box_codes, boxes, valid))


def codes_of_all(proposals):
    """Box codes `[batch, n, classes, 4]`."""
    batch, count, num_classes = proposals.scores.shape
    pairs = np.indices([batch, count, num_classes], np.int32)[1:].reshape(2, batch, -1)
    return tf.reshape(proposals.box_codes(*pairs), [batch, count, num_classes, 4]).numpy()


def most_probable(p, codes):
    return codes[int(np.argmax(p))]


def mean(p, codes):
    return sum(float(weight) * code.astype(float) for weight, code in zip(p, codes)) / p.sum()


@pytest.mark.parametrize("groups", [[0, 1, 1, 0, 2], [0, 0, 0, 0, 0], [4, 3, 2, 1, 0]])
@pytest.mark.parametrize(
    ("boxes", "expected"),
    [(MarginalBoxes.MOST_PROBABLE, most_probable), (MarginalBoxes.MEAN, mean)],
)
def test_against_loops(fine, groups, boxes, expected):
    grouping = np.array(groups), max(groups) + 2
    (coarse,) = marginals(fine.proposals, [grouping], boxes)
    found = codes_of_all(coarse)
    assert not coarse.scores[..., -1].numpy().any()  # the last group has no class
    assert np.isfinite(found).all()
    for group in range(max(groups) + 1):
        members = [c for c in range(5) if groups[c] == group]
        for image in range(2):
            for proposal in range(7):
                p = fine.scores[image, proposal, members]
                np.testing.assert_allclose(coarse.scores[image, proposal, group], p.sum(), 1e-5)
                np.testing.assert_allclose(
                    found[image, proposal, group],
                    expected(p, fine.codes[image, proposal, members]),
                    rtol=0 if boxes is MarginalBoxes.MOST_PROBABLE else 1e-5,
                    atol=0 if boxes is MarginalBoxes.MOST_PROBABLE else 1e-6,
                )
    np.testing.assert_array_equal(coarse.boxes, fine.proposals.boxes)
    np.testing.assert_array_equal(coarse.valid, fine.proposals.valid)


@pytest.mark.parametrize("boxes", MarginalBoxes)
def test_levels_together_are_those_one_by_one(fine, boxes):
    groupings = [(np.array([0, 1, 1, 0, 2]), 3), (np.zeros(5, int), 1)]
    together = marginals(fine.proposals, groupings, boxes)
    assert len(together) == 2
    for level, grouping in zip(together, groupings):
        (alone,) = marginals(fine.proposals, [grouping], boxes)
        np.testing.assert_array_equal(level.scores, alone.scores)
        np.testing.assert_array_equal(codes_of_all(level), codes_of_all(alone))
    assert marginals(fine.proposals, [], boxes) == []


def test_both_boxes_are_the_same_where_classes_have_no_boxes_of_their_own(fine):
    shared = np.repeat(fine.codes[:, :, :1], 5, axis=2)
    proposals = fine.proposals._replace(box_codes=functools.partial(box_math.of_pairs, shared))
    best, average = (
        codes_of_all(view)
        for boxes in MarginalBoxes
        for view in marginals(proposals, [(np.array([0, 1, 1, 0, 1]), 2)], boxes)
    )
    np.testing.assert_allclose(average, best, rtol=1e-5)


def test_a_probability_of_nothing_leaves_the_proposal_as_it_is(fine):
    """Sums of 0 in float32, as where the model is certain of something else."""
    proposals = fine.proposals._replace(scores=tf.zeros_like(fine.proposals.scores))
    (coarse,) = marginals(proposals, [(np.zeros(5, int), 1)], MarginalBoxes.MEAN)
    assert not codes_of_all(coarse).any()


def test_generic_is_one_minus_background():
    probabilities = tf.nn.softmax(tf.random.normal([1, 9, 40], seed=1))
    fine = ClassifiedProposals(
        probabilities[..., 1:],
        functools.partial(box_math.of_pairs, tf.zeros([1, 9, 39, 4])),
        tf.zeros([1, 9, 4]),
        tf.ones([1, 9]) > 0,
    )
    (generic,) = marginals(fine, [(np.zeros(39, int), 1)])
    np.testing.assert_allclose(generic.scores[..., 0], 1 - probabilities[..., 0], atol=1e-6)
