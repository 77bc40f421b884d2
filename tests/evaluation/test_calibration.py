"""Calibration, against hotcoco's, vernier's, and plain Python on pycocotools' matches."""

import contextlib
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from vernier import instance

from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.evaluation import average_precision
from inatdet.evaluation import results as numbers_of
from inatdet.evaluation.average_precision import MAX_DETECTIONS
from inatdet.evaluation.calibration import SCORE_BINS, score_counts
from inatdet.evaluation.matching import IOU_THRESHOLDS, Labelled
from inatdet.evaluation.protocol import prepare
from inatdet.evaluation.resampling import Halves
from tests.evaluation import cases, scenes

SPECIES = Granularity.SPECIES
BOX = [10, 10, 20, 20]


def counts_of(truth, columns, groups=None, resamples=0):
    labelled = Labelled.of(truth, columns)
    halves = Halves(truth.image_ids, resamples)
    return score_counts(labelled, labelled.matches(IOU_THRESHOLDS[:1]), groups, halves)


def ours(truth, columns):
    return counts_of(truth, columns).calibration()


def by_hotcoco(truth, columns):
    evaluation = average_precision.loaded(truth, columns)
    evaluation.params.maxDets = list(MAX_DETECTIONS)
    evaluation.evaluate()
    return evaluation.calibration(n_bins=SCORE_BINS, iou_threshold=0.5)


def by_vernier(truth, columns):
    content = {
        "images": [{"id": i, "width": 100, "height": 100} for i in truth.image_ids.tolist()],
        "categories": [{"id": i + 1, "name": str(i)} for i in range(truth.num_labels)],
        "annotations": [
            {"id": n + 1, "image_id": int(i), "category_id": int(c), "bbox": b.tolist(),
             "area": float(a), "iscrowd": int(k)}
            for n, (i, c, b, a, k) in enumerate(
                zip(truth.box_images, truth.labels, truth.boxes, truth.areas, truth.is_crowd)
            )
        ],
    }  # fmt: skip
    evaluated = instance.Evaluator().evaluate(
        json.dumps(content).encode(), np.ascontiguousarray(columns), calibration=True
    )
    return evaluated.calibration(iou=0.5, n_bins=SCORE_BINS, binning="equal_width", min_score=0.0)


def by_hand(truth, columns):
    """Scores and outcomes as pycocotools matches them, binned by comparison with the borders."""
    evaluation = average_precision._pycocotools(truth, columns)
    evaluation.params.maxDets = list(MAX_DETECTIONS)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
    outcomes = []
    for image in evaluation.evalImgs:
        if image and image["aRng"] == evaluation.params.areaRng[0]:
            counted = zip(image["dtScores"], image["dtMatches"][0], image["dtIgnore"][0])
            outcomes += [(score, match > 0) for score, match, ignored in counted if not ignored]
    bins = []
    for place in range(SCORE_BINS):
        low, high, is_last = place / 10, (place + 1) / 10, place == SCORE_BINS - 1
        bins.append([o for o in outcomes if low <= o[0] and (o[0] < high or is_last)])
    pairs = [(np.mean([o[0] for o in b]), np.mean([o[1] for o in b])) for b in bins if b]
    weights = [len(b) / len(outcomes) for b in bins if b]
    gaps = [abs(score - right) for score, right in pairs]
    return len(outcomes), np.dot(weights, gaps), max(gaps), [len(b) for b in bins]


def assert_agree(truth, columns):
    found, theirs = ours(truth, columns), by_hotcoco(truth, columns)
    assert found.detections == theirs["num_detections"]
    if not found.detections:
        assert all(map(math.isnan, found.cells()[1:]))
        return found
    np.testing.assert_allclose(
        [found.ece, found.mce], [100 * theirs["ece"], 100 * theirs["mce"]], atol=1e-9
    )
    for mine, other in zip(found.bins, theirs["bins"], strict=True):
        assert mine.detections == other["count"]
        expected = [other["bin_lower"], other["bin_upper"]]
        np.testing.assert_allclose([mine.lower, mine.upper], 100 * np.array(expected))
        if mine.detections:
            expected = [other["avg_confidence"], other["avg_accuracy"]]
            np.testing.assert_allclose(
                [mine.mean_score, mine.precision], 100 * np.array(expected), atol=1e-9
            )
        else:
            assert math.isnan(mine.mean_score)
            assert math.isnan(mine.precision)
    return found


