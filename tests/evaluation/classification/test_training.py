"""Figure 5 and frequencies, against the standard library's quantiles and plain Python."""

import statistics

import numpy as np
import pytest

from inatdet.errors import InputError
from tests.evaluation.classification.cases import Scene, evaluated, mean

BINS = (0, 1, 10, 50)
NAMES = ("0", "1-9", "10-49", "50+")


def per_species(scene, found):
    """The top-1 and top-5 accuracy of each species with images, by category id."""
    return {row.category_id: (row.top1, row.top5) for row in found.per_class if row.images}


@pytest.mark.parametrize("seed", range(3))
def test_boxes_are_those_of_the_standard_library(seed):
    scene = Scene(seed, images=200)
    training = {c.id: int(scene.rng.choice([0, 3, 20, 90])) for c in scene.truth.categories}
    training = {i: images for i, images in training.items() if images}  # no entry is 0
    found = evaluated(scene, scene.predictions(), training_images=training, training_bins=BINS)
    rows = {row.train_images: row for row in found.by_training}
    of_species = per_species(scene, found)
    for place, name in enumerate(NAMES):
        values = [
            top1
            for category_id, (top1, _) in of_species.items()
            if np.digitize(training.get(category_id, 0), BINS) - 1 == place
        ]
        row = rows[name]
        assert row.species == len(values)
        assert row.mean == pytest.approx(mean(values))
        quartiles = statistics.quantiles(values, n=4, method="inclusive")
        given = [row.lower_quartile, row.median, row.upper_quartile]
        assert given == pytest.approx(quartiles)
        assert (row.minimum, row.maximum) == (min(values), max(values))


@pytest.mark.parametrize("seed", range(3))
def test_frequencies_are_means_over_their_species(seed):
    scene = Scene(seed)
    training = {c.id: int(scene.rng.choice([0, 4, 5, 6, 20])) for c in scene.truth.categories}
    found = evaluated(scene, scene.predictions(), training_images=training, frequency_bins=(5, 19))
    bounds = {"none": (0, 0), "rare": (1, 5), "common": (6, 19), "frequent": (20, 99)}
    of_species = per_species(scene, found)
    assert [row.frequency for row in found.frequency] == list(bounds)
    for row in found.frequency:
        low, high = bounds[row.frequency]
        own = [value for i, value in of_species.items() if low <= training[i] <= high]
        assert row.species == len(own)
        assert row.top1 == pytest.approx(mean(top1 for top1, _ in own), nan_ok=True)
        assert row.top5 == pytest.approx(mean(top5 for _, top5 in own), nan_ok=True)
    assert sum(row.images for row in found.frequency) == len(scene.truth)


def test_one_species_is_a_box_without_a_height():
    scene = Scene(0, species=30)
    listed = {c.id: 5 for c in scene.taxonomy.species}
    listed[scene.taxonomy.species[scene.labels()[0] - 1].id] = 70
    found = evaluated(scene, scene.predictions(), training_images=listed, training_bins=BINS)
    row = found.by_training[-1]
    assert (row.train_images, row.species) == ("50+", 1)
    assert len({row.mean, row.minimum, row.lower_quartile, row.median, row.maximum}) == 1


def test_without_training_counts_there_are_neither():
    scene = Scene(0)
    found = evaluated(scene, scene.predictions())
    assert found.by_training == found.frequency == ()
    assert {row.train_images for row in found.per_class} == {None}
    assert {row.mean_train_images for row in found.table4} == {None}


def test_mean_training_images_are_over_all_species():
    scene = Scene(0)
    training = {c.id: int(n) for n, c in enumerate(scene.truth.categories)}
    found = evaluated(scene, scene.predictions(), training_images=training)
    for row in found.table4:
        members = [
            training[c.id]
            for c in scene.taxonomy.species
            if row.super_class in ("Overall", c.supercategory)
        ]
        assert row.mean_train_images == pytest.approx(mean(members))
    by_id = {row.category_id: row.train_images for row in found.per_class}
    assert by_id == {c.id: training[c.id] for c in scene.taxonomy.species}


@pytest.mark.parametrize("bins", [(), (1, 10), (0, 10, 10), (0, 20, 10)])
def test_bins_must_rise_from_zero(bins):
    scene = Scene(0)
    with pytest.raises(InputError, match="must be rising whole numbers from 0 on"):
        evaluated(scene, scene.predictions(), training_bins=bins)
