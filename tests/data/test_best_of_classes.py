import numpy as np
import pytest

from inatdet.data.best_of_classes import BestOfClasses, limits_at
from inatdet.data.categories import Category
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy


def detections(rng, images, classes, ties):
    """Columns image by image; the images in any order."""
    ids = np.repeat(rng.permutation(images) * 3, rng.integers(0, 12, images))
    scores = rng.uniform(size=len(ids)).astype(np.float32)
    if ties:
        scores = np.round(scores, 1)
    labels = 1 + (classes * rng.uniform(size=len(ids)) ** 2).astype(int)  # the first ones abound
    return ids, labels, scores, rng.uniform(size=(len(ids), 4)).astype(np.float32)


def cut_at_the_end(columns, limits):
    """The rows that stay: of equal scores the smaller image id, then the earlier row."""
    ids, labels, scores, _ = columns
    kept = []
    for label, limit in enumerate(limits, 1):
        rows = [row for row in range(len(ids)) if labels[row] == label]
        rows.sort(key=lambda row: (-scores[row], ids[row], row))
        kept += rows[:limit]
    return kept


def appended(columns, limits, at_once):
    """What is kept of detections that come some images at a time."""
    best, ids = BestOfClasses(limits), columns[0]
    starts = np.flatnonzero(np.diff(ids, prepend=-1))[::at_once].tolist()
    for start, end in zip(starts, [*starts[1:], len(ids)]):
        best.append(*(column[start:end] for column in columns))
    counts = best.counts
    parts = list(best.columns())
    assert np.array_equal(counts, best.counts)
    found = sorted(
        (int(label), int(image), float(score), *map(float, box))
        for part in parts
        for image, label, score, box in zip(*part)
    )
    return found, counts


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("at_once", [1, 7, 10_000])
@pytest.mark.parametrize("most", [1, 2, 20, 60, 1000])
def test_the_running_cut_is_that_at_the_end(most, at_once, ties):
    rng = np.random.default_rng(most)
    columns = detections(rng, 300, 5, ties)
    limits = np.array([most, most + 1, most, 2 * most, most, most])  # the last class has none
    found, counts = appended(columns, limits, at_once)
    rows = cut_at_the_end(columns, limits)
    ids, labels, scores, boxes = columns
    assert found == sorted(
        (int(labels[r]), int(ids[r]), float(scores[r]), *map(float, boxes[r])) for r in rows
    )
    assert counts.tolist() == np.bincount(labels[rows] - 1, minlength=6).tolist()


def test_equal_scores_everywhere():
    ids = np.arange(500)[::-1]
    columns = (ids, np.ones(500, int), np.full(500, 0.5), np.zeros((500, 4)))
    found, counts = appended(columns, np.array([3]), 1)
    assert [row[1] for row in found] == [0, 1, 2]
    assert counts.tolist() == [3]


def test_nothing():
    best = BestOfClasses(np.array([10, 10]))
    none = np.zeros(0)
    best.append(none, none, none, np.zeros((0, 4)))
    assert best.counts.tolist() == [0, 0]
    assert list(best.columns()) == []


def test_a_coarse_label_has_the_limit_of_all_its_species():
    categories = [
        Category(4, "a", "Aves"), Category(0, "b", "Insecta"), Category(9, "c", "Aves"),
        Category(11, "unseen", "Aves"),
    ]  # fmt: skip
    taxonomy = Taxonomy.from_categories(categories, {0, 4, 9})
    assert limits_at(taxonomy, Granularity.SPECIES, 10).tolist() == [10, 10, 10]
    assert taxonomy.super_classes == ("Insecta", "Aves")
    assert limits_at(taxonomy, Granularity.SUPER, 10).tolist() == [10, 20]
    assert limits_at(taxonomy, Granularity.GENERIC, 10).tolist() == [30]
