import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from inatdet.detection import targets
from tests.detection import reference


def true_boxes(boxes, is_real):
    return targets.GroundTruth(tf.constant(boxes), tf.cast(is_real, tf.int32))


def as_naive(matches):
    box = np.where(matches.negative, -1, -2)
    return np.where(matches.positive, matches.box, box)


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("num_truth", [0, 1, 5])
def test_matching_against_numpy(force, num_truth, rng):
    boxes = np.stack([reference.random_boxes(rng, 80) for _ in range(2)]).astype(np.float32)
    usable = rng.uniform(size=(2, 80)) < 0.8
    truth = np.zeros((2, 6, 4), np.float32)
    is_truth = np.zeros((2, 6), bool)
    truth[:, :num_truth] = [reference.random_boxes(rng, num_truth) for _ in range(2)]
    truth[0, :num_truth] = boxes[0, :num_truth]  # overlaps of exactly 1
    is_truth[:, :num_truth] = True
    matches = targets.match(
        tf.constant(boxes), tf.constant(usable), true_boxes(truth, is_truth),
        positive_iou=0.6, negative_iou=0.3, force=force,
    )  # fmt: skip
    for image in range(2):
        expected = reference.match(
            boxes[image], usable[image], truth[image, :num_truth], 0.6, 0.3, force
        )
        got = as_naive(targets.Matches(*(field[image].numpy() for field in matches)))
        np.testing.assert_array_equal(got, expected)


def grid_boxes(least, most):
    """Boxes with corners on a small grid: many overlaps are equal, many exactly at a threshold."""
    corner = st.tuples(st.integers(0, 9), st.integers(0, 9))
    size = st.tuples(st.integers(1, 9), st.integers(1, 9))
    box = st.tuples(corner, size).map(lambda b: (*b[0], b[0][0] + b[1][0], b[0][1] + b[1][1]))
    return st.lists(box, min_size=least, max_size=most)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(grid_boxes(1, 12), grid_boxes(0, 15), st.data())
def test_ties_and_thresholds_against_numpy(boxes, truth, data):
    # Up to 15 ground truths on up to 12 boxes: several want the same box.
    usable = np.array(data.draw(st.lists(st.booleans(), min_size=12, max_size=12)))[: len(boxes)]
    padded = np.zeros((1, len(truth) + 2, 4), np.float32)
    padded[0, : len(truth)] = np.reshape(truth, (-1, 4))
    is_truth = np.arange(len(truth) + 2)[None] < len(truth)
    for positive, negative, force in [(0.7, 0.3, True), (0.5, 0.5, False)]:
        matches = targets.match(
            tf.constant([boxes], tf.float32), tf.constant(usable[None]),
            true_boxes(padded, is_truth),
            positive_iou=positive, negative_iou=negative, force=force,
        )  # fmt: skip
        got = as_naive(targets.Matches(*(field[0].numpy() for field in matches)))
        expected = reference.match(boxes, usable, truth, positive, negative, force)
        np.testing.assert_array_equal(got, expected)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from([1, 0, -1]), min_size=1, max_size=40),
    st.integers(1, 50),
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)
def test_sampling_takes_as_many_as_there_are_and_may_be(kinds, size, fraction):
    kinds = np.array(kinds)[None]
    chosen = targets.sample(
        targets.Matches(
            tf.zeros(kinds.shape, tf.int32), tf.constant(kinds == 1), tf.constant(kinds == 0)
        ),
        size,
        fraction,
    )
    weight, positive = chosen.weight.numpy()[0], chosen.positive.numpy()[0]
    positives = min(int((kinds == 1).sum()), int(size * fraction))
    negatives = min(int((kinds == 0).sum()), size - positives)
    assert (positive.sum(), weight.sum()) == (positives, positives + negatives)
    assert not positive[weight == 0].any()
    drawn = chosen.indices.numpy()[0][weight > 0]
    assert len(set(drawn)) == len(drawn)
    np.testing.assert_array_equal(kinds[0, drawn], positive[weight > 0].astype(int))


def test_a_truth_that_no_box_meets_forces_none():
    matches = targets.match(
        tf.constant([[[0.0, 0, 10, 10]]]), tf.constant([[True]]),
        true_boxes([[[50.0, 50, 60, 60]]], [[True]]),
        positive_iou=0.7, negative_iou=0.3, force=True,
    )  # fmt: skip
    assert not matches.positive.numpy().any()
    assert matches.negative.numpy().all()


