"""Names of ranks that occur twice, are known for some categories only, or are made to do harm."""

import csv
import json

import numpy as np
import pytest

from inatdet.data.categories import FIELDS, Category
from inatdet.data.formats.coco import read_coco_annotations
from inatdet.data.formats.ranks import read_ranks, with_ranks
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from tests.detection_files import write_annotations

GENUS, PHYLUM = Granularity("genus"), Granularity("phylum")


def of(*rows):
    """A taxonomy of `(super-class, ranks)`, whose categories are called s0, s1, ..."""
    categories = [Category(i, f"s{i}", s).with_ranks(ranks) for i, (s, ranks) in enumerate(rows)]
    return Taxonomy.from_categories(categories, range(len(rows)))


def test_a_kingdom_that_some_lack_does_not_split_a_genus():
    taxonomy = of(
        ("Aves", {"genus": "Parus", "kingdom": "Animalia"}),
        ("Aves", {"genus": "Parus"}),
        ("Plantae", {"genus": "Prunella", "kingdom": "Plantae"}),
        ("Aves", {"genus": "Prunella"}),
    )
    assert taxonomy.names(GENUS) == ("Parus", "Prunella (Plantae)", "Prunella (Aves)")
    assert taxonomy.label_of_category(GENUS) == {0: 1, 1: 1, 2: 2, 3: 3}


def test_a_kingdom_that_only_boxless_categories_lack_does_not_split_either():
    categories = [
        Category(1, "a", "Aves").with_ranks({"genus": "Parus", "kingdom": "Animalia"}),
        Category(2, "b", "Aves").with_ranks({"genus": "Parus"}),
    ]
    taxonomy = Taxonomy.from_categories(categories, [1])
    assert taxonomy.label_of_category(GENUS) == {1: 1, 2: 1}


def test_names_differ_although_one_already_says_where_it_belongs():
    taxonomy = of(
        ("Aves", {"genus": "Prunella (Aves)"}),
        ("Aves", {"genus": "Prunella"}),
        ("Plantae", {"genus": "Prunella"}),
    )
    names = taxonomy.names(GENUS)
    assert len(set(names)) == 3 and names[2] == "Prunella (Plantae)"
    assert taxonomy.category_of_name(GENUS)[names[1]] == 1


def test_a_phylum_called_like_a_species_has_no_empty_brackets():
    taxonomy = of(("Aves", {"phylum": "s1"}), ("Mammalia", {}))
    assert taxonomy.names(PHYLUM) == ("s1", "s1 (1)")


def test_names_are_the_same_after_saving(tmp_path):
    taxonomy = of(("Aves", {"genus": "Prunella"}), ("Plantae", {"genus": "Prunella"}), ("Aves", {}))
    taxonomy.save(tmp_path / "taxonomy.json")
    loaded = Taxonomy.load(tmp_path / "taxonomy.json")
    assert loaded.agrees_with(taxonomy, taxonomy.levels)
    assert loaded.levels == taxonomy.levels and loaded.without_value(GENUS) == 1
    loaded.write_label_maps(tmp_path)
    assert "name: 'Prunella (Aves)'" in (tmp_path / "genus_label_map.pbtxt").read_text()


@pytest.mark.parametrize("rank", FIELDS)
@pytest.mark.parametrize("value", [None, 7, 1.5, True, "", "  ", ["Corvus"], {"a": {"b": []}}])
def test_fields_of_other_types_count_as_missing(tmp_path, rank, value):
    path = tmp_path / "val.json"
    write_annotations(path)
    content = json.loads(path.read_text())
    for category in content["categories"]:
        category[rank] = value
    content["categories"][0][rank] = " Corvus  x "
    path.write_text(json.dumps(content))
    taxonomy = read_coco_annotations(path).taxonomy
    level = Granularity(rank)
    if level in taxonomy.levels:
        assert taxonomy.without_value(level) == len(taxonomy.species) - 1
        assert "Corvus x" in taxonomy.names(level)
    else:
        assert level in {misfit.granularity for misfit in taxonomy.misfits}


