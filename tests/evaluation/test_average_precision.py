import numpy as np
import pytest

from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.evaluation import average_precision, counting
from inatdet.evaluation.average_precision import Engine
from inatdet.evaluation.granularities import Merge, merged
from tests.evaluation import scenes
from tests.evaluation.reference import by_hand


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("granularity", ALWAYS)
@pytest.mark.parametrize("rule", [Merge.NONE, Merge.NMS])
@pytest.mark.parametrize("scene", scenes.SCENES)
def test_against_pycocotools(engine, granularity, rule, scene):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        annotations = scenes.random_annotations(rng, **scenes.SCENES[scene])
        taxonomy = annotations.taxonomy
        detections = scenes.random_detections(rng, annotations, taxonomy, ties=seed != 1)
        detections = merged(detections, granularity, rule)
        truth = average_precision.ground_truth_at(annotations, taxonomy, granularity)
        results = counting.evaluate(truth, detections, granularity, engine)
        values, curves = by_hand(annotations, detections, taxonomy, granularity)
        np.testing.assert_allclose(results.values, values, atol=1e-9)
        np.testing.assert_allclose(results.precision, curves, atol=1e-9)


@pytest.mark.parametrize("engine", Engine)
def test_more_than_100_detections_of_a_class_in_an_image(engine):
    rng = np.random.default_rng(0)
    annotations = scenes.random_annotations(rng, images=1, boxes=3)
    taxonomy = annotations.taxonomy
    detections = scenes.random_detections(rng, annotations, taxonomy, count=800)
    truth = average_precision.ground_truth_at(annotations, taxonomy, Granularity.GENERIC)
    results = counting.evaluate(truth, detections, Granularity.GENERIC, engine)
    values, _ = by_hand(annotations, detections, taxonomy, Granularity.GENERIC)
    np.testing.assert_allclose(results.values, values, atol=1e-9)


@pytest.mark.parametrize("engine", Engine)
def test_nothing_detected_is_zero_where_there_is_truth(engine):
    annotations = scenes.annotations_of([1, 2], [(1, 40, [0, 0, 9, 9]), (2, 0, [0, 0, 9, 9])])
    taxonomy = annotations.taxonomy
    nothing = scenes.detections_of([], [], [], [], taxonomy)
    truth = average_precision.ground_truth_at(annotations, taxonomy, Granularity.SPECIES)
    results = counting.evaluate(truth, nothing, Granularity.SPECIES, engine)
    np.testing.assert_array_equal(results.values, 0)


@pytest.mark.parametrize("engine", Engine)
def test_a_class_without_truth_is_nan_and_left_out_of_means(engine):
    full = scenes.annotations_of([1, 2], [(1, 40, [0, 0, 9, 9]), (2, 0, [0, 0, 9, 9])])
    taxonomy = full.taxonomy
    one = full.keep_images([1])
    detections = scenes.detections_of([1, 1], [40, 0], [0.9, 0.8], [[0, 0, 9, 9]] * 2, taxonomy)
    truth = average_precision.ground_truth_at(one, taxonomy, Granularity.SPECIES)
    results = counting.evaluate(truth, detections, Granularity.SPECIES, engine)
    assert results.has_truth.tolist() == [False, True]  # by category id: 0, 40
    assert np.isnan(results.values[0]).all()
    np.testing.assert_allclose(results.mean(), 1.0)
    assert np.isnan(results.mean(np.array([True, False]))).all()


def test_by_hand():
    # Two images of one species. The better detection is wrong (IoU 1/3), the other one right
    # (IoU .68): precision 1/2 up to recall 1/2, 0 beyond, at the thresholds .50 .55 .60 .65.
    annotations = scenes.annotations_of([1, 2], [(1, 7, [0, 0, 10, 10]), (2, 7, [0, 0, 10, 10])])
    taxonomy = annotations.taxonomy
    detections = scenes.detections_of(
        [1, 2], [7, 7], [0.9, 0.5], [[5, 0, 10, 10], [0, 0, 10, 6.8]], taxonomy
    )
    truth = average_precision.ground_truth_at(annotations, taxonomy, Granularity.SPECIES)
    results = counting.evaluate(truth, detections, Granularity.SPECIES)
    ap50 = 0.5 * 51 / 101  # the recalls 0 .. .50 are 51 of the 101
    expected = [ap50 * 4 / 10, ap50, 0.0, 0.5 * 4 / 10, 0.5 * 4 / 10]
    np.testing.assert_allclose(results.values[0], expected)
    np.testing.assert_allclose(results.precision[0], [0.5] * 51 + [0.0] * 50)
