"""Calibration of the best label's probability, against scikit-learn and plain Python."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from inatdet.data.granularity import Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.data.ranking import Ranked
from tests.evaluation.classification import cases
from tests.evaluation.classification.cases import SPECIES, Scene, evaluated, mean


def outcomes(scene, predictions, level):
    """Pairs of a probability and whether its label is right, of images with a guess."""
    found = predictions.ranked[level]
    rows = {i: row for row, i in enumerate(predictions.image_ids.tolist())}
    pairs = []
    for image_id, true in zip(scene.truth.image_ids.tolist(), scene.labels(level)):
        if true != NO_LABEL and image_id in rows:
            label = int(found.labels[rows[image_id], 0])
            probability = float(found.probabilities[rows[image_id], 0])
            if label or probability:
                pairs.append((probability, label == true))
    return pairs


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_bins_filled_one_by_one(seed):
    scene = Scene(seed, images=150, unlabelled=0.2)
    predictions = cases.damaged(scene.predictions(k=8), scene.rng)
    found = evaluated(scene, predictions)
    assert [row.evaluated_on for row in found.calibration] == list(scene.taxonomy.levels)
    assert [row.rule for row in found.calibration] == ["own", *["summed"] * 4]
    for row in found.calibration:
        pairs = outcomes(scene, predictions, row.evaluated_on)
        bins = [[] for _ in range(10)]
        for probability, right in pairs:
            bins[min(int(probability * 10), 9)].append((probability, right))
        gaps = [abs(mean(p for p, _ in b) - mean(r for _, r in b)) for b in bins if b]
        sizes = [len(b) for b in bins if b]
        calibration = row.calibration
        assert calibration.detections == len(pairs)
        assert calibration.ece == pytest.approx(100 * np.dot(gaps, sizes) / len(pairs))
        assert calibration.mce == pytest.approx(100 * max(gaps))
        assert calibration.mean_score == pytest.approx(100 * mean(p for p, _ in pairs))
        assert calibration.precision == pytest.approx(100 * mean(r for _, r in pairs))
        assert [b.detections for b in calibration.bins] == [len(b) for b in bins]
        assert dict(zip(row.columns, row.cells()))["ECE"] == calibration.ece


def test_the_bins_are_scikit_learns():
    scene = Scene(0, images=300)
    predictions = scene.predictions()
    (row, *_) = evaluated(scene, predictions).calibration
    pairs = outcomes(scene, predictions, SPECIES)
    right, confidence = calibration_curve([r for _, r in pairs], [p for p, _ in pairs], n_bins=10)
    filled = [b for b in row.calibration.bins if b.detections]
    assert [b.precision for b in filled] == pytest.approx(100 * right)
    assert [b.mean_score for b in filled] == pytest.approx(100 * confidence)


def test_images_without_a_guess_have_no_probability():
    scene = Scene(0)
    predictions = scene.predictions()
    labels, values = predictions.own.labels.copy(), predictions.own.probabilities.copy()
    labels[0], values[0] = NO_LABEL, 0.0  # no guess
    labels[1, 0] = NO_LABEL  # a guess of a label that the label spaces do not have
    predictions = replace(predictions, ranked={SPECIES: Ranked(labels, values)})
    (row,) = (r for r in evaluated(scene, predictions).calibration if r.rule == "own")
    assert row.calibration.detections == len(scene.truth) - 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda values: None, "in which order labels are, but not how probable"),
        (lambda values: values * 3, "probabilities are below 0 or above 1"),
        (lambda values: values - 0.5, "probabilities are below 0 or above 1"),
    ],
)
def test_says_why_there_is_none(change, reason):
    scene = Scene(0)
    predictions = scene.predictions(k=8)
    ranked = {
        level: Ranked(found.labels, change(found.probabilities))
        for level, found in predictions.ranked.items()
    }
    found = evaluated(scene, replace(predictions, ranked=ranked))
    assert reason in {row.what: row.reason for row in found.left_out}["calibration"]
    assert SPECIES not in [row.evaluated_on for row in found.calibration]
    assert all(np.isnan(row.mean_confidence) for row in found.per_class)
    assert Granularity("genus") in [row.evaluated_on for row in found.ladder]
