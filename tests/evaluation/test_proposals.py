import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import inatdet
from inatdet.data.detections import PROPOSALS
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.average_precision import ground_truth_at, result_columns
from inatdet.evaluation.breakdowns import SIZES
from inatdet.evaluation.matching import Labelled
from inatdet.evaluation.proposals import ALL_SIZES, MOST, proposal_rows, recalls
from inatdet.evaluation.resampling import Halves
from tests.evaluation import scenes

GENERIC = Granularity.GENERIC
TAXONOMY = Taxonomy.from_categories(scenes.CATEGORIES, set(scenes.BOXABLE.tolist()))


def labelled(annotations, found):
    truth = ground_truth_at(annotations, TAXONOMY, GENERIC)
    return Labelled.of(truth, result_columns(found, GENERIC))


def by_pycocotools(annotations, found):
    """Recall by number of proposals and size, in percent, with classes left out of account."""
    truth = {
        "images": [{"id": image.id} for image in annotations.images],
        "categories": [{"id": 1}],
        "annotations": [
            {"id": n + 1, "image_id": int(i), "category_id": 1, "bbox": b.tolist(),
             "area": float(a), "iscrowd": int(k)}
            for n, (i, b, a, k) in enumerate(
                zip(annotations.image_ids, annotations.boxes, annotations.areas,
                    annotations.is_crowd)
            )
        ],
    }  # fmt: skip
    results = [
        {"image_id": int(i), "category_id": 1, "bbox": b.tolist(), "score": float(s)}
        for i, b, s in zip(found.image_ids, found.boxes, found.scores)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = truth
        gt.createIndex()
        run = COCOeval(gt, gt.loadRes(results), "bbox")
        run.params.maxDets = list(MOST)
        run.params.areaRng = [[0, 1e10], *map(list, SIZES.values())]
        run.params.areaRngLbl = [ALL_SIZES, *SIZES]
        run.evaluate()
        run.accumulate()
    recall = np.where(run.eval["recall"] < 0, np.nan, 100 * run.eval["recall"])[:, 0]
    return {
        (most, size): (recall[0, j, k], recall[:, j, k].mean())
        for j, size in enumerate(run.params.areaRngLbl)
        for k, most in enumerate(MOST)
    }


@pytest.mark.parametrize("scene", scenes.SCENES)
@pytest.mark.parametrize("count", [40, 900])
def test_recall_agrees_with_pycocotools(scene, count):
    rng = np.random.default_rng(count)
    annotations = scenes.random_annotations(rng, **scenes.SCENES[scene])
    annotations = replace(
        annotations, areas=annotations.areas * rng.choice([1, 5, 40], len(annotations.areas))
    )
    found = scenes.random_detections(rng, annotations, TAXONOMY, count=count)
    expected = by_pycocotools(annotations, found)
    rows = proposal_rows(labelled(annotations, found), Halves(np.arange(2), 0))
    assert len(rows) == len(expected) == len(MOST) * (1 + len(SIZES))
    for row in rows:
        np.testing.assert_allclose((row.AR50, row.AR), expected[row.most, row.size], err_msg=row)


def test_standard_errors_are_those_of_counting_again_on_each_half():
    rng = np.random.default_rng(0)
    annotations = scenes.random_annotations(rng, images=30, boxes=40)
    found = scenes.random_detections(rng, annotations, TAXONOMY, count=300)
    ids = np.array([image.id for image in annotations.images])
    halves = Halves(ids, 5)
    whole = labelled(annotations, found)
    measured = {(one.most, one.size): one for one in recalls(whole, halves)}
    for half in range(5):
        inside = np.sort(ids)[halves.parts[:, half]]
        truth = whole.truth.in_images(inside)
        columns = result_columns(found.select(np.isin(found.image_ids, inside)), GENERIC)
        for one in recalls(Labelled.of(truth, columns), Halves(inside, 0)):
            expected = measured[one.most, one.size].values[:, 1 + half]
            np.testing.assert_allclose(one.values[:, 0], expected)
    (row, *_) = proposal_rows(whole, halves)
    assert row.AR.std_err == pytest.approx(halves.std_err(measured[1, ALL_SIZES].values[1, 1:]))


def test_without_boxes_or_proposals():
    rng = np.random.default_rng(0)
    annotations = scenes.random_annotations(rng, images=3, boxes=0)
    found = scenes.random_detections(rng, annotations, TAXONOMY, count=5)
    rows = proposal_rows(labelled(annotations, found), Halves(np.arange(3), 0))
    assert all(row.boxes == 0 and np.isnan(row.AR) for row in rows)
    annotations = scenes.random_annotations(rng, images=3, boxes=4)
    found = scenes.random_detections(rng, annotations, TAXONOMY, count=0)
    rows = proposal_rows(labelled(annotations, found), Halves(np.arange(3), 0))
    assert {row.AR for row in rows if row.size == ALL_SIZES} == {0.0}


def test_the_report_of_a_file_of_proposals_has_their_recall():
    rng = np.random.default_rng(3)
    annotations = scenes.random_annotations(rng, images=20, boxes=20)
    some = scenes.random_detections(rng, annotations, annotations.taxonomy, count=60)
    given = {
        "image_ids": some.image_ids,
        "labels": np.ones(len(some), int),
        "scores": some.scores,
        "boxes": some.boxes,
        "granularity": GENERIC,
        "taxonomy": annotations.taxonomy,
    }
    found = inatdet.Detections.from_arrays(**given, settings={PROPOSALS: 300})
    report = inatdet.evaluate(annotations, found, resamples=10, all_images=True)
    row = report.proposals["300", "all"]
    assert row.boxes == 20
    assert row.AR50 >= row.AR >= report.proposals["1", "all"].AR
    assert row.AR.margin > 0
    assert "Recall of proposals" in str(report)
    assert "proposals,300 all,AR50," in report.intervals.to_csv()
    plain = inatdet.Detections.from_arrays(**given)
    assert not len(inatdet.evaluate(annotations, plain, all_images=True).proposals)
