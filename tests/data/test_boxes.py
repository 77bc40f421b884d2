"""Tests of overlaps, against plain Python."""

import numpy as np
import pytest

from inatdet.data import boxes as box_math


def shared_area(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0)


def iou(a, b):
    union = a[2] * a[3] + b[2] * b[3] - shared_area(a, b)
    return shared_area(a, b) / union if union else 0.0


@pytest.fixture
def pairs():
    """Two boxes `[200, 4]` of each pair, many of which overlap; some have no area."""
    rng = np.random.default_rng(0)
    first = np.concatenate([rng.uniform(0, 10, (200, 2)), rng.uniform(5, 20, (200, 2))], axis=1)
    second = first + rng.normal(0, 2, first.shape)
    second[::10, 2:] = 0
    second[::20] = first[::20]
    first[::40, 2:] = second[::40, 2:] = 0
    return first, np.concatenate([second[:, :2], np.maximum(second[:, 2:], 0)], axis=1)


def test_right_detections_overlap_a_true_box_of_their_label(pairs):
    boxes, true_boxes = pairs[0], pairs[1][:20]
    labels, true_labels = np.arange(200) % 3, np.arange(20) % 3
    expected = [
        any(
            label == true and iou(box, other) >= 0.5
            for other, true in zip(true_boxes.tolist(), true_labels)
        )
        for box, label in zip(boxes.tolist(), labels)
    ]
    found = box_math.are_right(boxes, labels, true_boxes, true_labels)
    assert found.tolist() == expected and 0 < sum(expected) < 200
    one = box_math.are_right(boxes, labels, true_boxes[:1], np.int64(1))
    assert one.tolist() == [
        label == 1 and iou(box, true_boxes[0]) >= 0.5 for box, label in zip(boxes, labels)
    ]


def test_of_a_crowd_the_share_of_the_box_counts(pairs):
    is_crowd = np.arange(200) % 4 == 0
    found = box_math.iou(*pairs, is_crowd)
    for value, box, true, crowd in zip(found.tolist(), *pairs, is_crowd):
        area = box[2] * box[3]
        share = shared_area(box, true) / area if area else 0.0
        assert value == pytest.approx(share if crowd else iou(box, true))
