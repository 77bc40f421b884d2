import numpy as np
import pytest

from inatdet.data import boxes as box_math
from inatdet.data.granularity import Granularity
from inatdet.evaluation import granularities
from inatdet.evaluation.average_precision import (
    class_results,
    counted,
    ground_truth_at,
    result_columns,
)
from inatdet.evaluation.granularities import Merge
from tests.evaluation import scenes
from tests.evaluation.reference import suppressed


@pytest.mark.parametrize("count", [0, 1, 2, 30, 300])
@pytest.mark.parametrize("num_groups", [1, 4, 100])
def test_suppression_against_loops(count, num_groups):
    rng = np.random.default_rng(count)
    # Unequal groups: some have many boxes, most have few.
    groups = np.floor(num_groups * rng.uniform(size=count) ** 3).astype(np.int64) * 7
    scores = np.round(rng.uniform(size=count), 1)
    boxes = np.concatenate([rng.uniform(0, 10, (count, 2)), rng.uniform(0, 20, (count, 2))], 1)
    got = box_math.suppress(groups, scores, boxes, 0.5)
    np.testing.assert_array_equal(got, suppressed(groups, scores, boxes, 0.5))


def test_large_groups_are_worked_on_in_blocks(monkeypatch):
    monkeypatch.setattr(box_math, "_BLOCK_CELLS", 50)
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 20, 200)
    scores = rng.uniform(size=200)
    boxes = np.concatenate([rng.uniform(0, 10, (200, 2)), rng.uniform(0, 20, (200, 2))], 1)
    got = box_math.suppress(groups, scores, boxes, 0.5)
    np.testing.assert_array_equal(got, suppressed(groups, scores, boxes, 0.5))


@pytest.mark.parametrize("count", [1, 2, 40, 200])
@pytest.mark.parametrize("most", [1, 3, 1000])
@pytest.mark.parametrize("large", [2, 20, 10_000])
def test_only_the_best_of_each_group_are_kept(monkeypatch, count, most, large):
    monkeypatch.setattr(box_math, "_LARGE_GROUP", large)
    rng = np.random.default_rng(count)
    groups = np.floor(6 * rng.uniform(size=count) ** 3).astype(np.int64)
    scores = np.round(rng.uniform(size=count), 1)  # many ties
    boxes = np.round(rng.uniform(0, 12, (count, 4)))
    boxes[count // 2 :] = boxes[: count - count // 2]  # and many repeats
    everything = suppressed(groups, scores, boxes, 0.5)
    expected = np.zeros(count, bool)
    for group in np.unique(groups):
        rows = np.flatnonzero(everything & (groups == group))
        expected[rows[np.argsort(-scores[rows], kind="stable")[:most]]] = True
    got = box_math.suppress(groups, scores, boxes, 0.5, most)
    np.testing.assert_array_equal(got, expected)
    assert not box_math.suppress(groups, scores, boxes, 0.5, 0).any()


@pytest.mark.parametrize("seed", range(3))
def test_no_measure_depends_on_what_is_not_kept(seed):
    rng = np.random.default_rng(seed)
    true = [(i, 40, np.floor(rng.uniform(0, 90, 4)) + [0, 0, 5, 5]) for i in (1, 2) for _ in "abc"]
    annotations = scenes.annotations_of([1, 2], true)
    boxes = np.floor(rng.uniform(0, 90, (900, 4))) + [0, 0, 1, 1]
    boxes[:60] = np.tile([box for _, _, box in true], (10, 1)) + rng.integers(0, 9, (60, 4))
    found = scenes.detections_of(
        rng.integers(1, 3, 900), [40] * 900, rng.integers(1, 9, 900) / 9, boxes,
        annotations.taxonomy,
    )  # fmt: skip
    truth = ground_truth_at(annotations, annotations.taxonomy, Granularity.GENERIC)

    def measures(**most):
        kept = granularities.merged(found, Granularity.GENERIC, Merge.NMS, **most)
        columns = result_columns(kept, Granularity.GENERIC)
        return len(kept), class_results(counted(truth, columns)).mean()

    number, best = measures()
    assert number == 200
    number, everything = measures(most=None)
    assert number > 400
    np.testing.assert_array_equal(best, everything)


def test_boxes_without_area_suppress_nothing():
    keep = box_math.suppress(
        np.zeros(3, int), np.array([0.9, 0.8, 0.7]), np.array([[1.0, 1, 0, 0]] * 3), 0.5
    )
    assert keep.all()


@pytest.mark.parametrize(
    ("trained_on", "evaluated_on", "expected"),
    [
        (Granularity.SPECIES, Granularity.SPECIES, ["none"]),
        (Granularity.SPECIES, Granularity.SUPER, ["none", "nms"]),
        (Granularity.SUPER, Granularity.GENERIC, ["none", "nms"]),
        (Granularity.GENERIC, Granularity.GENERIC, ["none"]),
    ],
)
def test_rules(trained_on, evaluated_on, expected):
    assert [str(rule) for rule in granularities.rules(trained_on, evaluated_on)] == expected


def test_two_species_on_one_animal():
    annotations = scenes.annotations_of([5], [(5, 40, [0, 0, 10, 10]), (5, 0, [50, 0, 10, 10])])
    taxonomy = annotations.taxonomy
    box = [0, 0, 10, 10]
    # Two birds and an insect on one box, the same in another image, and the boxless plant.
    detections = scenes.detections_of(
        [5, 5, 5, 6, 5], [40, 40, 0, 40, 98], [0.9, 0.8, 0.7, 0.6, 0.95], [box] * 5, taxonomy
    )

    def left(target, rule):
        return granularities.merged(detections, target, rule).scores.tolist()

    assert left(Granularity.SPECIES, Merge.NONE) == [0.9, 0.8, 0.7, 0.6]
    assert left(Granularity.SUPER, Merge.NONE) == [0.9, 0.8, 0.7, 0.6]
    assert left(Granularity.SUPER, Merge.NMS) == [0.9, 0.7, 0.6]
    assert left(Granularity.GENERIC, Merge.NONE) == [0.9, 0.8, 0.7, 0.6, 0.95]
    assert left(Granularity.GENERIC, Merge.NMS) == [0.6, 0.95]


def test_marginals_cannot_be_computed_from_fine_detections():
    taxonomy = scenes.annotations_of([5], [(5, 40, [0, 0, 10, 10])]).taxonomy
    detections = scenes.detections_of([5], [40], [0.9], [[0, 0, 10, 10]], taxonomy)
    with pytest.raises(ValueError, match="do not hold the probabilities"):
        granularities.merged(detections, Granularity.SUPER, Merge.MARGINAL)
