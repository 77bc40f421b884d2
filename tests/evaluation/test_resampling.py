import copy

import numpy as np
import pytest

from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.evaluation import average_precision, encounters, granularities, segments
from inatdet.evaluation.average_precision import METRICS, Engine
from inatdet.evaluation.granularities import Merge
from inatdet.evaluation.resampling import Difference, Estimate, Halves, differences
from tests.evaluation import scenes

SPECIES = Granularity.SPECIES


def scene(seed=0, images=24, boxes=40, count=300):
    rng = np.random.default_rng(seed)
    annotations = scenes.random_annotations(rng, images, boxes)
    taxonomy = annotations.taxonomy
    return annotations, taxonomy, scenes.random_detections(rng, annotations, taxonomy, count)


def sides(annotations, taxonomy, detections, level=SPECIES):
    truth = average_precision.ground_truth_at(annotations, taxonomy, level)
    return truth, average_precision.result_columns(detections, level)


def means(annotations, taxonomy, detections, engine=Engine.HOTCOCO, level=SPECIES):
    evaluation = average_precision.counted(*sides(annotations, taxonomy, detections, level), engine)
    return 100 * average_precision.class_results(evaluation).mean()


@pytest.mark.parametrize("level", ALWAYS)
@pytest.mark.parametrize("name", scenes.SCENES)
@pytest.mark.parametrize("ties", [False, True])
def test_each_half_is_what_pycocotools_counts_on_it(name, level, ties):
    rng = np.random.default_rng(0)
    annotations = scenes.random_annotations(rng, **scenes.SCENES[name])
    taxonomy = annotations.taxonomy
    # In "many boxes an image", more than 100 of a class in an image.
    detections = scenes.random_detections(rng, annotations, taxonomy, 400, ties)
    ids = np.array([image.id for image in annotations.images])
    measured = Halves(ids, 8, seed=3).measure(*sides(annotations, taxonomy, detections, level))
    rng = np.random.default_rng(3)
    for values in measured:
        half = rng.permutation(ids)[: len(ids) // 2]
        part = detections.select(np.isin(detections.image_ids, half))
        alone = annotations.keep_images(half)
        expected = means(alone, taxonomy, part, Engine.PYCOCOTOOLS, level)
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("level", ALWAYS)
def test_working_in_blocks_changes_no_digit(level, monkeypatch):
    annotations, taxonomy, detections = scene()
    truth, columns = sides(annotations, taxonomy, detections, level)
    halves = Halves(truth.image_ids, 9)
    whole = halves.measure(truth, columns)
    monkeypatch.setattr(segments, "_FEW_IMAGES", 0)  # several threads count few images too
    for parts, length in ((1, 1), (2, 7), (64, 60)):
        monkeypatch.setattr(segments, "_PARTS_AT_ONCE", parts)
        monkeypatch.setattr(segments, "_LONGEST_SEGMENT", length)
        monkeypatch.setattr(encounters, "_ROWS_AT_ONCE", length)
        np.testing.assert_array_equal(halves.measure(truth, columns), whole)


def test_the_standard_error_of_a_mean_is_the_textbook_formula():
    # With one class and one box an image, AR1 is the mean over images of the share of IoU
    # thresholds that the box reaches: its standard error is known.
    rng = np.random.default_rng(0)
    count = 301
    widths = rng.uniform(40, 100, count)  # of boxes inside the true one of 100: IoU is width / 100
    annotations = scenes.annotations_of(
        range(count), [(i, 7, [0, 0, 100, 9]) for i in range(count)]
    )
    taxonomy = annotations.taxonomy
    found = scenes.detections_of(
        range(count), [7] * count, [0.5] * count, [[0, 0, w, 9] for w in widths], taxonomy
    )
    halves = Halves(np.arange(count), 2000)
    on_halves = halves.measure(*sides(annotations, taxonomy, found))
    values = means(annotations, taxonomy, found)
    estimate = halves.estimates(values, on_halves)[METRICS.index("AR1")]
    reached = 100 * (widths[:, None] / 100 >= np.arange(50, 100, 5) / 100).mean(axis=1)
    assert estimate == pytest.approx(reached.mean())
    # 2,000 halves know the spread to 1.6%.
    assert estimate.std_err == pytest.approx(reached.std() / np.sqrt(count), rel=0.06)
    assert estimate.margin == pytest.approx(1.96 * estimate.std_err, rel=1e-4)


def test_equal_detections_do_not_differ_and_better_ones_do():
    annotations, taxonomy, detections = scene()
    truth = average_precision.ground_truth_at(annotations, taxonomy, SPECIES)
    perfect = scenes.detections_of(
        annotations.image_ids, annotations.category_ids, [0.9] * 40, annotations.boxes, taxonomy
    )
    halves = Halves(truth.image_ids, 100)

    def side(found):
        columns = average_precision.result_columns(found, SPECIES)
        return means(annotations, taxonomy, found), halves.measure(truth, columns)

    for row in differences(halves, *side(detections), *side(detections)):
        assert (row.change, row.change.std_err, row.p_value) == (0.0, 0.0, 1.0)
    rows = differences(halves, *side(detections), *side(perfect))
    assert [row.measure for row in rows] == list(METRICS)
    assert rows[0].second == pytest.approx(100)
    assert rows[0].change == pytest.approx(100 - rows[0].first)
    assert rows[0].p_value < 1e-3


def test_p_value():
    assert Difference("AP", 0, 2, Estimate(2.0, 1.0)).p_value == pytest.approx(0.0455, abs=1e-4)
    assert Difference("AP", 2, 0, Estimate(-1.96, 1.0)).p_value == pytest.approx(0.05, abs=1e-4)


def test_a_single_image_has_no_halves():
    assert len(Halves(np.array([4]), 100)) == 0
    assert len(Halves(np.array([4, 5]), 100)) == 100


def test_halves_without_a_box_are_ignored():
    halves = Halves(np.arange(4), 3)
    assert halves.std_err(np.array([1.0, np.nan, 3.0])) == pytest.approx(1.0)
    assert np.isnan(halves.std_err(np.array([np.nan, np.nan, 3.0])))


def test_an_estimate_is_a_number_and_can_be_copied():
    estimate = copy.deepcopy(Estimate(1.5, 0.25))
    assert estimate == 1.5
    assert estimate.std_err == 0.25
    assert f"{estimate:.1f}" == "1.5"


def test_the_standard_error_of_a_gap_is_that_of_the_ratio():
    # Far from zero, the ratio on each half spreads as the formula says.
    rng = np.random.default_rng(0)
    halves = Halves(np.arange(100), 4000)
    keys = [
        (SPECIES, Granularity.SUPER, Merge.NONE),
        (SPECIES, Granularity.SUPER, Merge.NMS),
        (Granularity.SUPER, Granularity.SUPER, Merge.NONE),
    ]
    means = (20.0, 30.0, 60.0)
    shared = rng.normal(0, 0.4, 4000)
    on_halves = {
        key: np.column_stack([mean + shared + rng.normal(0, 0.3, 4000)] * 5)
        for key, mean in zip(keys, means)
    }
    rows = [granularities.Table6Row(*key, (mean,) * 5) for key, mean in zip(keys, means)]
    (row,) = granularities.gap_rows(rows, halves, on_halves)
    assert row.closed == pytest.approx(25.0)
    plain, merged, coarse = (on_halves[key][:, 0] for key in keys)
    expected = (100 * (merged - plain) / (coarse - plain)).std()
    assert row.closed.std_err == pytest.approx(expected, rel=0.02)
    (row,) = granularities.gap_rows(rows)
    assert not isinstance(row.closed, Estimate)


@pytest.mark.parametrize("coarse", [20.0, 20.0 + 1e-12, 15.0])
def test_a_gap_within_rounding_is_nan(coarse):
    none, nms = (SPECIES, Granularity.SUPER, Merge.NONE), (SPECIES, Granularity.SUPER, Merge.NMS)
    values = {none: 20.0, nms: 25.0, (Granularity.SUPER, Granularity.SUPER, Merge.NONE): coarse}
    (row,) = granularities.gap_rows(
        [granularities.Table6Row(*key, (v,) * 5) for key, v in values.items()]
    )
    assert np.isnan(row.closed)
