import numpy as np

from inatdet.data.box_choice import BoxChoice
from inatdet.data.boxes import iou
from inatdet.data.detections import Detections
from tests import records


def detections(image_ids, scores, boxes):
    return Detections.from_arrays(
        image_ids, np.ones(len(scores), int), scores, boxes, "generic", taxonomy=records.taxonomy()
    )


def by_hand(found, choice):
    """The same choice, one box after another."""
    kept = []
    for row in np.lexsort((np.arange(len(found)), -found.scores)).tolist():
        others = [k for k in kept if found.image_ids[k] == found.image_ids[row]]
        overlaps = [float(iou(found.boxes[[row]], found.boxes[k])[0]) for k in others]
        if (
            found.scores[row] >= choice.min_score
            and len(others) < choice.most
            and all(overlap <= choice.iou for overlap in overlaps)
        ):
            kept.append(row)
    return sorted(kept)


def test_boxes_are_chosen_as_by_hand():
    rng = np.random.default_rng(0)
    for _ in range(20):
        count = int(rng.integers(0, 40))
        found = detections(
            rng.integers(0, 4, count),
            rng.integers(0, 9, count) / 8,  # with ties
            rng.integers(0, 6, (count, 4)) + [0, 0, 1, 1],
        )
        choice = BoxChoice(min_score=0.25, most=int(rng.integers(1, 6)), iou=0.4)
        assert choice.rows(found).tolist() == by_hand(found, choice)


def test_the_same_box_under_two_labels_is_seen_once():
    found = Detections.from_arrays(
        [5, 5], [1, 2], [0.3, 0.6], [[0, 0, 4, 4]] * 2, taxonomy=records.taxonomy()
    )
    assert BoxChoice().rows(found).tolist() == [1]