def test_the_best_of_tied_anchors_is_the_first():
    box = [0.0, 0, 10, 10]
    matches = targets.match(
        tf.constant([[box, box]]), tf.constant([[True, True]]),
        true_boxes([[[0.0, 0, 10, 30]]], [[True]]),
        positive_iou=0.7, negative_iou=0.3, force=True,
    )  # fmt: skip
    # Overlap 1/3: neither positive nor negative by itself; only the first is forced.
    assert matches.positive.numpy().tolist() == [[True, False]]


def some_matches(positives, negatives, others):
    kinds = np.array([1] * positives + [0] * negatives + [-1] * others)
    np.random.default_rng(0).shuffle(kinds)
    kinds = kinds[None]
    return targets.Matches(
        tf.zeros(kinds.shape, tf.int32), tf.constant(kinds == 1), tf.constant(kinds == 0)
    )


@pytest.mark.parametrize(
    ("counts", "size", "fraction", "expected"),
    [
        ((50, 500, 100), 64, 0.25, (16, 48)),
        ((3, 500, 100), 64, 0.25, (3, 61)),  # negatives fill the places of positives
        ((50, 10, 100), 64, 0.25, (16, 10)),  # the minibatch is smaller
        ((0, 500, 0), 64, 0.5, (0, 64)),
        ((5, 0, 0), 64, 0.5, (5, 0)),  # fewer boxes than the minibatch
        ((0, 0, 7), 64, 0.5, (0, 0)),
        ((0, 0, 0), 8, 0.5, (0, 0)),  # no boxes at all
        ((5, 5, 0), 3, 0.25, (0, 3)),  # int(.75) positives: none
    ],
)
def test_sample_counts(counts, size, fraction, expected):
    matches = some_matches(*counts)
    chosen = targets.sample(matches, size, fraction)
    weight, positive = chosen.weight.numpy()[0], chosen.positive.numpy()[0]
    assert chosen.indices.shape == (1, size)
    assert (int(positive.sum()), int(weight.sum() - positive.sum())) == expected
    drawn = chosen.indices.numpy()[0][weight > 0]
    assert len(set(drawn)) == len(drawn)
    assert matches.positive.numpy()[0][drawn[positive[weight > 0]]].all()
    assert matches.negative.numpy()[0][drawn[~positive[weight > 0]]].all()


def test_sampling_is_even():
    tf.random.set_seed(0)
    matches = targets.Matches(
        tf.zeros([4000, 10], tf.int32),
        tf.tile(tf.constant([[True] * 4 + [False] * 6]), [4000, 1]),
        tf.tile(tf.constant([[False] * 4 + [True] * 6]), [4000, 1]),
    )
    chosen = targets.sample(matches, 4, 0.5)
    counts = np.bincount(chosen.indices.numpy().ravel(), minlength=10)
    # 4000 images, 2 of 4 positives and 2 of 6 negatives each: means 2000 and 1333, sd about 30.
    np.testing.assert_allclose(counts[:4], 2000, atol=150)
    np.testing.assert_allclose(counts[4:], 8000 / 6, atol=150)


def test_targets_of_a_sample():
    truth = targets.GroundTruth(
        tf.constant([[[0.0, 0, 10, 10], [20, 20, 40, 60]]]), tf.constant([[7, 3]])
    )
    boxes = np.array([[20.0, 20, 40, 58], [0, 50, 10, 60], [0, 0, 10, 9]], np.float32)
    matches = targets.match(
        tf.constant(boxes[None]), tf.ones([1, 3], tf.bool), truth,
        positive_iou=0.5, negative_iou=0.5, force=False,
    )  # fmt: skip
    chosen = targets.sample(matches, 4, 1.0)
    labels = targets.class_targets(truth, matches, chosen).numpy()[0]
    sampled = tf.gather(tf.constant(boxes), chosen.indices)
    codes = targets.box_code_targets(
        sampled, truth, matches, chosen, reference.CODE_SCALES
    ).numpy()[0]
    by_box = {}
    for place, index in enumerate(chosen.indices.numpy()[0]):
        if chosen.weight.numpy()[0, place]:
            by_box[int(index)] = (int(labels[place]), codes[place])
    assert {index: label for index, (label, _) in by_box.items()} == {0: 3, 1: 0, 2: 7}
    expected = reference.encode(truth.boxes.numpy()[0, 1], boxes[0])
    np.testing.assert_allclose(by_box[0][1], expected, atol=1e-4)
    np.testing.assert_array_equal(by_box[1][1], 0)
