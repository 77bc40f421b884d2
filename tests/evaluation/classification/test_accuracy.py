"""Top-k accuracy, per class and by super-class: against scikit-learn and plain Python."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from inatdet.data.granularity import Granularity
from inatdet.data.predictions import Predictions
from inatdet.data.ranking import Ranked
from inatdet.data.taxonomy import Taxonomy
from tests.evaluation.classification import cases
from tests.evaluation.classification.cases import SPECIES, Scene, evaluated, mean

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_agrees_with_scikit_learn(seed):
    scene = Scene(seed, images=200)
    found = evaluated(scene, scene.predictions(k=10))
    (row,) = found.table3
    true = np.array(scene.labels()) - 1
    species = range(scene.scores.shape[1])
    for most, value in ((1, row.top1), (3, row.top3), (5, row.top5)):
        expected = metrics.top_k_accuracy_score(true, scene.scores, k=most, labels=species)
        assert value == pytest.approx(100 * expected)
    best = scene.scores.argmax(axis=1)
    with_images = np.unique(true)
    recalls = metrics.recall_score(true, best, labels=species, average=None, zero_division=np.nan)
    assert row.class_top1 == pytest.approx(100 * np.nanmean(recalls))
    assert row.classes == len(with_images)
    precisions = metrics.precision_score(
        true, best, labels=species, average=None, zero_division=np.nan
    )
    matrix = metrics.confusion_matrix(true, best, labels=species)
    assert [r.images for r in found.per_class] == matrix.sum(axis=1).tolist()
    assert [r.predicted for r in found.per_class] == matrix.sum(axis=0).tolist()
    for per_class, recall, precision in zip(found.per_class, recalls, precisions, strict=True):
        assert per_class.top1 == pytest.approx(100 * recall, nan_ok=True)
        assert per_class.precision == pytest.approx(100 * precision, nan_ok=True)
    confused = np.zeros_like(matrix)
    for pair in found.confusions:
        confused[pair.label - 1, pair.taken_for_label - 1] = pair.images
        assert pair.share == pytest.approx(100 * pair.images / matrix[pair.label - 1].sum())
    np.fill_diagonal(matrix, 0)
    assert (confused == matrix).all()
    counts = [pair.images for pair in found.confusions]
    assert counts == sorted(counts, reverse=True)
    assert min(counts) > 0


def test_the_mean_over_classes_is_balanced_accuracy():
    scene = Scene(0, images=400)
    (row,) = evaluated(scene, scene.predictions(k=1)).table3
    true, best = np.array(scene.labels()) - 1, scene.scores.argmax(axis=1)
    present = np.unique(true)
    # scikit-learn warns of labels that are never true; other wrong ones change nothing.
    wrong = np.where(true == present[0], present[1], present[0])
    best = np.where(np.isin(best, present), best, wrong)
    assert row.class_top1 == pytest.approx(100 * metrics.balanced_accuracy_score(true, best))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_agrees_with_counting_image_by_image(seed, ties):
    scene = Scene(seed, ties=ties, unlabelled=0.2)
    predictions = cases.damaged(scene.predictions(k=8), scene.rng)
    found = evaluated(scene, predictions)
    pairs = cases.by_image(scene, predictions)
    (row,) = found.table3
    assert row.images == len(pairs)
    for most, value in ((1, row.top1), (3, row.top3), (5, row.top5)):
        assert value == pytest.approx(100 * mean(true in best[:most] for true, best in pairs))
    labels = sorted({true for true, _ in pairs})
    of_labels = {
        label: [mean(label in best[:n] for true, best in pairs if true == label) for n in (1, 5)]
        for label in labels
    }
    assert row.class_top1 == pytest.approx(100 * mean(top1 for top1, _ in of_labels.values()))
    assert row.class_top5 == pytest.approx(100 * mean(top5 for _, top5 in of_labels.values()))
    for label, per_class in enumerate(found.per_class, 1):
        category = scene.taxonomy.species[label - 1]
        assert per_class.key == ("model", str(category.id))
        assert (per_class.name, per_class.super_class) == (category.name, category.supercategory)
        top1, top5 = of_labels.get(label, (math.nan, math.nan))
        assert per_class.top1 == pytest.approx(100 * top1, nan_ok=True)
        assert per_class.top5 == pytest.approx(100 * top5, nan_ok=True)
        assert per_class.images == sum(true == label for true, _ in pairs)
        named = [true for true, best in pairs if best[:1] == [label]]
        assert per_class.predicted == len(named)
        right = mean(true == label for true in named)
        assert per_class.precision == pytest.approx(100 * right, nan_ok=True)
    confused = {(row.label, row.taken_for_label): row.images for row in found.confusions}
    wrong = [(true, best[0]) for true, best in pairs if best and best[0] not in (0, true)]
    assert confused == Counter(wrong)
    (covered,) = found.coverage
    unlabelled = len(scene.truth) - len(pairs)
    assert unlabelled > 0
    assert (covered.images, covered.without_label) == (len(pairs), unlabelled)
    assert covered.without_prediction == sum(not best for _, best in pairs)
    assert covered.fewer_than_5 == sum(bool(best) and not any(best[4:]) for _, best in pairs)
    for table4 in found.table4:
        members = [
            label
            for label in labels
            if table4.super_class in ("Overall", scene.taxonomy.species[label - 1].supercategory)
        ]
        assert table4.with_images == len(members)
        assert table4.images == sum(true in members for true, _ in pairs)
        expected = [100 * mean(of_labels[label][n] for label in members) for n in (0, 1)]
        assert [table4.top1, table4.top5] == pytest.approx(expected, nan_ok=True)
    assert [row.super_class for row in found.table4] == ["A", "B", "Overall"]
    assert sum(row.species for row in found.table4[:-1]) == found.table4[-1].species
    assert found.table4[-1].species == len(scene.taxonomy.species)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mean_confidence_is_that_of_the_best_label(seed):
    scene = Scene(seed)
    found = evaluated(scene, scene.predictions(k=8))
    highest = scene.scores.max(axis=1)
    for label, row in enumerate(found.per_class, 1):
        own = [value for value, true in zip(highest, scene.labels()) if true == label]
        assert row.mean_confidence == pytest.approx(100 * mean(own), rel=1e-6, nan_ok=True)


def of_labels(labels, category_ids, image_ids=None, probabilities=None, species=6):
    """One model's guesses, by hand; its truth and label spaces."""
    listed = cases.categories(species)
    taxonomy = Taxonomy.from_categories(listed, [c.id for c in listed])
    scene = Scene(0, 1, species)
    scene.taxonomy, scene.truth = taxonomy, cases.truth_of(category_ids, listed)
    ids = scene.truth.image_ids if image_ids is None else np.array(image_ids)
    ranked = Ranked(np.array(labels, np.int32), probabilities)
    return scene, Predictions("a.parquet", SPECIES, ids, {SPECIES: ranked}, taxonomy)


