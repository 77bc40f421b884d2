import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from inatdet.data.categories import Category
from inatdet.data.counts import TrainingCounts
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation import average_precision, breakdowns
from inatdet.evaluation.average_precision import ClassResults
from inatdet.evaluation.matching import Labelled
from tests.evaluation import scenes

SPECIES = Granularity.SPECIES


def test_sizes_agree_with_pycocotools():
    # Boxes of 5 to 150 pixels a side, so that all of COCO's sizes are there.
    rng = np.random.default_rng(1)
    rows = []
    for image in range(20):
        side = rng.uniform(5, 150, 2)
        rows.append((image, int(rng.choice(scenes.BOXABLE)), [3, 4, *side]))
    annotations = scenes.annotations_of(range(20), rows)
    taxonomy = annotations.taxonomy
    detections = scenes.random_detections(rng, annotations, taxonomy, 300)
    truth = average_precision.ground_truth_at(annotations, taxonomy, SPECIES)
    columns = average_precision.result_columns(detections, SPECIES)

    reference = COCO()
    reference.dataset = {
        "images": [{"id": i} for i in range(20)],
        "categories": [{"id": i + 1} for i in range(truth.num_labels)],
        "annotations": [
            {"id": n + 1, "image_id": int(i), "category_id": int(c), "bbox": b.tolist(),
             "area": float(a), "iscrowd": 0}
            for n, (i, c, b, a) in enumerate(
                zip(truth.box_images, truth.labels, truth.boxes, truth.areas)
            )
        ],
    }  # fmt: skip
    reference.createIndex()
    evaluation = COCOeval(reference, reference.loadRes(columns), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    found = breakdowns.size_rows(Labelled.of(truth, columns), SPECIES)
    # pycocotools' own summary: AP small, medium, large.
    np.testing.assert_allclose(
        [row.values[0] for row in found], 100 * evaluation.stats[3:6], atol=1e-9
    )
    areas = truth.areas
    assert [row.boxes for row in found] == [
        (areas <= 1024).sum(), ((areas >= 1024) & (areas <= 9216)).sum(), (areas >= 9216).sum(),
    ]  # fmt: skip
    assert min(row.boxes for row in found) > 0


def test_bins_of_training_images():
    categories = [Category(i, f"s{i}", "Aves") for i in range(6)]
    taxonomy = Taxonomy.from_categories(categories, range(6))
    values = np.array([[v] * 5 for v in (0.1, 0.2, 0.4, np.nan, 0.8, 0.6)])
    results = ClassResults(values, np.zeros((6, 101)))
    images = {1: 10, 2: 19, 3: 15, 4: 1000, 5: 2345}  # the first one was never seen
    rows = breakdowns.training_rows(results, taxonomy, TrainingCounts({}, images))
    assert [(row.train_images, row.classes, row.values[0]) for row in rows] == [
        ("0", 1, pytest.approx(10)),
        ("10-19", 2, pytest.approx(30)),
        ("1000+", 2, pytest.approx(70)),
    ]


def test_training_counts_boxes_and_images():
    boxes = [(1, 7), (1, 7), (2, 7), (2, 0)]
    annotations = scenes.annotations_of([1, 2], [(*row, [0, 0, 9, 9]) for row in boxes])
    counts = TrainingCounts.of(annotations)
    assert counts.boxes == {7: 3, 0: 1}
    assert counts.images == {7: 2, 0: 1}
