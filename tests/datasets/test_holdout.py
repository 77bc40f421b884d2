"""Tests of training annotations without some species."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from inatdet.data.categories import Category
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.datasets.holdout import choose, hold_out
from inatdet.errors import InputError
from tests.evaluation import scenes

SPECIES, SUPER, GENERIC = Granularity.SPECIES, Granularity.SUPER, Granularity.GENERIC
GENUS = Granularity("genus")
TAXONOMY = Taxonomy.from_categories(
    [
        Category(3 * i, f"s{i}", "AB"[i % 2]).with_ranks({"genus": f"G{i // 4}{i % 2}"})
        for i in range(20)
    ],
    range(0, 60, 3),
)


@pytest.mark.parametrize(
    ("by", "share", "count"),
    [(SPECIES, 0.2, 4), (SPECIES, 1e-9, 1), (SPECIES, 0.999, 19), (GENUS, 0.3, 3), (SUPER, 0.5, 1)],
)
def test_a_share_of_the_labels_is_drawn(by, share, count):
    held_out = choose(TAXONOMY, by, share, seed=5)
    ids = {category.id for category in held_out}
    label_of = TAXONOMY.label_of_category(by)
    drawn = {label_of[i] for i in ids}
    assert len(drawn) == count
    assert ids == {c.id for c in TAXONOMY.species if label_of[c.id] in drawn}  # whole labels
    assert held_out == choose(TAXONOMY, by, share, seed=5)
    assert len({choose(TAXONOMY, by, share, seed=seed) for seed in range(20)}) > 1


def test_what_cannot_be_drawn():
    for share in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="must be above 0 and below 1"):
            choose(TAXONOMY, SPECIES, share)
    with pytest.raises(InputError, match="has a single label"):
        choose(TAXONOMY, GENERIC, 0.5)
    with pytest.raises(InputError, match="there is no level family"):
        choose(TAXONOMY, Granularity("family"), 0.5)


def test_images_of_species_held_out_leave():
    annotations = scenes.random_annotations(np.random.default_rng(0), images=40, boxes=60)
    species = annotations.taxonomy.species[:2]
    ids = {category.id for category in species}
    holdout = hold_out(annotations, species)
    hidden = {
        i
        for i, c in zip(annotations.image_ids.tolist(), annotations.category_ids.tolist())
        if c in ids
    }
    assert holdout.images == len(hidden) > 0
    assert {i.id for i in holdout.known.images} == {i.id for i in annotations.images} - hidden
    assert not ids & set(holdout.known.category_ids.tolist())
    assert holdout.known.categories == annotations.categories
    rows = list(csv.DictReader(io.StringIO(holdout.table)))
    assert [int(row["id"]) for row in rows] == [category.id for category in species]
    assert [int(row["boxes"]) for row in rows] == [
        int((annotations.category_ids == category.id).sum()) for category in species
    ]
    with pytest.raises(InputError, match="choose a smaller --share"):
        hold_out(annotations, annotations.taxonomy.species)