def test_of_equal_probabilities_the_one_listed_first_is_better():
    equal = np.full((2, 6), 1 / 6, np.float32)
    labels = [[2, 1, 3, 4, 5, 6], [1, 2, 3, 4, 6, 5]]
    found = evaluated(*of_labels(labels, [0, 0], probabilities=equal))
    assert found.table3[0].top1 == 50.0


def test_one_image():
    found = evaluated(*of_labels([[4, 2, 1, 3, 5]], [0]), resamples=5)
    (row,) = found.table3
    assert (row.top1, row.top3, row.top5, row.classes) == (0.0, 100.0, 100.0, 1)
    assert not hasattr(row.top1, "std_err")  # one image has no halves
    assert [row.images for row in found.confusions] == [1]


def test_one_species():
    scene, predictions = of_labels([[1], [1]], [0, 0], species=1)
    found = evaluated(scene, predictions, training_images={0: 7})
    (row,) = found.table3
    assert (row.top1, row.top3, row.top5) == (100.0, None, None)
    reasons = {row.what: row.reason for row in found.left_out}
    assert reasons["top5"] == "the species level has only 1 label"
    assert [row.top1 for row in found.table4] == [100.0, 100.0]
    assert found.confusions == ()


@pytest.mark.parametrize("known", [3, 4])
def test_fewer_labels_than_five(known):
    found = evaluated(*of_labels([list(range(1, known + 1))] * 2, [0, 6]))
    (row,) = found.table3
    assert (row.top1, row.top3, row.top5, row.class_top5) == (50.0, 100.0, None, None)
    assert [row.top5 for row in found.table4] == [None, None, None]
    assert {row.top5 for row in found.per_class} == {None}
    assert ("model", "val", "top5") in {row.key for row in found.left_out}
    assert math.isnan(found.table3[0].cells()[row.columns.index("top5")])


