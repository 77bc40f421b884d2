import numpy as np
import pytest
from pycocotools import mask

from inatdet.data.granularity import Granularity
from inatdet.evaluation import average_precision
from inatdet.evaluation.overlaps import best_of_each_image, on_own_label
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
    found = on_own_label(truth, columns)
    for row, (image, *box, _, label) in enumerate(columns):
        mine = truth.box_images == image
        reaches = np.zeros(0, bool)
        if mine.any():
            crowd = truth.is_crowd[mine].astype(np.uint8)
            reaches = mask.iou(np.array([box]), truth.boxes[mine], crowd)[0] >= 0.5
        assert found[row] == reaches[truth.labels[mine] == label].any()


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
