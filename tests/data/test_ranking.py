"""Softmax, the best labels and sums, against SciPy and plain NumPy."""

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import inatdet
from inatdet.data import ranking
from inatdet.data.categories import Category
from inatdet.data.granularity import Granularity
from inatdet.data.ranking import Sums, best, softmax, sums_of_best
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

SPECIES, SUPER, GENERIC = Granularity.SPECIES, Granularity.SUPER, Granularity.GENERIC
COUNT = 12
CATEGORIES = [Category(3 * i, f"s{i}", "ABCDE"[i % 5]) for i in range(COUNT)]
TAXONOMY = Taxonomy.from_categories(CATEGORIES, [c.id for c in CATEGORIES])
SUPER_OF_SPECIES = TAXONOMY.coarsen(np.arange(1, COUNT + 1), SPECIES, SUPER)


@pytest.fixture(autouse=True, scope="module")
def small_blocks():
    """Of two images or so, for ends of blocks to be met."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_CELLS_AT_ONCE", 30)
        yield


@settings(deadline=None, derandomize=True)
@given(arrays.arrays(np.float32, (3, 5), elements=st.floats(-100, 100, width=32)))
def test_softmax(logits):
    expected = scipy.special.softmax(logits.astype(np.float64), axis=1)
    np.testing.assert_allclose(softmax(logits), expected, rtol=1e-12, atol=0)


def test_softmax_of_the_largest_numbers():
    most = np.finfo(np.float32).max
    found = softmax(np.float32([[most, -most], [0, 0]]))
    np.testing.assert_array_equal(found, [[1, 0], [0.5, 0.5]])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    arrays.arrays(
        np.int8, st.tuples(st.integers(1, 6), st.integers(1, 9)), elements=st.integers(0, 4)
    ),
    st.integers(1, 12),
)
def test_the_best_columns_of_many_ties(scores, most):
    expected = [
        sorted(range(scores.shape[1]), key=lambda column, row=row: (-row[column], column))[:most]
        for row in scores.tolist()
    ]
    np.testing.assert_array_equal(best(scores.astype(np.float64), most), expected)


def test_sums_leave_out_what_has_no_label():
    sums = Sums(np.array([2, 0, 7, 2]))
    assert sums.labels.tolist() == [2, 7]
    np.testing.assert_allclose(sums(np.array([[0.1, 0.2, 0.3, 0.4]])), [[0.5, 0.3]])
    assert Sums(np.array([0, 0]))(np.ones((3, 2))).shape == (3, 0)
    in_order = Sums(np.array([2, 2, 7]))(np.array([[0.1, 0.2, 0.4]]))
    np.testing.assert_allclose(in_order, [[0.3, 0.4]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
@pytest.mark.parametrize("keep", [1, 4, COUNT, 100])
def test_from_scores(dtype, keep):
    rng = np.random.default_rng(0)
    logits = rng.integers(-4, 5, (7, COUNT)).astype(dtype)  # with ties
    found = inatdet.Predictions.from_scores(
        np.arange(7), logits, taxonomy=TAXONOMY, are_logits=True, keep=keep
    )
    probabilities = scipy.special.softmax(logits.astype(np.float64), axis=1)
    coarse = np.stack(
        [probabilities[:, label == SUPER_OF_SPECIES].sum(axis=1) for label in range(1, 6)], axis=1
    )
    for level, expected in ((SPECIES, probabilities), (SUPER, coarse), (GENERIC, np.ones((7, 1)))):
        order = np.argsort(-expected.round(12), axis=1, kind="stable")[:, :keep]
        chosen = np.take_along_axis(expected, order, axis=1)
        np.testing.assert_allclose(found.ranked[level].probabilities, chosen, rtol=1e-6)
        if level != SUPER:  # whose sums may differ by rounding where they are equal
            np.testing.assert_array_equal(found.ranked[level].labels, order + 1)
        assert found.ranked[level].labels.dtype == np.int32
        assert found.ranked[level].probabilities.dtype == np.float32
    assert found.notes == ()


def test_columns_in_any_order():
    rng = np.random.default_rng(1)
    logits, order = rng.normal(size=(5, COUNT)), rng.permutation(COUNT)
    ids = np.array([c.id for c in TAXONOMY.species])
    known = inatdet.Predictions.from_scores(range(5), logits, taxonomy=TAXONOMY, are_logits=True)
    found = inatdet.Predictions.from_scores(
        range(5), logits[:, order], taxonomy=TAXONOMY, are_logits=True, category_ids=ids[order]
    )
    for level in (SPECIES, SUPER):
        np.testing.assert_array_equal(found.ranked[level].labels, known.ranked[level].labels)
        np.testing.assert_allclose(
            found.ranked[level].probabilities, known.ranked[level].probabilities, rtol=1e-6
        )


def test_a_model_of_a_coarser_level():
    logits = np.eye(5)
    found = inatdet.Predictions.from_scores(
        range(5), logits, "super", taxonomy=TAXONOMY, are_logits=True
    )
    assert found.trained_on is SUPER
    assert found.own.labels[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert set(found.ranked) == {SUPER, GENERIC}


def test_categories_without_a_label_are_wrong_but_keep_their_rank():
    few = Taxonomy.from_categories(CATEGORIES, [c.id for c in CATEGORIES[1:]])
    found = inatdet.Predictions.from_scores(
        [7, 8],
        [[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]],
        taxonomy=few,
        are_logits=False,
        category_ids=[3, 0, 6],
    )
    assert found.own.labels.tolist() == [[0, 2, 1], [1, 0, 2]]
    # Of the super-classes, the category has the label of the others in it.
    assert found.ranked[SUPER].labels[0, 0] == few.label_of_category(SUPER)[0]
    (note,) = found.notes
    assert "1 of its 3 species labels are not in the label spaces, such as 0 's0'" in note
    assert "2 guesses of them, 1 of which are first, count as wrong" in note


def test_probabilities_of_a_part_of_the_labels_are_not_summed():
    found = inatdet.Predictions.from_scores(
        [7], [[0.2, 0.1, 0.3]], taxonomy=TAXONOMY, are_logits=False, category_ids=[3, 0, 6]
    )
    assert list(found.ranked) == [SPECIES]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": [[0.5, np.nan, 0.5]]}, "image 7 has a score that is not finite"),
        ({"scores": [[0.5, np.inf, 0.5]]}, "image 7 has a score that is not finite"),
        ({"scores": [[0.5, -0.1, 0.5]]}, "image 7 has probabilities outside of 0 to 1"),
        ({"scores": [[0.5, 0.5, 0.5]]}, "image 7 has probabilities that sum to more than 1"),
        ({"scores": [0.5, 0.5, 0.5]}, r"1 images have labels or scores of the shape \(3,\)"),
        ({"scores": [[1, 0, 0]] * 2}, r"1 images have labels or scores of the shape \(2, 3\)"),
        ({"scores": [[1, 0, 0], [1]]}, "scores do not form a table"),
        ({"scores": [["a", "b", "c"]]}, "scores must be numbers"),
        ({"image_ids": [7, 7], "scores": [[1, 0, 0]] * 2}, "image 7 twice or more .* 1 image is"),
        ({"image_ids": [], "scores": np.ones((0, 3))}, "has no predictions"),
        ({"image_ids": [7.5]}, "image ids must be whole numbers"),
        ({"category_ids": [3, 0]}, "scores for 3 classes, but 2 category ids"),
        ({"category_ids": [3, 0, 3]}, "1 categories twice, such as 3"),
        ({"category_ids": [3, 0, 1]}, "1 category id that is not among .* namely 1;"),
        ({"category_ids": None}, "scores for 3 classes, but there are 12 species labels"),
        ({"granularity": "super"}, "only species have category ids"),
        ({"granularity": "genus"}, "there is no level genus"),
    ],
)
def test_bad_scores(changes, message):
    arguments = {"image_ids": [7], "scores": [[0.5, 0.25, 0.25]], "category_ids": [3, 0, 6]}
    with pytest.raises(InputError, match=message):
        inatdet.Predictions.from_scores(**arguments | changes, taxonomy=TAXONOMY, are_logits=False)


@pytest.mark.parametrize("k", [3, COUNT])
def test_sums_of_the_best(k):
    rng = np.random.default_rng(2)
    labels = np.stack([rng.permutation(COUNT)[:k] + 1 for _ in range(9)])
    probabilities = -np.sort(-rng.dirichlet(np.ones(k), 9), axis=1)
    table = np.concatenate([[0], SUPER_OF_SPECIES])
    found = sums_of_best(labels, probabilities, table)
    for row in range(9):
        expected = {}
        for label, probability in zip(labels[row], probabilities[row]):
            coarse = int(table[label])
            expected[coarse] = expected.get(coarse, 0.0) + probability
        got = dict(zip(found.labels[row].tolist(), found.probabilities[row].tolist()))
        got.pop(0, None)
        assert got == pytest.approx(expected, rel=1e-6)
        assert (np.diff(found.probabilities[row]) <= 0).all()


def test_sums_where_the_file_has_none():
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(6, COUNT))
    whole = inatdet.Predictions.from_scores(range(6), logits, taxonomy=TAXONOMY, are_logits=True)
    alone = inatdet.Predictions.from_arrays(
        range(6), whole.own.labels, whole.own.probabilities, taxonomy=TAXONOMY
    )
    assert whole.sums("super") is whole.ranked[SUPER]
    found = alone.sums("super")
    np.testing.assert_array_equal(found.labels, whole.ranked[SUPER].labels)
    np.testing.assert_allclose(found.probabilities, whole.ranked[SUPER].probabilities, rtol=1e-5)
    few = inatdet.Predictions.from_arrays(
        range(6), whole.own.labels[:, :3], whole.own.probabilities[:, :3], taxonomy=TAXONOMY
    )
    with pytest.raises(InputError, match="probabilities of 6 images, such as image 0, are not"):
        few.sums("super")
    ranks = inatdet.Predictions.from_arrays(range(6), whole.own.labels, taxonomy=TAXONOMY)
    with pytest.raises(InputError, match="no probabilities that could be summed"):
        ranks.sums("super")
    with pytest.raises(InputError, match="there is no level genus"):
        alone.sums("genus")
