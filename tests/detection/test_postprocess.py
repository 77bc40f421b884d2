import functools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from inatdet.detection import boxes, postprocess
from inatdet.detection.detector_config import DetectionsConfig
from inatdet.detection.postprocess import ClassifiedProposals
from tests.detection import reference

HEIGHT, WIDTH = 600, 800


def random_outputs(seed, num_proposals, num_classes, code_scale=1.0):
    rng = np.random.default_rng(seed)
    proposals = reference.random_boxes(rng, num_proposals, HEIGHT, WIDTH, smallest=20.0)
    return (
        tf.nn.softmax(rng.normal(0, 3, (1, num_proposals, num_classes + 1)))[..., 1:],
        tf.constant(rng.normal(0, code_scale, (1, num_proposals, num_classes, 4)), tf.float32),
        tf.constant(proposals[None], tf.float32),
    )


def ours(scores, codes, proposals, valid=None, size=(HEIGHT, WIDTH), **options):
    options = {
        "candidates": 100_000, "nms_iou": 0.6, "max_per_class": 100, "max_detections": 300,
    } | options  # fmt: skip
    valid = tf.ones(tf.shape(proposals)[:2], tf.bool) if valid is None else valid
    return postprocess.detections_of(
        ClassifiedProposals(
            tf.cast(scores, tf.float32),
            functools.partial(boxes.of_pairs, codes),
            proposals,
            valid,
        ),
        tf.constant([size] * len(proposals)),
        DetectionsConfig(**options),
        reference.CODE_SCALES,
    )


def tensorflow_s(scores, codes, proposals, max_per_class=100, max_detections=300):
    decoded = boxes.decode(codes[0], proposals[0][:, None, :], reference.CODE_SCALES)
    decoded = boxes.clip(decoded, tf.constant([[HEIGHT, WIDTH]] * len(decoded)))
    return tf.image.combined_non_max_suppression(
        decoded[None],
        tf.cast(scores, tf.float32),
        max_output_size_per_class=max_per_class,
        max_total_size=max_detections,
        iou_threshold=0.6,
        clip_boxes=False,
    )


@pytest.mark.parametrize(
    ("num_proposals", "num_classes", "max_per_class", "max_detections"),
    [
        (60, 9, 100, 300),
        (60, 9, 3, 20),
        (60, 9, 100, 20),
        (100, 20, 2, 30),
        (100, 1, 10, 300),
        (40, 300, 100, 100),
        (5, 2, 100, 300),
    ],
)
def test_same_as_combined_non_max_suppression(
    num_proposals, num_classes, max_per_class, max_detections
):
    outputs = random_outputs(0, num_proposals, num_classes)
    limits = {"max_per_class": max_per_class, "max_detections": max_detections}
    got, expected = ours(*outputs, **limits), tensorflow_s(*outputs, **limits)
    count = int(got.count[0])
    assert count == int(expected.valid_detections[0]) > 0
    np.testing.assert_allclose(got.scores[0, :count], expected.nmsed_scores[0, :count])
    np.testing.assert_array_equal(got.labels[0, :count] - 1, expected.nmsed_classes[0, :count])
    np.testing.assert_allclose(got.boxes[0, :count], expected.nmsed_boxes[0, :count], atol=1e-3)
    assert not got.scores[0, count:].numpy().any()


@pytest.mark.parametrize(
    ("max_per_class", "max_detections", "asked"),
    [
        (30, 30, [90]),  # 90 pairs are 60 of the best class, 30 of the next: 30 are soon kept
        (20, 30, [90]),  # suppression must continue after the 30th, for the second class
        (10, 30, [90, 1200]),  # two classes are not enough
    ],
)
def test_box_codes_of_the_best_pairs_are_enough(max_per_class, max_detections, asked):
    _, codes, proposals = random_outputs(5, 60, 20, code_scale=0.1)
    proposals = tf.reshape(tf.range(60.0) * 10, [1, 60, 1]) + [0.0, 0, 9, 9]  # none overlap
    scores = tf.random.uniform([1, 60, 20], seed=0) / 100 + tf.linspace(0.9, 0.1, 20)
    limits = {"max_per_class": max_per_class, "max_detections": max_detections}
    expected = tensorflow_s(scores, codes, proposals, **limits)
    counts = []

    def box_codes(places, classes):
        counts.append(places.shape[1])
        return functools.partial(boxes.of_pairs, codes)(places, classes)

    got = postprocess.detections_of(
        ClassifiedProposals(scores, box_codes, proposals, tf.ones([1, 60], tf.bool)),
        tf.constant([[HEIGHT, WIDTH]]),
        DetectionsConfig(candidates=100_000, nms_iou=0.6, **limits),
        reference.CODE_SCALES,
    )  # fmt: skip
    assert counts == asked
    np.testing.assert_allclose(got.scores, expected.nmsed_scores)
    np.testing.assert_array_equal(got.labels - 1, expected.nmsed_classes)
    np.testing.assert_allclose(got.boxes, expected.nmsed_boxes, atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "count"), [((2, 30, 50), 40), ((1, 7, 11), 9), ((2, 8, 3), 24), ((0, 30, 50), 40)]
)
def test_best_pairs_are_the_first_of_equal_ones(shape, count, rng):
    scores = rng.integers(0, 40, shape).astype(np.float32)
    values, pairs = postprocess._best_pairs(tf.constant(scores), count)
    flat = scores.reshape(len(scores), shape[1] * shape[2])
    expected = np.argsort(-flat, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(pairs, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(flat, expected, axis=1))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_edge_cases_as_combined_non_max_suppression(data):
    """Boxes on a grid: doubles, overlaps of exactly .6, boxes without area, limits that bind."""
    corner = st.tuples(*[st.integers(0, 6)] * 4)
    corners = data.draw(st.lists(corner, min_size=1, max_size=8))
    num_classes = data.draw(st.integers(1, 5))
    max_per_class, max_detections = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 40))
    proposals = np.array(
        [[min(a, b), min(c, d), max(a, b), max(c, d)] for a, b, c, d in corners], np.float32
    )
    # All scores differ: which of equal ones comes first is not defined.
    scores = np.array(data.draw(st.permutations(range(len(corners) * num_classes)))) + 1.0
    scores = scores.reshape(1, len(corners), num_classes).astype(np.float32) / scores.size / 2
    got = ours(
        tf.constant(scores), tf.zeros([1, *scores.shape[1:], 4]), tf.constant(proposals[None]),
        size=(6, 6), max_per_class=max_per_class, max_detections=max_detections,
    )  # fmt: skip
    # Ours leaves boxes without area out.
    has_area = (proposals[:, 2:] > proposals[:, :2]).all(axis=1)
    expected = tf.image.combined_non_max_suppression(
        tf.constant(proposals[None, :, None]),
        tf.constant(np.where(has_area[None, :, None], scores, -1)),
        max_output_size_per_class=max_per_class,
        max_total_size=max_detections,
        iou_threshold=0.6,
        score_threshold=0.0,
        clip_boxes=False,
    )
    count = int(expected.valid_detections[0])
    assert int(got.count[0]) == count
    np.testing.assert_array_equal(got.scores[0, :count], expected.nmsed_scores[0, :count])
    np.testing.assert_array_equal(got.labels[0, :count] - 1, expected.nmsed_classes[0, :count])
    np.testing.assert_allclose(got.boxes[0, :count], expected.nmsed_boxes[0, :count], atol=1e-5)


