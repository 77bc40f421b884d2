"""Tests of the measures of species never seen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from inatdet.data.annotations import Annotations, Image
from inatdet.data.categories import Category
from inatdet.data.detections import Detections
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.unseen import unseen_rows

CATEGORIES = (
    Category(0, "Parus major", "Aves").with_ranks({"genus": "Parus"}),
    Category(1, "Parus minor", "Aves").with_ranks({"genus": "Parus"}),
    Category(2, "Apis mellifera", "Insecta").with_ranks({"genus": "Apis"}),
    Category(3, "Lynx lynx", "Mammalia").with_ranks({"genus": "Lynx"}),
)
# Parus minor and Lynx lynx are unseen; only the former has a genus and super-class that were seen.
TAXONOMY = Taxonomy.from_categories(CATEGORIES, [0, 2])


def truth(categories, crowd=()):
    """One box of 10 x 10 in each image."""
    n = len(categories)
    return Annotations(
        "val.json",
        tuple(Image(i, f"{i}.jpg", 100, 100) for i in range(n)),
        CATEGORIES,
        np.arange(n),
        np.arange(n),
        np.array(categories, np.int64),
        np.tile([10.0, 10.0, 10.0, 10.0], (n, 1)),
        np.full(n, 50.0),
        np.isin(np.arange(n), crowd),
    )


def detections(rows):
    """Rows of image, label, score, and whether the box is the true one."""
    images, labels, scores, hits = (list(column) for column in zip(*rows)) if rows else ([],) * 4
    return Detections.from_arrays(
        images,
        labels,
        scores,
        [[10, 10, 10, 10] if hit else [60, 60, 10, 10] for hit in hits],
        taxonomy=TAXONOMY,
    )


def test_nothing_where_every_species_was_seen():
    assert unseen_rows(truth([0, 2, 0]), detections([(0, 1, 0.9, True)]), TAXONOMY) == ((), ())


def test_by_hand():
    # Four great tits, one bee; two unseen tits, two lynxes, one of them not found.
    annotations = truth([0, 0, 0, 0, 2, 1, 1, 3, 3])
    found = detections(
        [
            (0, 1, 0.9, True),
            (0, 2, 0.95, False),  # elsewhere in the image
            (1, 1, 0.8, True),
            (2, 1, 0.7, True),
            (3, 2, 0.6, True),  # the wrong species
            (4, 2, 0.5, True),
            (5, 1, 0.85, True),  # the right genus
            (5, 2, 0.55, True),  # once more
            (6, 2, 0.4, True),  # the wrong super-class
            (7, 1, 0.65, True),
            (8, 1, 0.99, False),
        ]
    )
    (row,), naming = unseen_rows(annotations, found, TAXONOMY)
    assert row.unseen_boxes == 4
    assert row.unseen_found == 75.0
    assert row.seen_found == 100.0
    # Four of five seen boxes are right, the last of them at .5.
    assert (row.score, row.recall) == (0.5, 80.0)
    assert row.open_set_error == 2  # images 5 and 7
    # From .5 up: three detections lie on unseen boxes, seven others do not.
    assert row.wilderness_impact == pytest.approx(100 * 3 / 7)
    pairs = [(s, u) for s in (0.9, 0.8, 0.7, 0.6, 0.5) for u in (0.85, 0.4, 0.65)]
    assert row.auroc == pytest.approx(100 * sum(s > u for s, u in pairs) / len(pairs))
    assert [tuple(r.cells()) for r in naming] == [
        ("genus", 2, 50.0, 80.0),
        ("super", 2, 50.0, 80.0),
        ("generic", 4, 75.0, 100.0),
    ]


def test_no_detections():
    (row,), naming = unseen_rows(truth([0, 1, 3]), detections([]), TAXONOMY)
    assert (row.unseen_boxes, row.unseen_found, row.recall, row.open_set_error) == (2, 0, 0, 0)
    assert np.isnan([row.auroc, row.score, row.wilderness_impact]).all()
    assert [r.unseen_right for r in naming] == [0, 0, 0]


def test_only_unseen_species_and_crowds():
    (row,), naming = unseen_rows(truth([3, 0], crowd=[1]), detections([(0, 1, 1, True)]), TAXONOMY)
    assert (row.unseen_boxes, row.unseen_found) == (1, 100)
    assert np.isnan([row.seen_found, row.recall]).all()
    assert [(r.unseen_boxes, r.level) for r in naming] == [
        (0, "genus"),
        (0, "super"),
        (1, "generic"),
    ]


def test_one_answer_for_each_box():
    """Two boxes side by side; the better detection takes the one that it overlaps more."""
    both = truth([0, 3])
    boxes = np.array([[10.0, 10, 10, 10], [12, 10, 10, 10]])
    together = Annotations(
        "val.json", both.images, CATEGORIES, both.box_ids, np.zeros(2, np.int64),
        both.category_ids, boxes, both.areas, both.is_crowd,
    )  # fmt: skip
    found = Detections.from_arrays(
        [0, 0, 0], [1, 1, 1], [0.5, 0.9, 0.8], [boxes[1], boxes[0], boxes[0]], taxonomy=TAXONOMY
    )
    (row,), _ = unseen_rows(together, found, TAXONOMY)
    # The second-best also fits the first box better, which is taken, so it answers the other one.
    assert (row.seen_found, row.unseen_found, row.recall) == (100, 100, 100)


@pytest.mark.parametrize("seed", range(5))
def test_auroc_is_that_of_mann_and_whitney(seed):
    rng = np.random.default_rng(seed)
    categories = rng.integers(0, 4, 60)
    scores = rng.integers(1, 9, 60) / 10  # with ties
    rows = [(i, 1 + i % 2, s, True) for i, s in enumerate(scores.tolist())]
    (row,), _ = unseen_rows(truth(categories), detections(rows), TAXONOMY)
    seen = np.isin(categories, [0, 2])
    statistic = stats.mannwhitneyu(scores[seen], scores[~seen]).statistic
    assert row.auroc == pytest.approx(100 * statistic / (seen.sum() * (~seen).sum()))
    assert row.unseen_boxes == (~seen).sum() and row.unseen_found == 100
    assert Granularity("genus") in TAXONOMY.levels
