import contextlib
import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from inatdet.data.best_of_classes import limits_at
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.evaluation import average_precision
from inatdet.evaluation.fixed import best_of_each_class, fixed_row
from inatdet.evaluation.granularities import Merge
from inatdet.evaluation.matching import Labelled
from inatdet.evaluation.resampling import Estimate, Halves
from tests.evaluation import cases, scenes
from tests.evaluation.reference import iou

SPECIES = Granularity.SPECIES
THRESHOLDS = np.arange(50, 100, 5) / 100


def measured(annotations, detections, most, level=SPECIES, halves=0):
    taxonomy = annotations.taxonomy
    truth = average_precision.ground_truth_at(annotations, taxonomy, level)
    columns = average_precision.result_columns(detections, level)
    limits = limits_at(taxonomy, level, most)
    key = (SPECIES, level, Merge.NONE)
    return fixed_row(key, Labelled.of(truth, columns), limits, Halves(truth.image_ids, halves), 0.0)


# The definition once more, in loops: cut each class over all images, match, draw the curves.


def best(detections, limits, level):
    """The rows that count, by class: of equal scores the smaller image id, then the earlier row."""
    labels = detections.labels[level]
    kept = {}
    for label, limit in enumerate(limits.tolist(), 1):
        rows = [row for row in range(len(labels)) if labels[row] == label]
        rows.sort(key=lambda row: (-detections.scores[row], detections.image_ids[row], row))
        kept[label] = rows[:limit]
    return kept


def share_on(box, crowd):
    """The share of a box that lies on a crowd, which has no IoU of its own."""
    x = min(box[0] + box[2], crowd[0] + crowd[2]) - max(box[0], crowd[0])
    y = min(box[1] + box[3], crowd[1] + crowd[3]) - max(box[1], crowd[1])
    return max(x, 0) * max(y, 0) / (box[2] * box[3]) if box[2] * box[3] else 0.0


def outcomes(detections, rows, boxes, threshold):
    """Whether each row is right (True), wrong (False) or ignored (None); boxes of its class."""
    taken, found = set(), []
    for row in rows:
        own = [n for n, box in enumerate(boxes) if box[0] == detections.image_ids[row]]
        overlaps = {}
        for n in own:
            _, box, crowd = boxes[n]
            overlaps[n] = (share_on if crowd else iou)(detections.boxes[row], box)
        free = [n for n in own if n not in taken and not boxes[n][2] and overlaps[n] >= threshold]
        if free:
            taken.add(max(free, key=lambda n: (overlaps[n], n)))
            found.append(True)
        else:
            crowds = [n for n in own if boxes[n][2] and overlaps[n] >= threshold]
            found.append(None if crowds else False)
    return found


def area(results, boxes):
    """Interpolated at 101 recalls; `results` is best first, `boxes` how many there are to find."""
    right, wrong, points = 0, 0, []
    for result in results:
        right += result is True
        wrong += result is False
        if right + wrong:
            points.append((right / boxes, right / (right + wrong)))
    steps = np.linspace(0, 1, 101)
    return np.mean([max((p for r, p in points if r >= step), default=0.0) for step in steps])


def by_definition(annotations, detections, most, level):
    """AP-Fixed, the same at IoU .5, AP-Pool, the same at .5; in percent."""
    taxonomy = annotations.taxonomy
    limits = limits_at(taxonomy, level, most)
    kept = best(detections, limits, level)
    known = taxonomy.label_of_category(level)
    boxes = {label: [] for label in kept}
    for image, category, box, crowd in zip(
        annotations.image_ids, annotations.category_ids, annotations.boxes, annotations.is_crowd
    ):
        if int(category) in known:
            boxes[known[int(category)]].append((image, box, crowd))
    totals = {label: sum(not crowd for _, _, crowd in own) for label, own in boxes.items()}
    fixed, pool = [], []
    for threshold in THRESHOLDS:
        ranked, areas = [], []
        for label, rows in kept.items():
            results = outcomes(detections, rows, boxes[label], threshold)
            order = [(-detections.scores[r], detections.image_ids[r], label, r) for r in rows]
            ranked += zip(order, results)
            if totals[label]:
                areas.append(area(results, totals[label]))
        if not areas:
            return [np.nan] * 4
        fixed.append(np.mean(areas))
        ranked.sort(key=lambda pair: pair[0])
        pool.append(area([result for _, result in ranked], sum(totals.values())))
    return [100 * value for value in (np.mean(fixed), fixed[0], np.mean(pool), pool[0])]


