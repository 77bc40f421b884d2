import numpy as np
import pytest

from inatdet.data.granularity import ALWAYS
from inatdet.detection.detector_config import DetectionsConfig, FasterRCNNConfig
from inatdet.detection.per_class import ClassLimits, lift_limits
from tests import records

DEFAULTS = DetectionsConfig()


@pytest.mark.parametrize(
    ("before", "limits", "after"),
    [
        ({}, (0, 0), {}),
        ({"min_score": 0.1}, (0, 400), {"max_detections": 400, "candidates": 4000}),
        ({"candidates": 9000}, (0, 400), {"max_detections": 400, "candidates": 9000}),
        ({"min_score": 0.1}, (9, 0),
         {"min_score": 0.0, "max_per_class": 1000, "max_detections": 1000, "candidates": 10_000}),
        ({"max_detections": 2000}, (9, 0),
         {"max_per_class": 2000, "max_detections": 2000, "candidates": 20_000}),
        ({"max_detections": 2000}, (9, 50),
         {"max_per_class": 50, "max_detections": 50, "candidates": 3000}),
    ],
)  # fmt: skip
def test_limits_are_lifted(before, limits, after):
    config = DetectionsConfig(**before)
    lift_limits(config, *limits)
    assert config.as_dict() == DEFAULTS.as_dict() | before | after


def limits_of(counts, most, candidates=3000, images=40):
    config = FasterRCNNConfig()
    config.detections.candidates = candidates
    limits = ClassLimits(config, records.taxonomy(), ALWAYS, most, images)
    labels = np.repeat([1, 2, 3], counts)
    limits.best[0].append(labels, labels, np.ones(len(labels)), np.zeros((len(labels), 4)))
    return limits


def test_which_setting_gives_more():
    note = limits_of([10, 4, 2], 10).shortfall(at_limit=7)
    assert note.startswith("note: 2 of 3 species classes have fewer detections than they may, half")
    assert "half of these 3 or fewer, and 7 images have all 300 that an image may have" in note
    assert note.endswith("a higher --most_per_image gives more")
    note = limits_of([10, 4, 2], 10, candidates=20).shortfall(at_limit=0)
    assert "as 20 candidates of an image go into the suppression" in note
    assert note.endswith("a higher task.model.detections.candidates gives more")


def test_silence_where_nothing_gives_more():
    assert limits_of([10, 10, 11], 10).shortfall(at_limit=7) == ""
    assert limits_of([10, 4, 2], 10, candidates=900).shortfall(at_limit=0) == ""  # all pairs


def test_no_more_room_than_detections():
    # 10^15 rows would be refused.
    limits = limits_of([10, 4, 2], 10**15)
    assert limits.best[0].counts.tolist() == [10, 4, 2]
    assert "3 of 3 species" in limits.shortfall(at_limit=1)