def test_detections_must_exceed_the_minimum_score():
    found = ours(*random_outputs(4, 20, 3))
    limit = float(found.scores[0, 5])
    likely = postprocess.above(found, limit)
    assert int(likely.count[0]) == 5
    for one, other in zip(likely[:3], found[:3]):
        np.testing.assert_array_equal(one[0, :5], other[0, :5])
        assert not one[0, 5:].numpy().any()
    for one, other in zip(postprocess.above(found, 0.0), found):
        np.testing.assert_array_equal(one, other)


def test_thousands_of_classes_lose_no_precision():
    # Near the threshold, a box moved by hundreds of thousands of pixels would be judged wrongly.
    num_classes = 2854
    box = np.array([100.0, 100, 200, 200])
    below, above = box + [0, 0, 0, 66.5], box + [0, 0, 0, 66.8]  # IoU .6006 and .5995
    scores = np.full((1, 3, num_classes), 1e-9)
    scores[0, :, -1] = [0.9, 0.8, 0.7]
    proposals = tf.constant([[box, below, above]], tf.float32)
    found = ours(
        tf.constant(scores), tf.zeros([1, 3, num_classes, 4]), proposals, candidates=1000,
    )  # fmt: skip
    likely = found.labels[0].numpy()[found.scores[0].numpy() > 0.1]
    assert likely.tolist() == [num_classes] * 2
    np.testing.assert_allclose(found.boxes[0, 1], above, atol=1e-3)


def test_padding_proposals_yield_nothing():
    scores, codes, proposals = random_outputs(1, 20, 4)
    valid = tf.constant([[True] * 7 + [False] * 13])
    got = ours(scores, codes, proposals, valid)
    expected = ours(scores[:, :7], codes[:, :7], proposals[:, :7])
    count = int(expected.count[0])
    assert int(got.count[0]) == count
    np.testing.assert_allclose(got.boxes[0, :count], expected.boxes[0, :count], rtol=1e-5)
    nothing = ours(scores, codes, proposals, tf.zeros([1, 20], tf.bool))
    assert int(nothing.count[0]) == 0
    assert not nothing.labels.numpy().any()


def test_the_images_of_a_batch_are_independent():
    first, second = random_outputs(2, 30, 5), random_outputs(3, 30, 5)
    together = ours(*(tf.concat(pair, 0) for pair in zip(first, second)))
    for index, alone in enumerate((ours(*first), ours(*second))):
        for got, expected in zip(together, alone):
            np.testing.assert_allclose(got[index], expected[0], atol=1e-4)


def test_an_empty_batch():
    # A replica gets one when its images run out before those of the others.
    empty = [x[:0] for x in random_outputs(0, 10, 3)]
    empty[0] = tf.cast(empty[0], tf.float32)
    valid, size = tf.zeros([0, 10], tf.bool), tf.zeros([0, 2], tf.int32)
    scores, codes, proposals = empty
    box_codes = functools.partial(boxes.of_pairs, codes)

    @tf.function
    def detections(scores, proposals, valid, size):
        classified = ClassifiedProposals(scores, box_codes, proposals, valid)
        config = DetectionsConfig(candidates=100)
        return postprocess.detections_of(classified, size, config, reference.CODE_SCALES)

    found = detections(scores, proposals, valid, size)
    assert found.boxes.shape[0] == 0
