import numpy as np
import pytest

from inatdet.data.granularity import Granularity
from inatdet.evaluation import average_precision, confusions
from inatdet.evaluation.average_precision import OVERALL
from inatdet.evaluation.matching import Labelled
from tests.evaluation import scenes

SPECIES = Granularity.SPECIES


def matrix_of(annotations, taxonomy, detections):
    truth = average_precision.ground_truth_at(annotations, taxonomy, SPECIES)
    columns = average_precision.result_columns(detections, SPECIES)
    return confusions.answers(Labelled.of(truth, columns))


def by_hand(annotations, taxonomy, detections):
    """Detections, best first, each take the free true box that they overlap most, from IoU .5."""
    count = taxonomy.num_labels(SPECIES)
    matrix = np.zeros((count + 1, count + 1), int)
    label_of = taxonomy.label_of_category(SPECIES)
    for image in annotations.images:
        mine = np.flatnonzero(annotations.image_ids == image.id)
        free = mine.tolist()
        rows = np.flatnonzero((detections.image_ids == image.id) & (detections.labels[SPECIES] > 0))
        for row in rows[np.argsort(-detections.scores[rows], kind="stable")]:
            x, y, w, h = detections.boxes[row]
            overlaps = []
            for box in free:
                a, b, c, d = annotations.boxes[box]
                shared = max(min(x + w, a + c) - max(x, a), 0) * max(
                    min(y + h, b + d) - max(y, b), 0
                )
                overlaps.append(shared / (w * h + c * d - shared))
            label = detections.labels[SPECIES][row] - 1
            if overlaps and max(overlaps) >= 0.5:
                box = free.pop(int(np.argmax(overlaps)))
                matrix[label_of[int(annotations.category_ids[box])] - 1, label] += 1
            else:
                matrix[count, label] += 1
        for box in free:
            matrix[label_of[int(annotations.category_ids[box])] - 1, count] += 1
    return matrix[:-1]


@pytest.mark.parametrize("seed", range(10))
def test_answers_against_plain_loops(seed):
    rng = np.random.default_rng(seed)
    annotations = scenes.random_annotations(rng, images=10, boxes=15)
    taxonomy = annotations.taxonomy
    detections = scenes.random_detections(rng, annotations, taxonomy, 150, ties=False)
    expected = by_hand(annotations, taxonomy, detections)
    np.testing.assert_array_equal(matrix_of(annotations, taxonomy, detections), expected)


@pytest.mark.parametrize("seed", range(4))
def test_only_the_best_100_of_an_image_answer(seed):
    rng = np.random.default_rng(seed)
    annotations = scenes.random_annotations(rng, images=3, boxes=12)
    taxonomy = annotations.taxonomy
    detections = scenes.random_detections(rng, annotations, taxonomy, 800, ties=True)
    truth = average_precision.ground_truth_at(annotations, taxonomy, SPECIES)
    everything = average_precision.loaded(
        truth, average_precision.result_columns(detections, SPECIES)
    )
    expected = everything.confusion_matrix(iou_thr=0.5, max_det=100)["matrix"][:-1]
    np.testing.assert_array_equal(matrix_of(annotations, taxonomy, detections), expected)


BOX = [0, 0, 10, 10]


def small():
    # 40 and 7 are birds, 0 and 3 insects.
    annotations = scenes.annotations_of(
        range(5), [(0, 40, BOX), (1, 40, BOX), (2, 40, BOX), (3, 0, BOX), (4, 7, BOX)]
    )
    taxonomy = annotations.taxonomy
    found = scenes.detections_of(
        [0, 0, 1, 2, 3], [40, 7, 7, 0, 40], [0.9, 0.8, 0.7, 0.6, 0.5], [BOX] * 5, taxonomy
    )
    return taxonomy, matrix_of(annotations, taxonomy, found)


def test_pairs():
    taxonomy, matrix = small()
    rows = confusions.confusions(matrix, taxonomy)
    found = {(row.species.name, row.taken_for.name): (row.boxes, row.share) for row in rows}
    assert found == {
        ("a", "c"): (1, pytest.approx(100 / 3)),
        ("a", "b"): (1, pytest.approx(100 / 3)),
        ("b", "a"): (1, pytest.approx(100)),
    }


def test_hierarchy():
    taxonomy, matrix = small()
    rows = {row.super_class: row.cells()[1:] for row in confusions.hierarchy_rows(matrix, taxonomy)}
    # Birds: one right, one another bird, one an insect, one not found. The insect: a bird.
    assert rows["Aves"] == (4, *([pytest.approx(25)] * 4), pytest.approx((50 + 100) / 3))
    assert rows["Insecta"] == (1, 0, 0, 100, 0, 100)
    assert rows[OVERALL] == (5, *map(pytest.approx, (20, 20, 40, 20, (50 + 200) / 4)))


def test_boxes_without_any_answer():
    annotations = scenes.annotations_of([0], [(0, 40, BOX)])
    taxonomy = annotations.taxonomy
    nothing = scenes.detections_of([], [], [], [], taxonomy)
    matrix = matrix_of(annotations, taxonomy, nothing)
    assert confusions.confusions(matrix, taxonomy) == ()
    row = confusions.hierarchy_rows(matrix, taxonomy)[-1]
    assert row.not_found == 100
    assert np.isnan(row.hierarchical_error)
