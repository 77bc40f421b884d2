"""Tests of the label spaces."""

from __future__ import annotations

import json

import numpy as np
import pytest

from inatdet.data.categories import Category
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.data.super_classes import PAPER_SUPER_CLASSES
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

SPECIES, SUPER, GENERIC = Granularity.SPECIES, Granularity.SUPER, Granularity.GENERIC

# Unsorted, with a gap, starting at 0; 5 and 9 have no box.
CATEGORIES = [
    Category(7, "Vespa crabro", "Insecta"),
    Category(0, "Pica pica", "Aves"),
    Category(9, "Quercus robur", "Plantae"),
    Category(3, "Apis mellifera", "Insecta"),
    Category(5, "Corvus corax", "Aves"),
]
BOXED = [0, 3, 7]


@pytest.fixture
def taxonomy() -> Taxonomy:
    return Taxonomy.from_categories(CATEGORIES, BOXED)


def test_labels_by_hand(taxonomy):
    assert taxonomy.names(SPECIES) == ("Pica pica", "Apis mellifera", "Vespa crabro")
    assert taxonomy.names(SUPER) == ("Insecta", "Aves")
    assert taxonomy.names(GENERIC) == ("animal",)
    assert [c.id for c in taxonomy.unboxed] == [5, 9]
    assert [taxonomy.num_labels(g) for g in ALWAYS] == [3, 2, 1]
    assert taxonomy.label_of_category(SPECIES) == {0: 1, 3: 2, 7: 3}
    # Corvus corax has no box but is a bird; Plantae has no label.
    assert taxonomy.label_of_category(SUPER) == {0: 2, 3: 1, 7: 1, 5: 2}
    assert taxonomy.label_of_category(GENERIC) == {0: 1, 3: 1, 7: 1, 5: 1, 9: 1}


@pytest.mark.parametrize(
    ("supers", "expected"),
    [
        (["Aves", "Insecta"], ("Insecta", "Aves")),
        (["Actinopterygii", "Arachnida", "Mammalia"], ("Mammalia", "Arachnida", "Actinopterygii")),
        (PAPER_SUPER_CLASSES[::-1], PAPER_SUPER_CLASSES),
        (["Aves", "Trilobita", "Insecta"], ("Aves", "Trilobita", "Insecta")),
        (["one"], ("one",)),
    ],
)
def test_order_of_super_classes(supers, expected):
    categories = [Category(90 - i, f"s{i}", name) for i, name in enumerate(supers)]
    taxonomy = Taxonomy.from_categories(categories, [c.id for c in categories])
    assert taxonomy.super_classes == expected


def test_given_super_classes():
    given = Taxonomy.from_categories(CATEGORIES, BOXED, ["Aves", "Plantae", "Insecta"])
    assert given.super_classes == ("Aves", "Plantae", "Insecta")
    assert given.label_of_category(SUPER) == {0: 1, 5: 1, 9: 2, 3: 3, 7: 3}


@pytest.mark.parametrize(
    ("categories", "boxed", "supers", "words"),
    [
        (CATEGORIES, [], None, "no category has a box"),
        (CATEGORIES, [0, 4], None, "category 4, which is not listed"),
        ([*CATEGORIES, Category(0, "again", "Aves")], BOXED, None, "same id"),
        (CATEGORIES, BOXED, ["Aves", "Aves", "Insecta"], "have a repeat"),
        (CATEGORIES, BOXED, ["Aves"], "'Insecta' has boxes"),
        (CATEGORIES, BOXED, ["Aves", "Insecta", "aves"], "no category has the super-class 'aves'"),
    ],
)
def test_inconsistent_arguments(categories, boxed, supers, words):
    with pytest.raises(InputError, match=words):
        Taxonomy.from_categories(categories, boxed, supers)


def test_granularities_go_from_fine_to_coarse(taxonomy):
    assert taxonomy.coarser_or_equal(SPECIES) == taxonomy.levels == (SPECIES, SUPER, GENERIC)
    assert taxonomy.coarser_or_equal(SUPER) == (SUPER, GENERIC)
    assert taxonomy.coarser_or_equal(GENERIC) == (GENERIC,)
    assert Granularity("super") is SUPER and str(SUPER) == "super"


@pytest.mark.parametrize(
    ("source", "target", "labels", "expected"),
    [
        (SPECIES, SPECIES, [3, 1], [3, 1]),
        (SPECIES, SUPER, [1, 2, 3, 1], [2, 1, 1, 2]),
        (SPECIES, SUPER, [[1], [3]], [[2], [1]]),
        (SPECIES, GENERIC, [1, 2, 3], [1, 1, 1]),
        (SUPER, GENERIC, [2], [1]),
        (GENERIC, GENERIC, [], []),
    ],
)
def test_coarsen(taxonomy, source, target, labels, expected):
    for dtype in (np.int32, np.int64):
        coarse = taxonomy.coarsen(np.array(labels, dtype), source, target)
        assert coarse.dtype == dtype
        np.testing.assert_array_equal(coarse, np.array(expected, dtype))


