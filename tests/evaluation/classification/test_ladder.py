"""Accuracy at every rank, and how far off mistakes are: against walks through the tree."""

import math
from dataclasses import replace

import numpy as np
import pytest

from inatdet.data.granularity import Granularity
from inatdet.data.labels import NO_LABEL
from inatdet.data.ranking import Ranked
from tests.evaluation.classification import cases
from tests.evaluation.classification.cases import SPECIES, Scene, evaluated, mean

LEVELS = ("species", "genus", "family", "super", "generic")


def lineage(scene, species):
    """The label of a species at each level."""
    category = scene.taxonomy.species[species - 1].id
    return [scene.taxonomy.label_of_category(Granularity(level))[category] for level in LEVELS]


def height(scene, true, guess):
    """The first level at which both have the same label."""
    if guess == NO_LABEL:
        return len(LEVELS) - 1
    pairs = zip(lineage(scene, true), lineage(scene, guess))
    return next(place for place, (a, b) in enumerate(pairs) if a == b)


@pytest.mark.parametrize("seed", range(3))
def test_mapped_labels_are_those_that_the_best_one_lies_in(seed):
    scene = Scene(seed, unlabelled=0.2)
    predictions = cases.damaged(scene.predictions(k=8), scene.rng)
    found = evaluated(scene, predictions)
    mapped = {row.evaluated_on: row for row in found.ladder if row.rule != "summed"}
    assert tuple(mapped) == LEVELS
    best = [cases.guessed(predictions, i)[:1] for i in scene.truth.image_ids.tolist()]
    for place, level in enumerate(LEVELS):
        pairs = [(true, b) for true, b in zip(scene.labels(Granularity(level)), best) if true]
        right = [b not in ([], [NO_LABEL]) and lineage(scene, *b)[place] == t for t, b in pairs]
        assert mapped[level].images == len(pairs)
        assert mapped[level].top1 == pytest.approx(100 * mean(right))
        assert mapped[level].labels == scene.taxonomy.num_labels(Granularity(level))
        assert mapped[level].gain is None
    assert mapped["species"].images < mapped["genus"].images == len(scene.truth)
    assert [row.rule for row in found.ladder[:3]] == ["own", "mapped", "summed"]


@pytest.mark.parametrize("k", [None, 8])
@pytest.mark.parametrize("seed", range(3))
def test_summed_labels_have_the_highest_sum(seed, k):
    scene = Scene(seed)
    found = evaluated(scene, scene.predictions(k=k))
    rows = {(row.evaluated_on, row.rule): row for row in found.ladder}
    for place, level in enumerate(LEVELS[1:], 1):
        right = []
        for scores, true in zip(scene.scores, scene.labels()):
            sums = {}
            for species, score in enumerate(scores, 1):
                label = lineage(scene, species)[place]
                sums[label] = sums.get(label, 0.0) + score
            right.append(max(sums, key=sums.get) == lineage(scene, true)[place])
        row = rows[level, "summed"]
        assert row.top1 == pytest.approx(100 * mean(right))
        assert row.gain == pytest.approx(row.top1 - rows[level, "mapped"].top1)


def test_probabilities_of_all_labels_are_summed_where_the_file_has_no_sums():
    scene = Scene(0)
    with_sums, without = (evaluated(scene, scene.predictions(summed=s)) for s in (True, False))
    assert without.ladder == with_sums.ladder
    assert [row.what for row in without.left_out] == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"probabilities": False}, "has no probabilities that could be summed"),
        ({"k": 5}, "are not those of all labels"),
    ],
)
def test_says_why_there_are_no_sums(given, reason):
    scene = Scene(0)
    found = evaluated(scene, scene.predictions(summed=False, **given))
    reasons = {row.what: row.reason for row in found.left_out}
    for level in LEVELS[1:]:
        assert reason in reasons[f"summed {level}"]
        assert not reasons[f"summed {level}"].startswith("a.parquet")
    assert {row.rule for row in found.ladder} == {"own", "mapped"}


@pytest.mark.parametrize("seed", range(3))
def test_severity_and_distances_are_those_of_walks(seed):
    scene = Scene(seed, unlabelled=0.2)
    predictions = cases.damaged(scene.predictions(k=25), scene.rng)
    (row,) = evaluated(scene, predictions).mistakes
    heights = [
        [height(scene, true, guess) for guess in (best + 25 * [NO_LABEL])[:25]]
        for true, best in cases.by_image(scene, predictions)
    ]
    best = [first for first, *_ in heights]
    assert (row.images, row.mistakes) == (len(best), sum(h > 0 for h in best))
    assert row.greatest_height == 4
    assert row.severity == pytest.approx(mean(h for h in best if h))
    assert row.distance1 == pytest.approx(mean(best))
    assert row.distance1 == pytest.approx(row.severity * row.mistakes / row.images)
    assert row.distance5 == pytest.approx(mean(mean(one[:5]) for one in heights))
    assert row.distance20 == pytest.approx(mean(mean(one[:20]) for one in heights))


def test_a_model_without_mistakes_has_no_severity():
    scene = Scene(0)
    scene.scores = np.eye(30)[np.array(scene.labels()) - 1]
    (row,) = evaluated(scene, scene.predictions()).mistakes
    assert (row.mistakes, row.distance1) == (0, 0.0)
    assert math.isnan(row.severity)
    assert row.distance20 > 0  # the others of the best twenty are wrong


def test_distances_over_more_labels_than_are_known_are_left_out():
    scene = Scene(0)
    found = evaluated(scene, scene.predictions(k=6))
    (row,) = found.mistakes
    assert row.distance5 is not None
    assert row.distance20 is None
    reasons = {one.what: one.reason for one in found.left_out}
    assert reasons["distance20"] == "the predictions have at most 6 labels an image"


def test_heights_are_counted_from_the_level_of_the_model():
    scene = Scene(0, species=30)
    genera = scene.predictions().ranked[Granularity("genus")].labels
    predictions = replace(
        scene.predictions(),
        trained_on=Granularity("genus"),
        image_ids=np.sort(scene.truth.image_ids),
        ranked={Granularity("genus"): Ranked(genera)},
    )
    (row,) = evaluated(scene, predictions).mistakes
    heights = []
    true_of = dict(zip(scene.truth.image_ids.tolist(), scene.labels()))
    for image_id, guess in zip(np.sort(scene.truth.image_ids).tolist(), genera[:, 0].tolist()):
        true = lineage(scene, true_of[image_id])[1:]
        member = next(s for s in range(1, 31) if lineage(scene, s)[1] == guess)
        pairs = enumerate(zip(true, lineage(scene, member)[1:]))
        heights.append(next(place for place, (a, b) in pairs if a == b))
    assert row.trained_on == "genus"
    assert row.greatest_height == 3
    assert row.distance1 == pytest.approx(mean(heights))


def test_confused_labels_share_a_level():
    scene = Scene(0)
    found = evaluated(scene, scene.predictions())
    for row in found.confusions:
        assert row.shared_level == LEVELS[height(scene, row.label, row.taken_for_label)]
        assert row.super_class == scene.taxonomy.species[row.label - 1].supercategory
        assert row.taken_for == scene.taxonomy.species[row.taken_for_label - 1].name
    assert len({row.key for row in found.confusions}) == len(found.confusions)
    assert found.confusions[0].level is SPECIES