@pytest.mark.parametrize("value", ["Cor\x00vus", "\x1b[31mCorvus", "\ud800", "a\u202eb"])
def test_names_that_cannot_be_printed_are_refused(tmp_path, value):
    path = tmp_path / "val.json"
    write_annotations(path)
    content = json.loads(path.read_text())
    content["categories"][0]["genus"] = value
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        read_coco_annotations(path)
    message = str(caught.value)
    assert str(path) in message and message.isprintable() and len(message) < 500


CATEGORIES = [Category(i, f"Genus{i % 50} s{i}", "Aves") for i in range(10_000)]


def write(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def test_ten_thousand_rows(tmp_path):
    rows = [(i, f"Genus{i % 50}", f"Family{i % 5}") for i in range(20_000)]
    path = write(tmp_path / "ranks.csv", [("id", "genus", "family"), *rows])
    found = read_ranks(path, CATEGORIES)
    assert len(found) == 10_000 and found[51] == {"genus": "Genus1", "family": "Family1"}


def test_names_of_ranks_that_are_methods_elsewhere(tmp_path):
    for name in ("__proto__", "constructor", "../x", "a b", "x" * 41, "genus\x00", "1"):
        path = write(tmp_path / "ranks.csv", [("id", name), (1, "x")])
        if name == "constructor":
            assert read_ranks(path, CATEGORIES) == {1: {"constructor": "x"}}
            continue
        with pytest.raises(InputError, match=r"ranks\.csv") as caught:
            read_ranks(path, CATEGORIES)
        assert str(caught.value).isprintable() and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"id,genus\n1,Par\x00us\n", "row 2: has a character that cannot be printed in its genus"),
        (b"id,genus\n1,Par\x1b[1mus\n", "row 2: has a character that cannot be printed"),
        (b"id,genus,genus\n1,a,b\n", "different ranks"),
        (b"id,genus,Genus \n1,a,b\n", "different ranks"),
        (b"id,category_id,genus\n1,2,a\n", "different ranks"),
        (b"id,\n1,x\n", "cannot name a granularity"),
        (b"id,genus\n1,\xff\xfe\xfa\n", "ranks.csv"),
        (b"\x00" * 1000, "ranks.csv"),
        (b'id,genus\n1,"Parus\n2,Corvus\n', "is not CSV"),  # not a genus "Parus 2,Corvus"
        (b"id,genus\n" + b"9" * 5000 + b",Parus\n", "no row has the id"),
    ],
)
def test_tables_made_to_do_harm(tmp_path, content, words):
    path = tmp_path / "ranks.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_ranks(path, CATEGORIES[:100])
    message = str(caught.value)
    assert words in message and str(path) in message
    assert message.isprintable() and len(message) < 600


def test_a_thousand_columns(tmp_path):
    header = ["id", *(f"rank_{i}" for i in range(1000))]
    path = write(tmp_path / "ranks.csv", [header, [5, *range(1000)]])
    with pytest.raises(InputError, match=r"ranks\.csv: names 1,000 ranks, more than the \d+"):
        read_ranks(path, CATEGORIES)
    with pytest.raises(ValueError, match="has 1,000 ranks, more than"):
        CATEGORIES[0].with_ranks(dict.fromkeys(header[1:], "x"))


def test_ranks_of_ranks_do_not_mix(tmp_path):
    annotations = read_coco_annotations(write_annotations(tmp_path / "val.json"))
    path = write(tmp_path / "ranks.csv", [("name", "genus"), ("Corvus", "C"), ("Pica", "P")])
    ranked = with_ranks(annotations, path, genus_from_names=True)
    (note,) = ranked.notes
    assert note.endswith(
        "5 of 5 names are no binomials and give no genus ('Corvus', 'Apis', 'Pica', ...)"
    )
    assert set(ranked.taxonomy.names(GENUS)) == {"C", "P", "Apis"}
    assert ranked.taxonomy.without_value(GENUS) == 1
    assert annotations.taxonomy.levels == ALWAYS
    assert np.array_equal(
        ranked.taxonomy.coarsen(np.arange(1, 4), Granularity("species"), GENUS), [1, 2, 3]
    )
