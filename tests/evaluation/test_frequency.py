"""Rare, common and frequent species."""

import math

import numpy as np
import pytest

from inatdet.data.categories import Category
from inatdet.data.counts import TrainingCounts
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation import results as numbers_of
from inatdet.evaluation.frequency import LVIS, ImageBins, bins_of
from inatdet.evaluation.protocol import prepare
from tests.evaluation import scenes


def frequencies(images, borders=LVIS):
    """The ranges of some numbers of training images."""
    categories = [Category(i, f"s{i}", "Aves") for i in range(len(images))]
    taxonomy = Taxonomy.from_categories(categories, range(len(images)))
    bins = bins_of(borders)
    # A species that was never seen has no entry.
    counts = TrainingCounts({}, {i: n for i, n in enumerate(images) if n})
    return [bins.names[place] for place in bins.of_species(taxonomy, counts)]


def test_bins_are_those_of_lvis():
    numbers = [0, 1, 10, 11, 100, 101, 5000]
    assert frequencies(numbers) == ["0", "1-10", "1-10", "11-100", "11-100", "101+", "101+"]


def test_other_bins():
    assert frequencies([0, 1, 2, 3, 4], (1, 3)) == ["0", "1", "2-3", "2-3", "4+"]
    assert ImageBins((0, 20)).names == ("0-19", "20+")


@pytest.mark.parametrize("borders", [(), (10,), (1, 2, 3), (0, 5), (5, 5), (100, 10), (-3, 2)])
def test_bad_bins_are_refused(borders):
    with pytest.raises(
        InputError, match=r"must be two rising whole numbers from 1 on, .* such as 10,100"
    ):
        bins_of(borders)
    rng = np.random.default_rng(0)
    annotations = scenes.random_annotations(rng)
    found = scenes.random_detections(rng, annotations, annotations.taxonomy)
    with pytest.raises(InputError, match="frequency_bins="):
        numbers_of.evaluate(prepare(annotations, [found]), frequency_bins=borders)


@pytest.fixture(scope="module")
def results():
    """Of five species with a box: 0, 3, 3, 50 and 500 training images."""
    rng = np.random.default_rng(7)
    annotations = scenes.random_annotations(rng, images=40, boxes=90)
    found = scenes.random_detections(rng, annotations, annotations.taxonomy, 500)
    images = dict(zip(scenes.BOXABLE.tolist(), [0, 3, 3, 50, 500]))
    return numbers_of.evaluate(
        prepare(annotations, [found], all_images=True),
        training=TrainingCounts({}, images),
        errors=False,
        resamples=20,
    )


def test_measures_are_means_over_the_species(results):
    by_id = {row.category.id: row for row in results.per_class}
    members = ([40], [0, 7], [3], [12])
    assert [row.frequency for row in results.frequency] == ["none", "rare", "common", "frequent"]
    for row, ids in zip(results.frequency, members):
        assert row.classes == len(ids)
        expected = np.mean([by_id[i].values for i in ids], axis=0)
        np.testing.assert_allclose(row.values, expected, atol=1e-9)
        assert all(value.std_err > 0 for value in row.values)


def test_calibration_is_that_of_the_species_together(results):
    whole = results.calibration[0].calibration
    parts = [row.calibration for row in results.frequency]
    assert sum(part.detections for part in parts) == whole.detections
    for place, each in enumerate(whole.bins):
        here = [part.bins[place] for part in parts]
        assert sum(b.detections for b in here) == each.detections
        right = sum(b.detections * b.precision for b in here if b.detections)
        assert right == pytest.approx(each.detections * each.precision)
    for part in parts:
        gaps = [b.detections * abs(b.mean_score - b.precision) for b in part.bins if b.detections]
        assert part.ece == pytest.approx(sum(gaps) / part.detections)
        assert part.ece.std_err > 0


def test_without_probabilities_only_the_measures_are_left():
    rng = np.random.default_rng(2)
    annotations = scenes.random_annotations(rng, images=30)
    found = scenes.random_detections(rng, annotations, annotations.taxonomy, 200)
    training = TrainingCounts({}, {3: 5})
    told = []

    def rows(detections, **options):
        prepared = prepare(annotations, [detections], all_images=True)
        return numbers_of.evaluate(prepared, training=training, errors=False, **options)

    found.scores[:] = 10 * found.scores - 5
    logits = rows(found, notify=told.append)
    assert logits.calibration == ()
    assert sum("no calibration, as scores are below 0 or above 1" in text for text in told) == 5
    found.scores[:] = (found.scores + 5) / 10
    shares = rows(found)
    assert [row.values for row in logits.frequency] == [row.values for row in shares.frequency]
    assert all(math.isnan(cell) for row in logits.frequency for cell in row.cells()[-5:])
    assert not any(math.isnan(row.calibration.ece) for row in shares.frequency)


def test_without_training_boxes_there_are_no_frequencies():
    rng = np.random.default_rng(0)
    annotations = scenes.random_annotations(rng)
    found = scenes.random_detections(rng, annotations, annotations.taxonomy)
    assert numbers_of.evaluate(prepare(annotations, [found]), errors=False).frequency == ()