@pytest.mark.parametrize("level", ALWAYS)
@pytest.mark.parametrize("name", scenes.SCENES)
def test_agrees_with_hotcoco_and_plain_python(name, level):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        annotations = scenes.random_annotations(rng, **scenes.SCENES[name])
        taxonomy = annotations.taxonomy
        # With one image, more detections than the best 100 of an image and class.
        found = scenes.random_detections(rng, annotations, taxonomy, 400, ties=seed % 2 == 0)
        truth = average_precision.ground_truth_at(annotations, taxonomy, level)
        columns = average_precision.result_columns(found, level)
        mine = assert_agree(truth, columns)
        assert 0 < mine.ece < 100
        count, ece, mce, in_bins = by_hand(truth, columns)
        assert [b.detections for b in mine.bins] == in_bins
        assert mine.detections == count
        np.testing.assert_allclose([mine.ece, mine.mce], [100 * ece, 100 * mce], atol=1e-9)


@pytest.mark.parametrize("level", ALWAYS)
@pytest.mark.parametrize("name", ["usual", "crowds", "few boxes"])
def test_agrees_with_vernier(name, level):
    rng = np.random.default_rng(2)
    annotations = scenes.random_annotations(rng, **scenes.SCENES[name])
    found = scenes.random_detections(rng, annotations, annotations.taxonomy, 98, ties=False)
    truth = average_precision.ground_truth_at(annotations, annotations.taxonomy, level)
    columns = average_precision.result_columns(found, level)
    # vernier's bins go from the lowest score to the highest.
    image = truth.image_ids[0]
    ends = [[image, 200, 200, 9, 9, score, 1] for score in (0, 1)]
    columns = np.concatenate([columns, ends])
    mine, other = ours(truth, columns), by_vernier(truth, columns)
    assert mine.detections == other.n_detections
    np.testing.assert_allclose([mine.ece, mine.mce], [100 * other.ece, 100 * other.mce], atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(cases.cases())
def test_agrees_with_hotcoco_on_any_case(case):
    annotations, found = case
    for level in ALWAYS:
        truth = average_precision.ground_truth_at(annotations, annotations.taxonomy, level)
        assert_agree(truth, average_precision.result_columns(found, level))


def test_each_class_agrees_with_hotcoco():
    rng = np.random.default_rng(5)
    annotations = scenes.random_annotations(rng, boxes=40, crowds=0.2)
    found = scenes.random_detections(rng, annotations, annotations.taxonomy, 300)
    truth = average_precision.ground_truth_at(annotations, annotations.taxonomy, SPECIES)
    columns = average_precision.result_columns(found, SPECIES)
    columns = columns[columns[:, 6] != 2]  # a class without a detection
    theirs = by_hotcoco(truth, columns)["per_category"]
    counts = counts_of(truth, columns, np.arange(truth.num_labels))
    for label in range(1, truth.num_labels + 1):
        mine = counts.calibration(label - 1)
        if label == 2:
            assert mine.detections == 0
            assert math.isnan(mine.ece)
        else:
            assert mine.ece == pytest.approx(100 * theirs[str(label)], abs=1e-9)
    # Groups of classes add up to all.
    whole, split = ours(truth, columns), counts.calibration()
    np.testing.assert_allclose(split.cells(), whole.cells(), atol=1e-9)


def calibration_of(rows, boxes=((0, 40, BOX),), image_ids=(0, 1)):
    """The calibration of rows `(image, category, score, box)`."""
    annotations = scenes.annotations_of(image_ids, boxes)
    columns = [list(column) for column in zip(*rows)] or [[], [], [], []]
    found = scenes.detections_of(*columns, annotations.taxonomy)
    truth = average_precision.ground_truth_at(annotations, annotations.taxonomy, SPECIES)
    return assert_agree(truth, average_precision.result_columns(found, SPECIES))


def test_no_detections_have_no_calibration():
    found = calibration_of([])
    assert found.detections == 0
    assert all(map(math.isnan, found.cells()[1:]))
    assert [b.detections for b in found.bins] == [0] * SCORE_BINS


@pytest.mark.parametrize(
    ("score", "box", "error"), [(0.7, BOX, 30), (0.7, [60, 60, 9, 9], 70), (1.0, BOX, 0)]
)
def test_one_detection(score, box, error):
    found = calibration_of([(0, 40, score, box)])
    assert found.detections == 1
    assert (found.ece, found.mce) == (pytest.approx(error), pytest.approx(error))


def test_scores_on_borders_belong_to_the_upper_bin():
    scores = [place / SCORE_BINS for place in range(SCORE_BINS + 1)]
    found = calibration_of([(1, 40, score, BOX) for score in scores])
    assert [b.detections for b in found.bins] == [1] * 9 + [2]
    assert found.precision == 0  # image 1 has no box


def test_duplicates_are_wrong_and_what_lies_on_a_crowd_does_not_count():
    boxes = [(0, 40, BOX), (1, 40, [0, 0, 90, 90], True)]
    rows = [(0, 40, 0.9, BOX), (0, 40, 0.9, BOX), (1, 40, 0.4, BOX), (1, 40, 0.3, BOX)]
    found = calibration_of(rows, boxes)
    assert found.detections == 2
    assert found.precision == pytest.approx(50)
    assert found.ece == pytest.approx(40)


def test_a_mean_score_above_precision_is_over_confidence():
    rows = [(image, 40, 0.8, BOX) for image in range(10)]
    for right in (3, 8, 10):
        boxes = [(image, 40, BOX) for image in range(right)]
        found = calibration_of(rows, boxes, range(10))
        assert found.mean_score - found.precision == pytest.approx(80 - 10 * right)
        assert found.ece == pytest.approx(abs(80 - 10 * right))


@pytest.mark.parametrize("score", [-0.1, 1.0000001, 7.5, -1e300])
def test_scores_that_are_no_probabilities_have_no_calibration(score):
    annotations = scenes.annotations_of([0], [(0, 40, BOX)])
    found = scenes.detections_of([0, 0], [40, 40], [0.5, score], [BOX, BOX], annotations.taxonomy)
    truth = average_precision.ground_truth_at(annotations, annotations.taxonomy, SPECIES)
    columns = average_precision.result_columns(found, SPECIES)
    assert counts_of(truth, columns) is None
    with pytest.raises(Exception, match=r"\[0, 1\]"):
        by_hotcoco(truth, columns)


def test_halves_are_counted_as_if_they_were_all_there_is(monkeypatch):
    # In blocks that end within the detections and within the images.
    monkeypatch.setattr("inatdet.evaluation.calibration._ROWS_AT_ONCE", 37)
    monkeypatch.setattr("inatdet.evaluation.calibration._IMAGES_AT_ONCE", 5)
    rng = np.random.default_rng(3)
    annotations = scenes.random_annotations(rng, images=13, boxes=30, crowds=0.1)
    found = scenes.random_detections(rng, annotations, annotations.taxonomy, 300)
    truth = average_precision.ground_truth_at(annotations, annotations.taxonomy, SPECIES)
    columns = average_precision.result_columns(found, SPECIES)
    counts = counts_of(truth, columns, resamples=6)
    ids = np.sort(truth.image_ids)
    expected = []
    for part in counts.halves.parts.T:
        inside = np.isin(columns[:, 0], ids[part])
        half = by_hotcoco(truth.in_images(ids[part]), columns[inside])
        expected.append(100 * half["ece"])
    whole = counts.calibration()
    assert whole.ece == pytest.approx(100 * by_hotcoco(truth, columns)["ece"])
    assert whole.ece.std_err == pytest.approx(counts.halves.std_err(np.array(expected)))
    assert whole.ece.std_err > 0
    assert all(b.precision.std_err >= 0 for b in whole.bins if b.detections > 20)


def test_every_model_level_and_rule_has_a_row():
    rng = np.random.default_rng(1)
    annotations = scenes.random_annotations(rng)
    found = scenes.random_detections(rng, annotations, annotations.taxonomy, 200)
    results = numbers_of.evaluate(prepare(annotations, [found], all_images=True), errors=False)
    assert [row.key for row in results.calibration] == [row.key for row in results.table6]
    assert all(row.ECE > 0 for row in results.calibration)
    assert [row.cells()[:4] for row in results.calibration][:2] == [
        ("species", "species", "none", results.calibration[0].calibration.detections),
        ("species", "super", "none", results.calibration[1].calibration.detections),
    ]