@pytest.mark.parametrize("level", ALWAYS)
@pytest.mark.parametrize("name", scenes.SCENES)
@pytest.mark.parametrize("most", [1, 7, 10_000])
def test_scenes_are_measured_as_defined(name, level, most):
    rng = np.random.default_rng(most)
    annotations = scenes.random_annotations(rng, **scenes.SCENES[name])
    detections = scenes.random_detections(rng, annotations, annotations.taxonomy, 150)
    row = measured(annotations, detections, most, level)
    expected = by_definition(annotations, detections, most, level)
    np.testing.assert_allclose(row.values, expected, rtol=0, atol=1e-9)


@settings(
    derandomize=True, deadline=None, max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
@given(cases.cases(), st.sampled_from([1, 2, 100]), st.sampled_from(ALWAYS))
def test_ties_and_edges_are_measured_as_defined(case, most, level):
    row = measured(*case, most, level)
    expected = by_definition(*case, most, level)
    np.testing.assert_allclose(row.values, expected, rtol=0, atol=1e-9)


def by_pycocotools(annotations, detections, most, level):
    """AP-Fixed and the same at IoU .5: pycocotools without limit after cutting each class."""
    taxonomy = annotations.taxonomy
    known = taxonomy.label_of_category(level)
    labels = range(1, taxonomy.num_labels(level) + 1)
    kept = best(detections, limits_at(taxonomy, level, most), level)
    rows = sorted(row for own in kept.values() for row in own)
    dataset = {
        "images": [{"id": image.id} for image in annotations.images],
        "categories": [{"id": label} for label in labels],
        "annotations": [
            {"id": n, "image_id": int(i), "category_id": known[int(c)], "bbox": box.tolist(),
             "area": 100.0, "iscrowd": int(crowd)}
            for n, (i, c, box, crowd) in enumerate(
                zip(annotations.image_ids, annotations.category_ids, annotations.boxes,
                    annotations.is_crowd), 1)
        ],
    }  # fmt: skip
    found = [
        {"image_id": int(detections.image_ids[r]), "score": float(detections.scores[r]),
         "category_id": int(detections.labels[level][r]), "bbox": detections.boxes[r].tolist()}
        for r in rows
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dataset
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(found), "bbox")
        run.params.maxDets = [len(detections)]
        run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][..., 0, 0]
    precision = precision[:, :, precision[0, 0] >= 0]
    return 100 * precision.mean(), 100 * precision[0].mean()


@pytest.mark.parametrize("level", ALWAYS)
@pytest.mark.parametrize("most", [3, 40, 10_000])
@pytest.mark.parametrize("name", ["usual", "crowds", "many boxes an image"])
def test_ap_fixed_is_what_pycocotools_counts_without_limit(name, level, most):
    # At the coarse levels, an image has more than the 100 detections that COCO counts.
    rng = np.random.default_rng(1)
    annotations = scenes.random_annotations(rng, **scenes.SCENES[name])
    detections = scenes.random_detections(rng, annotations, annotations.taxonomy, 500)
    row = measured(annotations, detections, most, level)
    expected = by_pycocotools(annotations, detections, most, level)
    np.testing.assert_allclose(row.values[:2], expected, rtol=0, atol=1e-9)


def test_the_limit_of_coco_does_not_count():
    # 150 better detections of the class in the image, and only then the right one.
    annotations = scenes.annotations_of([1], [(1, 7, [0, 0, 10, 10])])
    boxes = [[50, 50, 5, 5]] * 150 + [[0, 0, 10, 10]]
    scores = [0.9] * 150 + [0.1]
    found = scenes.detections_of([1] * 151, [7] * 151, scores, boxes, annotations.taxonomy)
    row = measured(annotations, found, 10_000)
    assert row.values == pytest.approx([100 / 151] * 4)
    assert measured(annotations, found, 150).values == (0, 0, 0, 0)


