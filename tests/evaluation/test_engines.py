"""pycocotools, hotcoco, vernier and this package count the same: every class, area and limit."""

import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest
import vernier
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.evaluation import average_precision, counting
from inatdet.evaluation.average_precision import EVERY_AREA, MAX_DETECTIONS, Engine
from inatdet.evaluation.breakdowns import SIZES
from inatdet.evaluation.matching import Labelled
from inatdet.evaluation.resampling import Halves
from tests.evaluation import scenes

AREAS = [EVERY_AREA, *SIZES.values()]


def scene(name, level, seed):
    rng = np.random.default_rng(seed)
    annotations = scenes.random_annotations(rng, **scenes.SCENES[name])
    taxonomy = annotations.taxonomy
    areas = rng.uniform(0, 2 * 96**2, len(annotations.areas))
    areas[:1] = 32**2  # at the border, which belongs to both ranges
    annotations = replace(annotations, areas=areas)
    found = scenes.random_detections(rng, annotations, taxonomy, 400, ties=seed != 1)
    found.boxes[:, 2:] *= rng.choice([0.5, 1, 4], (len(found), 1), p=[0.1, 0.8, 0.1])
    truth = average_precision.ground_truth_at(annotations, taxonomy, level)
    return truth, average_precision.result_columns(found, level)


def by_dictionaries(evaluator, truth, columns, limits=MAX_DETECTIONS):
    """Precision and recall of an evaluator with the interface of pycocotools."""
    rows = (truth.box_images, truth.labels, truth.boxes, truth.areas, truth.is_crowd)
    coco, results = COCO(), COCO()
    coco.dataset = {
        "images": [{"id": i, "width": 100, "height": 100} for i in truth.image_ids.tolist()],
        "categories": [{"id": c, "name": str(c)} for c in range(1, truth.num_labels + 1)],
        "annotations": [
            {"id": n, "image_id": i, "category_id": c, "bbox": b, "area": a, "iscrowd": int(k)}
            for n, (i, c, b, a, k) in enumerate(zip(*(column.tolist() for column in rows)), 1)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        results = coco.loadRes(columns) if len(columns) else results
        evaluation = evaluator(coco, results, "bbox")
        evaluation.params.maxDets = list(limits)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"], evaluation.eval["recall"]


def by_hotcoco(truth, columns):
    evaluation = average_precision.loaded(truth, columns)
    evaluation.params.maxDets = list(MAX_DETECTIONS)
    average_precision.count(evaluation, AREAS)
    return evaluation.eval["precision"], evaluation.eval["recall"]


@pytest.mark.parametrize("level", ALWAYS)
@pytest.mark.parametrize("name", scenes.SCENES)
def test_every_precision_and_recall(name, level):
    for seed in range(2):
        truth, columns = scene(name, level, seed)
        expected = by_dictionaries(COCOeval, truth, columns)
        by_vernier = by_dictionaries(vernier.COCOeval, truth, columns)
        for found in (by_vernier, by_hotcoco(truth, columns)):
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("level", ALWAYS)
@pytest.mark.parametrize("name", scenes.SCENES)
def test_our_measures_by_area(name, level):
    for seed in range(2):
        truth, columns = scene(name, level, seed)
        precision, recall = by_dictionaries(vernier.COCOeval, truth, columns)
        labelled = Labelled.of(truth, columns)
        for area, area_range in enumerate(AREAS):
            found = counting.class_results_of_areas(labelled, area_range)
            at_100 = np.where(precision < 0, np.nan, precision)[:, :, :, area, -1]
            recalls = np.where(recall < 0, np.nan, recall)[:, :, area]
            values = [
                at_100.mean(axis=(0, 1)), at_100[0].mean(axis=0), at_100[5].mean(axis=0),
                recalls[:, :, 0].mean(axis=0), recalls[:, :, 1].mean(axis=0),
            ]  # fmt: skip
            np.testing.assert_allclose(found.values, np.stack(values, 1), rtol=0, atol=1e-9)
            np.testing.assert_allclose(found.precision, at_100[0].T, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", scenes.SCENES)
def test_each_half_is_what_vernier_counts_on_it(name):
    truth, columns = scene(name, Granularity.SUPER, 0)
    halves = Halves(truth.image_ids, 4)
    parts = halves.parts.T[: len(halves)]
    for values, part in zip(halves.measure(truth, columns), parts, strict=True):
        ids = np.sort(truth.image_ids)[part]
        inside = columns[np.isin(columns[:, 0], ids)]
        precision, recall = by_dictionaries(vernier.COCOeval, truth.in_images(ids), inside)
        at_100 = precision[:, :, :, 0, -1]
        known = at_100[0, 0] >= 0
        if not known.any():
            assert np.isnan(values).all()
            continue
        expected = [
            at_100[:, :, known].mean(), at_100[0][:, known].mean(), at_100[5][:, known].mean(),
            recall[:, known, 0, 0].mean(), recall[:, known, 0, 1].mean(),
        ]  # fmt: skip
        np.testing.assert_allclose(values, 100 * np.array(expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize("most", [20, 100, None])
def test_other_limits_of_detections(most):
    rng = np.random.default_rng(0)
    annotations = scenes.random_annotations(rng, images=2, boxes=8)
    taxonomy = annotations.taxonomy
    found = scenes.random_detections(rng, annotations, taxonomy, 600)
    truth = average_precision.ground_truth_at(annotations, taxonomy, Granularity.GENERIC)
    columns = average_precision.result_columns(found, Granularity.GENERIC)
    labelled = Labelled.of(truth, columns, most)
    ours = counting.class_results(labelled, labelled.matches())
    precision, _ = by_dictionaries(COCOeval, truth, columns, (1, 10, most or 1000))
    np.testing.assert_allclose(ours.precision, precision[0, :, :, 0, -1].T, rtol=0, atol=1e-9)
    # The same from a part of a ranking of all.
    everything = Labelled.of(truth, columns, None)
    kept = np.isin(everything.ranked.rows, labelled.ranked.rows)
    part = replace(everything, given=everything.ranked.select(kept)[0])
    again = counting.class_results(part, part.matches())
    np.testing.assert_array_equal(again.values, ours.values)


def test_engines_have_names_and_versions():
    assert {engine.version().split()[0] for engine in Engine} == {
        "inatdet", "hotcoco", "pycocotools"
    }  # fmt: skip
