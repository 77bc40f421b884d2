import numpy as np
import pytest
from pycocotools import mask

from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.evaluation import average_precision
from inatdet.evaluation.breakdowns import SIZES
from inatdet.evaluation.overlaps import best_of_each_image, can_change_metrics, overlaps
from inatdet.evaluation.resampling import Halves
from tests.evaluation import scenes


def scene(name, granularity, seed=0, count=300):
    rng = np.random.default_rng(seed)
    annotations = scenes.random_annotations(rng, **scenes.SCENES[name])
    taxonomy = annotations.taxonomy
    detections = scenes.random_detections(rng, annotations, taxonomy, count, ties=seed != 1)
    # Some lie nowhere near a true box, and score low, so that every class ends in false ones.
    astray = rng.uniform(size=count) < 0.3
    detections.boxes[astray] += 200
    detections.scores[~astray] += 0.1
    detections.scores[astray] *= 0.1
    truth = average_precision.ground_truth_at(annotations, taxonomy, granularity)
    return truth, average_precision.result_columns(detections, granularity)


@pytest.mark.parametrize("name", scenes.SCENES)
def test_overlaps_agree_with_pycocotools(name):
    truth, columns = scene(name, Granularity.SUPER)
    found = overlaps(truth, columns)
    for row, (image, *box, _, label) in enumerate(columns):
        mine = truth.box_images == image
        reaches = np.zeros(0, bool)
        if mine.any():
            crowd = truth.is_crowd[mine].astype(np.uint8)
            reaches = mask.iou(np.array([box]), truth.boxes[mine], crowd)[0] >= 0.5
        assert found.any_label[row] == reaches.any()
        assert found.own_label[row] == reaches[truth.labels[mine] == label].any()


@pytest.mark.parametrize("granularity", ALWAYS)
@pytest.mark.parametrize("name", scenes.SCENES)
def test_what_is_left_out_changes_no_number(name, granularity):
    left_out = 0
    for seed in range(4):
        truth, columns = scene(name, granularity, seed)
        kept = can_change_metrics(columns, overlaps(truth, columns))
        left_out += (~kept).sum()
        one, other = (average_precision.counted(truth, part) for part in (columns, columns[kept]))
        halves = Halves(truth.image_ids, 5)
        np.testing.assert_array_equal(
            *(halves.measure(truth, part) for part in (columns, columns[kept]))
        )
        for areas in ([average_precision.EVERY_AREA], list(SIZES.values())):
            average_precision.count(one, areas)
            average_precision.count(other, areas)
            for index in range(len(areas)):
                expected, found = (average_precision.class_results(e, index) for e in (one, other))
                np.testing.assert_array_equal(found.values, expected.values)
                np.testing.assert_array_equal(found.precision, expected.precision)
    assert left_out > 40


def test_which_are_left_out():
    box, far = [0, 0, 10, 10], [50, 50, 10, 10]
    annotations = scenes.annotations_of([1, 2], [(1, 40, box), (2, 0, box)])
    taxonomy = annotations.taxonomy
    rows = [  # image, species, score, box, whether it counts
        (1, 40, 0.9, far, True),  # better than the one that is right
        (1, 40, 0.5, box, True),
        (2, 40, 0.5, box, True),  # as good
        (2, 40, 0.4, box, False),  # on the box of another species
        (1, 0, 0.99, box, False),  # of a species that is nowhere right
    ]
    columns = [list(column) for column in zip(*rows)]
    found = scenes.detections_of(*columns[:4], taxonomy)
    truth = average_precision.ground_truth_at(annotations, taxonomy, Granularity.SPECIES)
    columns = average_precision.result_columns(found, Granularity.SPECIES)
    kept = can_change_metrics(columns, overlaps(truth, columns))
    assert kept.tolist() == [row[4] for row in rows]


def test_best_of_each_image():
    columns = np.zeros((6, 7))
    columns[:, 0] = [5, 3, 5, 5, 3, 5]
    columns[:, 5] = [0.1, 0.2, 0.9, 0.5, 0.2, 0.5]
    assert best_of_each_image(columns[:, 0], columns[:, 5], 2).tolist() == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]
    assert best_of_each_image(columns[:, 0], columns[:, 5], 1).tolist() == [
        False,
        True,
        True,
        False,
        False,
        False,
    ]
    assert best_of_each_image(columns[:, 0], columns[:, 5], 4).all()
    assert best_of_each_image(columns[:0][:, 0], columns[:0][:, 5], 1).tolist() == []
