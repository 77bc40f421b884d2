"""Our files of predictions: written and read again."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inatdet.data.categories import Category
from inatdet.data.formats import predictions_parquet
from inatdet.data.formats.detections import DetectionsWriter, read_detections
from inatdet.data.formats.predictions import PredictionsWriter, read_predictions
from inatdet.data.formats.writing import write_predictions
from inatdet.data.granularity import Granularity
from inatdet.data.predictions import Ranked
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

CATEGORIES = [
    Category(5, "Corvus", "Aves"),
    Category(0, "Apis", "Insecta"),
    Category(9, "Pica", "Aves"),
    Category(2, "Quercus", "Plantae"),
]
# Labels of species by id: Apis 0, Quercus 2, Corvus 5, Pica 9.
TAXONOMY = Taxonomy.from_categories(CATEGORIES, {5, 0, 9, 2})
SPECIES, SUPER = Granularity.SPECIES, Granularity.SUPER
IDS = np.array([7, 3, 8])
OWN = Ranked(
    np.array([[3, 4, 1], [1, 0, 0], [2, 0, 4]]),
    np.array([[0.5, 0.25, 0.25], [1, 0, 0], [0.5, 0.25, 0.125]], np.float32),
)
# Super-classes in the order of the file: Aves, Insecta, Plantae.
COARSE = Ranked(np.array([[1, 2], [2, 3], [3, 1]]), np.array([[0.75, 0.25]] * 3, np.float32))
COARSE_OF_TWO = Ranked(np.array([[1, 2], [2, 1], [2, 1]]))


def write(path, own=OWN, taxonomy=TAXONOMY, granularity=SPECIES, coarse=COARSE, **options):
    ranked = {granularity: own} | ({} if coarse is None else {SUPER: coarse})
    levels = [level for level in ranked if level != granularity]
    with PredictionsWriter(path, granularity, taxonomy, levels=levels, **options) as writer:
        for rows in (slice(0, 2), slice(2, 2), slice(2, 3)):
            writer.append(
                IDS[rows],
                {
                    level: Ranked(
                        found.labels[rows],
                        None if found.probabilities is None else found.probabilities[rows],
                    )
                    for level, found in ranked.items()
                },
            )
    return str(path)


@pytest.mark.parametrize("rows_per_group", [1, 2, 1000])
def test_round_trip(tmp_path, rows_per_group):
    path = write(
        tmp_path / "p.parquet", rows_per_group=rows_per_group, model="m", settings={"k": 3}
    )
    found = read_predictions(path, TAXONOMY)
    assert (found.trained_on, found.model, found.settings) == (SPECIES, "m", {"k": 3})
    assert found.notes == ()
    np.testing.assert_array_equal(found.image_ids, IDS)
    for level, expected in ((SPECIES, OWN), (SUPER, COARSE)):
        np.testing.assert_array_equal(found.ranked[level].labels, expected.labels)
        np.testing.assert_array_equal(found.ranked[level].probabilities, expected.probabilities)
        assert found.ranked[level].labels.dtype == np.int32
        assert found.ranked[level].probabilities.dtype == np.float32
    assert [p.name for p in tmp_path.iterdir()] == ["p.parquet"]


def test_only_the_order_is_known(tmp_path):
    path = write(tmp_path / "p.parquet", Ranked(OWN.labels), coarse=None, has_probabilities=False)
    found = read_predictions(path, TAXONOMY)
    assert found.own.probabilities is None
    np.testing.assert_array_equal(found.own.labels, OWN.labels)


def test_unknown_guesses_keep_their_rank_in_a_file(tmp_path):
    """Also where an image has no other guess: it stays apart from one without any."""
    own = Ranked(np.array([[0, 4, 0], [0, 0, 0], [0, 0, 1]]))
    path = write(tmp_path / "p.parquet", own, coarse=None, has_probabilities=False)
    found = read_predictions(path, TAXONOMY)
    np.testing.assert_array_equal(found.own.labels, own.labels)
    assert pq.read_table(path)["labels"].to_pylist() == [[0, 4], [0], [0, 0, 1]]


def test_what_is_read_is_written_again(tmp_path):
    path = write(tmp_path / "p.parquet", model="m", settings={"k": 3})
    found = read_predictions(path, TAXONOMY)
    write_predictions(found, tmp_path / "q.parquet")
    again = read_predictions(tmp_path / "q.parquet", TAXONOMY)
    assert (again.model, again.settings) == ("m", {"k": 3})
    for level in (SPECIES, SUPER):
        for name in ("labels", "probabilities"):
            before, after = (getattr(p.ranked[level], name) for p in (found, again))
            np.testing.assert_array_equal(before, after)
    with pytest.raises(InputError, match=r"must end in \.parquet"):
        write_predictions(found, tmp_path / "p.csv")


GUESSES = st.permutations([1, 2, 3, 4]).flatmap(
    lambda labels: st.integers(1, 4).map(lambda count: labels[:count])
)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(GUESSES, min_size=1, max_size=9), st.integers(0, 9), st.integers(1, 10))
def test_any_lists(tmp_path_factory, lists, cut, rows_per_group):
    """Of any lengths, in any groups of rows, read in blocks of two."""
    path = tmp_path_factory.mktemp("lists") / "p.parquet"
    width = max(map(len, lists))
    labels = np.array([row + [0] * (width - len(row)) for row in lists])
    with PredictionsWriter(
        path, SPECIES, TAXONOMY, has_probabilities=False, rows_per_group=rows_per_group
    ) as writer:
        for rows in (slice(0, cut), slice(cut, None)):
            writer.append(np.arange(len(lists))[rows], {SPECIES: Ranked(labels[rows])})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictions_parquet, "_ROWS_AT_ONCE", 2)
        found = read_predictions(path, TAXONOMY)
    np.testing.assert_array_equal(found.own.labels, labels)


def test_labels_are_matched_by_category_id_and_name(tmp_path):
    # The model knew three; the evaluation has Quercus between them.
    models = Taxonomy.from_categories(CATEGORIES[:3], {5, 0, 9})
    own = Ranked(np.array([[1, 2, 3], [2, 1, 3], [3, 2, 1]]))
    path = write(tmp_path / "p.parquet", own, models, coarse=COARSE_OF_TWO, has_probabilities=False)
    found = read_predictions(path, TAXONOMY)
    assert found.own.labels.tolist() == [[1, 3, 4], [3, 1, 4], [4, 3, 1]]
    before, after = (np.array(["", *spaces.names(SUPER)]) for spaces in (models, TAXONOMY))
    np.testing.assert_array_equal(after[found.ranked[SUPER].labels], before[COARSE_OF_TWO.labels])
    assert found.notes == ()


def test_labels_that_the_evaluation_lacks(tmp_path):
    path = write(tmp_path / "p.parquet", coarse=None)
    without = Taxonomy.from_categories([CATEGORIES[i] for i in (0, 1, 3)], {5, 0, 2})  # no Pica
    found = read_predictions(path, without)
    assert found.own.labels.tolist() == [[3, 0, 1], [1, 0, 0], [2, 0, 0]]
    np.testing.assert_array_equal(found.own.probabilities, OWN.probabilities)
    (note,) = found.notes
    assert note == (
        f"{path}: 1 of its 4 species labels are not in the label spaces, such as 9 'Pica'; 2 "
        "guesses of them, 0 of which are first, count as wrong"
    )


def test_an_id_of_another_species_is_not_it(tmp_path):
    path = write(tmp_path / "p.parquet", coarse=None)
    renamed = [*CATEGORIES[1:], Category(5, "Corax", "Aves")]
    found = read_predictions(path, Taxonomy.from_categories(renamed, {5, 0, 9, 2}))
    assert found.own.labels.tolist() == [[0, 4, 1], [1, 0, 0], [2, 0, 4]]
    assert "such as 5 'Corvus' (there 'Corax'); 1 guesses of them, 1 of which" in found.notes[0]


def test_labels_nobody_predicts_are_no_news(tmp_path):
    own = Ranked(np.array([[1], [1], [1]]))
    path = write(tmp_path / "p.parquet", own, coarse=None, has_probabilities=False)
    assert read_predictions(path, Taxonomy.from_categories(CATEGORIES[:2], {0, 5})).notes == ()


def test_label_spaces_of_another_dataset(tmp_path):
    path = write(tmp_path / "p.parquet", coarse=None)
    other = Taxonomy.from_categories([Category(5, "Felis", "Mammalia")], {5})
    with pytest.raises(
        InputError,
        match=r"none of its 4 species labels is in the label spaces, which lack 0 'Apis', 2 "
        r"'Quercus', 5 'Corvus' \(there 'Felis'\); .* --taxonomy",
    ):
        read_predictions(path, other)


def test_levels_that_the_evaluation_lacks(tmp_path):
    genus = Granularity("genus")
    ranked = TAXONOMY.with_ranks({c.id: {"genus": c.name[0]} for c in CATEGORIES})
    with PredictionsWriter(tmp_path / "p.parquet", SPECIES, ranked, levels=[genus]) as writer:
        writer.append(IDS, {SPECIES: OWN, genus: OWN})
    found = read_predictions(tmp_path / "p.parquet", TAXONOMY)
    assert list(found.ranked) == [SPECIES]
    assert "what it says at the level genus is left out" in found.notes[0]
    assert list(read_predictions(tmp_path / "p.parquet", ranked).ranked) == [SPECIES, genus]
    path = write(tmp_path / "g.parquet", OWN, ranked, genus, coarse=None)
    assert read_predictions(path, ranked).trained_on is genus
    with pytest.raises(InputError, match="there is no level genus"):
        read_predictions(path, TAXONOMY)


def test_levels_must_be_coarser(tmp_path):
    with pytest.raises(ValueError, match=r"\['species'\] are not all coarser than super"):
        PredictionsWriter(tmp_path / "p.parquet", SUPER, TAXONOMY, levels=[SPECIES])


def test_missing_images(tmp_path):
    found = read_predictions(write(tmp_path / "p.parquet"), TAXONOMY)
    assert found.missing(np.array([3, 4, 8, 9])).tolist() == [4, 9]
    assert found.select(np.array([2, 0])).image_ids.tolist() == [8, 7]
    assert found.select(np.array([2, 0])).own.labels.tolist() == [[2, 0, 4], [3, 4, 1]]


def test_failed_writing_leaves_nothing(tmp_path):
    def interrupted():
        with PredictionsWriter(tmp_path / "p.parquet", SPECIES, TAXONOMY) as writer:
            writer.append(IDS, {SPECIES: OWN})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


ONE = np.array([[1]] * 3)


@pytest.mark.parametrize(
    ("ids", "own", "message"),
    [
        (IDS, Ranked(np.array([[1], [2], [5]]), np.ones((3, 1))), "image 8 has the label 5; .* 4"),
        (IDS, Ranked(np.array([[1], [2], [-1]]), np.ones((3, 1))), "image 8 has the label -1"),
        (IDS, Ranked(np.array([[1, 1]] * 3), np.full((3, 2), 0.5)), "image 7 has label 1 twice"),
        (IDS, Ranked(ONE, np.array([[0.5], [np.nan], [1]])), "image 3 has the probability nan"),
        (IDS, Ranked(ONE), "species labels have no probabilities"),
        (IDS, Ranked(np.array([1, 2, 3]), np.ones(3)), r"of the shape \(3,\)"),
        (IDS[:2], Ranked(ONE, np.ones((3, 1))), "2 images have species labels"),
        (IDS, Ranked(ONE, np.ones((3, 2))), "have different shapes"),
        (IDS + 0.5, Ranked(ONE, np.ones((3, 1))), "image_id must be whole"),
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path, ids, own, message):
    with (
        pytest.raises(ValueError, match=message),
        PredictionsWriter(tmp_path / "p.parquet", SPECIES, TAXONOMY) as writer,
    ):
        writer.append(ids, {SPECIES: own})
    assert list(tmp_path.iterdir()) == []


def rewrite(path, **columns):
    """Replaces columns of a file; None removes one."""
    table = pq.read_table(path)
    for name, values in columns.items():
        at = table.schema.names.index(name)
        table = table.remove_column(at)
        if values is not None:
            table = table.add_column(at, name, [values])
    pq.write_table(table, path)


LISTS = [[3, 4, 1], [1], [2, 4]]
LONG = [0.5, 0.25, 0.25]
GOOD = [LONG, [1.0], [0.5, 0.25]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image_id": [7, 3, 7]}, "has image 7 twice or more often; 1 image is like this"),
        ({"image_id": [7, 3, None]}, "column 'image_id' has empty cells"),
        ({"image_id": ["a", "b", "c"]}, "column 'image_id' contains string, not numbers"),
        ({"image_id": None}, "has no column 'image_id'"),
        ({"labels": None}, "has no column 'labels'"),
        ({"labels": [3, 1, 2]}, "column 'labels' contains int64, not lists of numbers"),
        ({"labels": [["a"], ["b"], ["c"]]}, "contains list<.*string>, not lists of numbers"),
        ({"labels": [[3, 4, 1], [], [2, 4]]}, "image 3 has 0 labels but 1 probabilities"),
        ({"labels": [[3, 4, 1], None, [2, 4]]}, "column 'labels' has empty cells"),
        ({"labels": [[3, 4, 1], [None], [2, 4]]}, "column 'labels' has empty cells"),
        ({"labels": [[3, 4, 5], [1], [2, 4]]}, "image 7 has the label 5; 1 image is like this"),
        ({"labels": [[3, 4, 3], [1], [2, 2]]}, "image 7 has label 3 twice; 2 images are like"),
        ({"labels": [[3, 4], [1], [2, 4]]}, "image 7 has 2 labels but 3 probabilities"),
        ({"labels": [[]] * 3, "probabilities": [[]] * 3}, "has empty|contains list<.*null>"),
        ({"labels": [[1], [], [1]], "probabilities": [[1.0], [], [1.0]]}, "image 3 has no label"),
        ({"probabilities": [[0.5, 0.25, np.nan], *GOOD[1:]]}, "image 7 has the probability nan"),
        ({"probabilities": [[np.inf, 0.25, 0.25], *GOOD[1:]]}, "image 7 has the probability inf"),
        ({"probabilities": [[0.5, 0.25, -0.1], *GOOD[1:]]}, "image 7 has the probability -0.1"),
        ({"probabilities": [LONG, [1.0], [1.1, 0]]}, "image 8 has the probability 1.1"),
        ({"probabilities": [LONG, [1.0], [0.2, 0.3]]}, "image 8 does not have its probabilities"),
        ({"probabilities": [LONG, [1.0], [0.8, 0.3]]}, "image 8 has probabilities that sum to 1.1"),
    ],
)
def test_bad_contents(tmp_path, columns, message):
    path = tmp_path / "p.parquet"
    whole = Ranked(np.array([[3, 4, 1], [1, 0, 0], [2, 4, 0]]), OWN.probabilities * [1, 1, 0.5])
    write(path, Ranked(whole.labels, np.where(whole.labels, OWN.probabilities, 0)), coarse=None)
    assert pq.read_table(path)["labels"].to_pylist() == LISTS
    rewrite(path, **columns)
    with pytest.raises(InputError, match=message) as caught:
        read_predictions(path, TAXONOMY)
    assert str(caught.value).startswith(f"{path}: ")


def test_rounding_is_allowed(tmp_path):
    path = write(tmp_path / "p.parquet", coarse=None)
    rewrite(path, labels=LISTS, probabilities=[[0.5, 0.25, 0.250001], [1.000001], [0.67, 0.335]])
    assert read_predictions(path, TAXONOMY).notes == ()


def test_unusual_layouts_of_parquet(tmp_path):
    """Other types, other lists, more columns, in another order."""
    table = pq.read_table(write(tmp_path / "p.parquet", coarse=None))
    other = pa.table(
        {
            "note": ["a", None, "c"],
            "probabilities": pa.array(GOOD, pa.list_(pa.float32())),
            "labels": pa.array(LISTS, pa.large_list(pa.float64())),
            "image_id": pa.array(IDS, pa.uint16()),
        },
        metadata=table.schema.metadata,
    )
    pq.write_table(other, tmp_path / "a.parquet", compression="none", data_page_version="2.0")
    found = read_predictions(tmp_path / "a.parquet", TAXONOMY)
    assert found.own.labels.tolist() == [[3, 4, 1], [1, 0, 0], [2, 4, 0]]
    fixed = pa.array([[3, 4], [1, 2], [2, 4]], pa.list_(pa.int64(), 2))
    schema = pa.schema([("image_id", pa.int64()), ("labels", fixed.type)], table.schema.metadata)
    pq.write_table(pa.table([IDS, fixed], schema=schema), tmp_path / "b.parquet")
    found = read_predictions(tmp_path / "b.parquet", TAXONOMY)
    assert found.own.labels.tolist() == [[3, 4], [1, 2], [2, 4]]


def test_a_newer_version_and_an_edited_file(tmp_path):
    path = write(tmp_path / "p.parquet")
    table = pq.read_table(path)
    said = json.loads(table.schema.metadata[b"inatdet"])
    for changes, message in (
        ({"version": 3}, "format version 3, .* or write the file again with `inatdet classify`"),
        ({"coarser": {"super": ["Aves"]}}, "does not match the hash stored with it"),
        ({"content": "songs"}, "does not describe its label space"),
    ):
        metadata = {b"inatdet": json.dumps(said | changes)}
        pq.write_table(table.replace_schema_metadata(metadata), path)
        with pytest.raises(InputError, match=message):
            read_predictions(path, TAXONOMY)


def test_a_list_that_would_fill_the_memory(tmp_path, monkeypatch):
    path = write(tmp_path / "p.parquet", coarse=None)
    monkeypatch.setattr(predictions_parquet, "_FREE_VALUES", 8)
    monkeypatch.setattr(predictions_parquet, "_VALUES_PER_BYTE", 0)
    with pytest.raises(InputError, match="a list of 3 elements, too many for 3 images"):
        read_predictions(path, TAXONOMY)


def test_detections_and_predictions_are_not_mixed_up(tmp_path):
    path = write(tmp_path / "p.parquet")
    with pytest.raises(InputError, match="holds predictions, not detections; give it as --pred"):
        read_detections(path, None, TAXONOMY)
    with DetectionsWriter(tmp_path / "d.parquet", SPECIES, TAXONOMY) as writer:
        writer.append(IDS, IDS - 2, np.ones(3), np.ones((3, 4)))
    with pytest.raises(InputError, match="holds detections, not predictions; give it as --detec"):
        read_predictions(tmp_path / "d.parquet", TAXONOMY)
