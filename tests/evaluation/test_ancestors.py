"""Tests of lowest common ancestors, against walks through the tree."""

from __future__ import annotations

import numpy as np
import pytest

from inatdet.data.categories import Category
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.evaluation.ancestors import ancestor_rows, heights, mean_height


def tree(rng, count):
    """Species with genera and families, some of them missing."""
    categories = []
    for i in range(count):
        family = int(rng.integers(4))
        genus = f"{family}{rng.integers(2)}"
        ranks = {"family": f"F{family}", "genus": f"G{genus}"}
        if rng.random() < 0.2:
            ranks = {}
        category = Category(5 * i, f"s{i}", "AB"[family % 2])
        categories.append(category.with_ranks(ranks))
    return Taxonomy.from_categories(categories, [c.id for c in categories])


def path(taxonomy, species):
    """The node of a species at each level."""
    label = np.array([species + 1])
    return [
        (level, int(taxonomy.coarsen(label, Granularity.SPECIES, level)[0]))
        for level in taxonomy.levels
    ]


@pytest.mark.parametrize("seed", range(5))
def test_heights_are_those_of_walks(seed):
    rng = np.random.default_rng(seed)
    taxonomy = tree(rng, 12)
    paths = [path(taxonomy, i) for i in range(12)]
    found = heights(taxonomy)
    for i, mine in enumerate(paths):
        for j, theirs in enumerate(paths):
            shared = [height for height, node in enumerate(mine) if node in theirs]
            assert found[i, j] == shared[0]

    matrix = rng.integers(0, 4, (12, 13))
    rows = ancestor_rows(matrix, taxonomy)
    walked = [[found[i, j]] * matrix[i, j] for i in range(12) for j in range(12)]
    every = np.concatenate(walked)
    assert [row.boxes for row in rows] == [int((every == h).sum()) for h in range(len(rows))]
    total = matrix.sum()
    assert [row.right for row in rows] == pytest.approx(
        [100 * (every <= h).sum() / total for h in range(len(rows))]
    )
    members = rng.random(12) < 0.5
    own = np.concatenate([[0], *(w for i, w in enumerate(walked) if members[i // 12])])
    assert mean_height(matrix, found, members) == pytest.approx(own.sum() / (len(own) - 1))


def test_heights_follow_the_ranks_though_the_categories_are_the_same():
    plain = [Category(i, f"s{i}", "A") for i in range(3)]
    ranked = [c.with_ranks({"genus": "G" if c.id < 2 else "H"}) for c in plain]
    without, with_genera = (Taxonomy.from_categories(c, range(3)) for c in (plain, ranked))
    assert without == with_genera  # ranks are not compared
    assert heights(without).tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    assert heights(with_genera).tolist() == [[0, 1, 2], [1, 0, 2], [2, 2, 0]]


def test_by_hand():
    taxonomy = Taxonomy.from_categories(
        [
            Category(1, "Parus major", "Aves").with_ranks({"genus": "Parus"}),
            Category(2, "Parus minor", "Aves").with_ranks({"genus": "Parus"}),
            Category(3, "Pica pica", "Aves").with_ranks({"genus": "Pica"}),
            Category(4, "Apis mellifera", "Insecta").with_ranks({"genus": "Apis"}),
        ],
        [1, 2, 3, 4],
    )
    # Five great tits: two named rightly, one taken for Parus minor, one for a bee, one not found.
    matrix = np.zeros((4, 5), int)
    matrix[0] = [2, 1, 0, 1, 1]
    assert [tuple(row.cells()) for row in ancestor_rows(matrix, taxonomy)] == [
        ("species", 0, 2, 40.0, 40.0),
        ("genus", 1, 1, 20.0, 60.0),
        ("super", 2, 0, 0.0, 60.0),
        ("generic", 3, 1, 20.0, 80.0),
    ]
    everything = np.ones(4, bool)
    assert mean_height(matrix, heights(taxonomy), everything) == (0 + 0 + 1 + 3) / 4
    assert np.isnan(mean_height(matrix, heights(taxonomy), ~everything))
    assert ancestor_rows(np.zeros((4, 5), int), taxonomy) == ()