@pytest.mark.parametrize(
    ("source", "target", "labels"),
    [(SUPER, SPECIES, [1]), (GENERIC, SUPER, [1]), (SPECIES, SUPER, [0]), (SPECIES, SUPER, [4])],
)
def test_coarsen_refuses(taxonomy, source, target, labels):
    with pytest.raises(ValueError, match="labels"):
        taxonomy.coarsen(np.array(labels), source, target)


def test_coarsening_agrees_with_categories():
    """Random taxonomies: via the species label or straight from the category is the same."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        ids = rng.choice(1000, size=30, replace=False).tolist()
        categories = [Category(i, f"n{i}", f"super{rng.integers(5)}") for i in ids]
        boxed = rng.choice(ids, size=12)
        taxonomy = Taxonomy.from_categories(categories, boxed)
        assert taxonomy.num_labels(SPECIES) == len(set(boxed.tolist()))
        name = {c.id: c.supercategory for c in categories}
        for category, label in taxonomy.label_of_category(SPECIES).items():
            coarse = taxonomy.coarsen(np.array([label]), SPECIES, SUPER)[0]
            assert coarse == taxonomy.label_of_category(SUPER)[category]
            assert taxonomy.names(SUPER)[coarse - 1] == name[category]


def test_file_round_trip(taxonomy, tmp_path):
    path = tmp_path / "new" / "taxonomy.json"
    taxonomy.save(path)
    assert Taxonomy.load(path) == taxonomy
    given = Taxonomy.from_categories(CATEGORIES, BOXED, ["Aves", "Plantae", "Insecta"])
    given.save(path)
    assert Taxonomy.load(path) == given


def test_files_without_a_version_are_read(taxonomy, tmp_path):
    path = tmp_path / "taxonomy.json"
    taxonomy.save(path)
    content = json.loads(path.read_text())
    assert content.pop("version") == 2
    path.write_text(json.dumps(content))
    assert Taxonomy.load(path) == taxonomy


def _spoil(record, key, value):
    record[key] = value
    return record


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda r: [], "not a taxonomy"),
        (lambda r: _spoil(r, "format", "x"), "not a taxonomy"),
        (
            lambda r: _spoil(r, "version", 99),
            r"version 99, but .* up to 2; update",
        ),
        (lambda r: _spoil(r, "super_classes", None), "super_classes"),
        (lambda r: _spoil(r, "super_classes", [1, 2]), "super_classes"),
        (lambda r: _spoil(r, "super_classes", ["Aves"]), "'Insecta' has boxes"),
        (lambda r: _spoil(r, "species", {}), "list of species"),
        (lambda r: _spoil(r, "species", []), "no category has a box"),
        (lambda r: _spoil(r, "species", r["species"][::-1]), "label 1"),
        (lambda r: _spoil(r, "unboxed", r["species"]), "same id"),
        (lambda r: _spoil(r, "unboxed", [{"id": "3"}]), "entry 1 of unboxed has no whole number"),
        (lambda r: _spoil(r, "unboxed", [{"id": 3, "name": ""}]), "has no name"),
    ],
)
def test_damaged_files(taxonomy, tmp_path, spoil, words):
    path = tmp_path / "taxonomy.json"
    taxonomy.save(path)
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    with pytest.raises(InputError, match=words) as caught:
        Taxonomy.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", '{"format": "inatdet', "[" * 100_000])
def test_files_that_are_not_json(tmp_path, text):
    path = tmp_path / "taxonomy.json"
    path.write_text(text)
    with pytest.raises(InputError, match="not valid JSON"):
        Taxonomy.load(path)
    with pytest.raises(InputError, match="cannot be read"):
        Taxonomy.load(tmp_path / "absent.json")


def test_label_maps(taxonomy, tmp_path):
    taxonomy.write_label_maps(tmp_path)
    text = (tmp_path / "super_label_map.pbtxt").read_text()
    assert text == "item {\n  id: 1\n  name: 'Insecta'\n}\nitem {\n  id: 2\n  name: 'Aves'\n}\n"
    assert (tmp_path / "generic_label_map.pbtxt").read_text().count("item") == 1
    assert (tmp_path / "species_label_map.pbtxt").read_text().count("item") == 3


def test_label_map_names_survive_the_text_format(tmp_path):
    """Protobuf's own parser reads every name back as it was."""
    struct_pb2 = pytest.importorskip("google.protobuf.struct_pb2")
    from google.protobuf import text_format

    names = ["it's", "back\\slash", 'say "x"', "Ünïcode 蛙", "two\nlines", "\\'", "tab\t1", "\x7f9"]
    taxonomy = Taxonomy.from_categories(
        [Category(i, name, "s") for i, name in enumerate(names)], range(len(names))
    )
    taxonomy.write_label_maps(tmp_path)
    text = (tmp_path / "species_label_map.pbtxt").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("name:")]
    parsed = [
        text_format.Parse(line.replace("name:", "string_value:"), struct_pb2.Value()).string_value
        for line in lines
    ]
    assert parsed == names