def test_the_best_five_of_five_say_nothing():
    found = evaluated(*of_labels([[1, 2, 3, 4, 5]], [0], species=5))
    assert found.table3[0].top3 == 100.0
    assert found.table3[0].top5 is None
    reasons = {row.what: row.reason for row in found.left_out}
    assert reasons["top5"] == "the species level has only 5 labels"


def test_images_without_a_prediction_are_wrong_and_others_are_ignored():
    labels = [[1, 2, 3, 4, 5], [2, 1, 3, 4, 5], [1, 2, 3, 4, 5]]
    scene, predictions = of_labels(labels, [0, 3, 0, 3], image_ids=[2, 1, 77])
    found = evaluated(scene, predictions)
    (row,) = found.table3  # image 1 shows label 1, image 2 label 2, and so on
    assert (row.images, row.top1, row.top5, row.class_top1) == (4, 0.0, 50.0, 0.0)
    (covered,) = found.coverage
    assert (covered.images, covered.without_prediction) == (4, 2)
    assert (covered.predicted, covered.not_in_truth) == (2, 1)
    assert sum(row.images for row in found.confusions) == 2
    assert sum(row.predicted for row in found.per_class) == 2


def test_a_guess_without_a_label_is_wrong_and_keeps_its_rank():
    labels = [[0, 1, 2, 3, 4, 5], [0, 0, 0, 0, 0, 1], [2, 3, 4, 1, 0, 0], [0, 0, 0, 0, 0, 0]]
    labels += [[3, 1, 4, 5, 2, 0]]
    scene, predictions = of_labels(labels, [0, 0, 0, 0, 0])
    found = evaluated(scene, predictions)
    (row,) = found.table3
    assert (row.top1, row.top3, row.top5) == pytest.approx((0.0, 40.0, 60.0))
    (covered,) = found.coverage
    assert (covered.without_prediction, covered.fewer_than_5) == (0, 2)
    assert sum(row.images for row in found.confusions) == 2


def test_species_without_images_are_in_no_mean():
    found = evaluated(*of_labels([[1, 2, 3, 4, 5]] * 3, [0, 0, 3]), training_images={0: 4, 3: 8})
    (row,) = found.table3
    assert row.top1 == pytest.approx(100 * 2 / 3)
    assert (row.classes, row.class_top1) == (2, 50.0)
    overall = found.table4[-1]
    assert (overall.species, overall.with_images, overall.top1) == (6, 2, 50.0)
    assert overall.mean_train_images == 2.0  # of all six
    assert math.isnan(found.per_class[2].top1)


def test_images_of_categories_without_a_label_count_only_at_coarser_levels():
    scene = Scene(0)
    unknown = scene.taxonomy.unboxed[0]
    scene.truth = cases.truth_of([0, 0, unknown.id], scene.truth.categories)
    scene.scores = np.full((3, 30), 1 / 30)
    found = evaluated(scene, scene.predictions())
    (covered,) = found.coverage
    assert (covered.images, covered.without_label) == (2, 1)
    assert [row.images for row in found.ladder if row.rule == "mapped"] == [3, 3, 3, 3]
    assert found.table3[0].top1 == 100.0


def test_a_model_of_super_classes_is_evaluated_there_and_above():
    scene = Scene(1)
    coarse = replace(
        scene.predictions(),
        trained_on=Granularity.SUPER,
        ranked={
            level: ranked
            for level, ranked in scene.predictions().ranked.items()
            if level in ("super", "generic")
        },
    )
    order = coarse.image_ids
    coarse = replace(
        coarse,
        ranked={Granularity.SUPER: Ranked(np.full((len(order), 2), [1, 2], np.int32), None)},
    )
    found = evaluated(scene, coarse, training_images={0: 3, 3: 4, 6: 5})
    (row,) = found.table3
    share = 100 * mean(label == 1 for label in scene.labels(Granularity.SUPER))
    assert (row.trained_on, row.top1) == ("super", pytest.approx(share))
    assert (row.top3, row.top5) == (None, None)
    assert [row.evaluated_on for row in found.ladder] == ["super", "generic"]
    assert [(row.name, row.train_images) for row in found.per_class] == [("A", 8), ("B", 4)]
    assert [row.key for row in found.per_class] == [("model", "A"), ("model", "B")]
    assert found.table4 == found.by_training == found.frequency == ()
    reasons = {row.what: row.reason for row in found.left_out}
    assert reasons["table4"] == "the model was trained on super labels, not on species"
    assert reasons["top3"] == "the super level has only 2 labels"
    assert {(row.name, row.super_class, row.taken_for) for row in found.confusions} == {
        ("B", "B", "A")
    }
