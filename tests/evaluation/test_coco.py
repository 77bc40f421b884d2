import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from inatdet.data.taxonomy import Granularity
from inatdet.evaluation import coco
from inatdet.evaluation.coco import Engine
from inatdet.evaluation.granularity import Merge, merged
from tests.evaluation import scenes


def by_hand(annotations, detections, taxonomy, granularity):
    """The measures of every class, from pycocotools fed with dictionaries, independent of ours."""
    known = taxonomy.label_of_category(granularity)
    truth = {
        "images": [{"id": image.id} for image in annotations.images],
        "categories": [{"id": i + 1} for i in range(taxonomy.num_labels(granularity))],
        "annotations": [
            {"id": n + 1, "image_id": int(i), "category_id": known[int(c)], "bbox": list(b),
             "area": float(a), "iscrowd": int(k)}
            for n, (i, c, b, a, k) in enumerate(
                zip(annotations.image_ids, annotations.category_ids, annotations.boxes,
                    annotations.areas, annotations.is_crowd)
            )
        ],
    }  # fmt: skip
    found = [
        {"image_id": int(i), "category_id": int(c), "bbox": list(b), "score": float(s)}
        for i, c, b, s in zip(
            detections.image_ids, detections.labels[granularity], detections.boxes,
            detections.scores,
        )
        if c > 0
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = truth
        gt.createIndex()
        dt = gt.loadRes(found) if found else COCO()
        values, curves = [], []
        for label in range(1, taxonomy.num_labels(granularity) + 1):
            run = COCOeval(gt, dt, "bbox")
            run.params.catIds = [label]
            run.evaluate()
            run.accumulate()
            run.summarize()
            if (run.eval["precision"] == -1).all():
                values.append([np.nan] * 5)
                curves.append([np.nan] * 101)
            else:
                # stats: AP, AP50, AP75, three sizes, AR1, AR10, AR100
                values.append([run.stats[0], run.stats[1], run.stats[2], run.stats[6],
                               run.stats[7]])  # fmt: skip
                curves.append(run.eval["precision"][0, :, 0, 0, -1])
    return np.array(values), np.array(curves)


SCENES = {
    "usual": {},
    "crowds": {"crowds": 0.4},
    "one image": {"images": 1, "boxes": 4},
    "many boxes an image": {"images": 2, "boxes": 30},
    "few boxes": {"images": 20, "boxes": 3},
    "one box": {"images": 3, "boxes": 1},
}


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("granularity", Granularity)
@pytest.mark.parametrize("rule", [Merge.NONE, Merge.NMS])
@pytest.mark.parametrize("scene", SCENES)
def test_against_pycocotools(engine, granularity, rule, scene):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        annotations = scenes.random_annotations(rng, **SCENES[scene])
        taxonomy = annotations.taxonomy()
        detections = scenes.random_detections(rng, annotations, taxonomy, ties=seed != 1)
        detections = merged(detections, granularity, rule)
        truth = coco.ground_truth_at(annotations, taxonomy, granularity)
        results = coco.evaluate(truth, detections, granularity, engine)
        values, curves = by_hand(annotations, detections, taxonomy, granularity)
        np.testing.assert_allclose(results.values, values, atol=1e-9)
        np.testing.assert_allclose(results.precision, curves, atol=1e-9)


@pytest.mark.parametrize("engine", Engine)
def test_more_than_100_detections_of_a_class_in_an_image(engine):
    rng = np.random.default_rng(0)
    annotations = scenes.random_annotations(rng, images=1, boxes=3)
    taxonomy = annotations.taxonomy()
    detections = scenes.random_detections(rng, annotations, taxonomy, count=800)
    truth = coco.ground_truth_at(annotations, taxonomy, Granularity.GENERIC)
    results = coco.evaluate(truth, detections, Granularity.GENERIC, engine)
    values, _ = by_hand(annotations, detections, taxonomy, Granularity.GENERIC)
    np.testing.assert_allclose(results.values, values, atol=1e-9)


@pytest.mark.parametrize("engine", Engine)
def test_nothing_detected_is_zero_where_there_is_truth(engine):
    annotations = scenes.annotations_of([1, 2], [(1, 40, [0, 0, 9, 9]), (2, 0, [0, 0, 9, 9])])
    taxonomy = annotations.taxonomy()
    nothing = scenes.detections_of([], [], [], [], taxonomy)
    truth = coco.ground_truth_at(annotations, taxonomy, Granularity.SPECIES)
    results = coco.evaluate(truth, nothing, Granularity.SPECIES, engine)
    np.testing.assert_array_equal(results.values, 0)


@pytest.mark.parametrize("engine", Engine)
def test_a_class_without_truth_is_no_number_and_left_out_of_means(engine):
    full = scenes.annotations_of([1, 2], [(1, 40, [0, 0, 9, 9]), (2, 0, [0, 0, 9, 9])])
    taxonomy = full.taxonomy()
    one = full.keep_images([1])
    detections = scenes.detections_of([1, 1], [40, 0], [0.9, 0.8], [[0, 0, 9, 9]] * 2, taxonomy)
    truth = coco.ground_truth_at(one, taxonomy, Granularity.SPECIES)
    results = coco.evaluate(truth, detections, Granularity.SPECIES, engine)
    assert results.has_truth.tolist() == [False, True]  # by category id: 0, 40
    assert np.isnan(results.values[0]).all()
    np.testing.assert_allclose(results.mean(), 1.0)
    assert np.isnan(results.mean(np.array([True, False]))).all()


def test_by_hand():
    # Two images of one species. The better detection is wrong (IoU 1/3), the other one right
    # (IoU .68): precision 1/2 up to recall 1/2, 0 beyond, at the thresholds .50 .55 .60 .65.
    annotations = scenes.annotations_of([1, 2], [(1, 7, [0, 0, 10, 10]), (2, 7, [0, 0, 10, 10])])
    taxonomy = annotations.taxonomy()
    detections = scenes.detections_of(
        [1, 2], [7, 7], [0.9, 0.5], [[5, 0, 10, 10], [0, 0, 10, 6.8]], taxonomy
    )
    truth = coco.ground_truth_at(annotations, taxonomy, Granularity.SPECIES)
    results = coco.evaluate(truth, detections, Granularity.SPECIES)
    ap50 = 0.5 * 51 / 101  # the recalls 0 .. .50 are 51 of the 101
    expected = [ap50 * 4 / 10, ap50, 0.0, 0.5 * 4 / 10, 0.5 * 4 / 10]
    np.testing.assert_allclose(results.values[0], expected)
    np.testing.assert_allclose(results.precision[0], [0.5] * 51 + [0.0] * 50)