def test_scores_of_other_classes_matter_for_the_pool_alone():
    annotations = scenes.annotations_of([1, 2], [(1, 7, [0, 0, 10, 10]), (2, 40, [0, 0, 10, 10])])
    right = ([1, 2], [7, 40], [[0, 0, 10, 10]] * 2)

    def row(wrong_score):
        # A wrong detection of the second class, below its right one; then of a boxless one.
        ids, species, boxes = right
        found = scenes.detections_of(
            [*ids, 1], [*species, 40], [0.3, 0.9, wrong_score], [*boxes, [50, 50, 5, 5]],
            annotations.taxonomy,
        )  # fmt: skip
        return measured(annotations, found, 10_000)

    assert row(0.1).values == pytest.approx([100] * 4)
    confident = row(0.5)
    assert confident.AP_fixed == pytest.approx(100)
    # Recall of one half at full precision, 51 of 101 recalls, then 2 of 3.
    assert confident.AP_pool == pytest.approx((51 + 50 * 2 / 3) / 1.01)


def test_counts_of_classes():
    annotations = scenes.annotations_of(
        [1, 2], [(1, 7, [0, 0, 9, 9]), (2, 40, [0, 0, 9, 9]), (2, 3, [0, 0, 9, 9])]
    )
    species = [7] * 5 + [40] * 3  # none of the third
    found = scenes.detections_of(
        [1] * 8, species, np.linspace(0.1, 0.9, 8), [[0, 0, 9, 9]] * 8, annotations.taxonomy
    )
    row = measured(annotations, found, 4)
    assert (row.detections, row.per_class, row.full_classes) == (7, 3, 1)
    row = measured(annotations, found, 4, Granularity.SUPER)  # 8 of the birds, which are 2 species
    assert (row.detections, row.per_class, row.full_classes) == (8, 4, 1)
    row = measured(annotations, found.select(np.zeros(8, bool)), 4)
    assert (row.detections, row.per_class, row.full_classes) == (0, 0, 0)
    assert row.values == (0, 0, 0, 0)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("level", ALWAYS)
def test_standard_errors_come_from_the_halves_counted_alone(level, ties):
    rng = np.random.default_rng(0)
    annotations = scenes.random_annotations(rng, images=24, boxes=40, crowds=0.2)
    detections = scenes.random_detections(rng, annotations, annotations.taxonomy, 200, ties)
    most = 10_000  # what counts would depend on the half with a limit that cuts
    row = measured(annotations, detections, most, level, halves=5)
    ids = np.array([image.id for image in annotations.images])
    rng = np.random.default_rng(0)
    alone = []
    for _ in range(5):
        half = rng.permutation(ids)[: len(ids) // 2]
        part = detections.select(np.isin(detections.image_ids, half))
        kept = annotations.keep_images(half)  # with the labels of all images
        truth = average_precision.ground_truth_at(kept, annotations.taxonomy, level)
        columns = average_precision.result_columns(part, level)
        limits = limits_at(annotations.taxonomy, level, most)
        key = (SPECIES, level, Merge.NONE)
        labelled = Labelled.of(truth, columns)
        alone.append(fixed_row(key, labelled, limits, Halves(half, 0), 0.0).values)
    assert all(isinstance(value, Estimate) for value in row.values)
    errors = [value.std_err for value in row.values]
    np.testing.assert_allclose(errors, np.std(alone, axis=0), rtol=1e-9)
    plain = measured(annotations, detections, most, level).values
    assert not any(isinstance(value, Estimate) for value in plain)
    np.testing.assert_allclose(row.values, plain, rtol=0, atol=1e-12)


def test_a_limit_that_nothing_reaches_changes_nothing():
    rng = np.random.default_rng(0)
    annotations = scenes.random_annotations(rng)
    detections = scenes.random_detections(rng, annotations, annotations.taxonomy)
    truth = average_precision.ground_truth_at(annotations, annotations.taxonomy, SPECIES)
    columns = average_precision.result_columns(detections, SPECIES)
    ranked = Labelled.of(truth, columns, most=None).ranked
    sizes = np.diff(ranked.starts)
    assert best_of_each_class(ranked, sizes) is ranked
    assert (np.diff(best_of_each_class(ranked, sizes // 2).starts) == sizes // 2).all()
