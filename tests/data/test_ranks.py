"""Tests of ranks between the species and the generic level."""

from __future__ import annotations

import itertools
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inatdet.data.categories import FIELDS, Category
from inatdet.data.formats.ranks import genera_of_names, read_ranks
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

SPECIES, SUPER, GENERIC = ALWAYS
GENUS, FAMILY, ORDER = map(Granularity, ("genus", "family", "order"))


def category(number, name, supercategory, **ranks) -> Category:
    entry = {"id": number, "name": name, "supercategory": supercategory, **ranks}
    return Category.from_entry(entry)


TITS = [
    category(8, "Parus major", "Aves", genus="Parus", family="Paridae", order="Passeriformes"),
    category(0, "Parus minor", "Aves", genus="Parus", family="Paridae", order="Passeriformes"),
    category(3, "Poecile alpina", "Aves", genus="Poecile", family="Paridae", order="Passeriformes"),
    category(5, "Apis mellifera", "Insecta", genus="Apis", family="Apidae", order="Hymenoptera"),
    category(6, "Apis cerana", "Insecta", genus="Apis", family="Apidae", order="Hymenoptera"),
]  # fmt: skip


def of(categories, boxed=None) -> Taxonomy:
    ids = [c.id for c in categories] if boxed is None else boxed
    return Taxonomy.from_categories(categories, ids)


def test_there_is_one_granularity_per_name():
    assert Granularity("genus") is GENUS and pickle.loads(pickle.dumps(GENUS)) is GENUS
    assert json.dumps({"a": GENUS}) == '{"a": "genus"}' and f"{GENUS}" == "genus"
    assert type(str(GENUS)) is str
    for name in ("", "Genus", "a b", "x" * 41, "../x", "1st"):
        with pytest.raises(ValueError, match="cannot name a granularity"):
            Granularity(name)


def test_levels_by_hand():
    taxonomy = of(TITS, [0, 3, 5, 6])
    assert taxonomy.levels == (SPECIES, GENUS, FAMILY, ORDER, SUPER, GENERIC)
    assert taxonomy.misfits == ()
    assert taxonomy.names(GENUS) == ("Parus", "Poecile", "Apis")
    assert taxonomy.names(FAMILY) == ("Paridae", "Apidae")
    # Parus major has no box, but its genus has a label.
    assert taxonomy.label_of_category(GENUS) == {0: 1, 3: 2, 5: 3, 6: 3, 8: 1}
    assert taxonomy.coarsen(np.array([4, 1, 2]), SPECIES, GENUS).tolist() == [3, 1, 2]
    assert taxonomy.coarsen(np.array([3, 2]), GENUS, FAMILY).tolist() == [2, 1]
    assert taxonomy.coarser_or_equal(FAMILY) == (FAMILY, ORDER, SUPER, GENERIC)
    with pytest.raises(ValueError, match="finer"):
        taxonomy.coarsen(np.array([1]), FAMILY, GENUS)
    with pytest.raises(InputError, match="no level tribe, as no category names it; the levels are"):
        taxonomy.names(Granularity("tribe"))


def test_a_taxonomy_without_ranks_has_three_levels():
    plain = [Category(c.id, c.name, c.supercategory) for c in TITS]
    assert of(plain).levels == ALWAYS


@pytest.mark.parametrize("kingdoms", [True, False])
def test_names_of_two_genera_are_two_labels(kingdoms):
    ranks = [{"kingdom": "Animalia"}, {"kingdom": "Plantae"}] if kingdoms else [{}, {}]
    taxonomy = of(
        [
            category(1, "Prunella modularis", "Aves", genus="Prunella", **ranks[0]),
            category(2, "Prunella vulgaris", "Plantae", genus="Prunella", **ranks[1]),
            category(3, "Prunella collaris", "Aves", genus="Prunella", **ranks[0]),
            category(4, "Corvus corax", "Aves", genus="Corvus", **ranks[0]),
        ]
    )
    where = "Animalia" if kingdoms else "Aves"
    assert taxonomy.names(GENUS) == (f"Prunella ({where})", "Prunella (Plantae)", "Corvus")
    assert taxonomy.label_of_category(GENUS) == {1: 1, 2: 2, 3: 1, 4: 3}


def test_a_class_of_several_super_classes_is_one_label():
    taxonomy = of(
        [
            category(1, "Apis mellifera", "Insecta", phylum="Arthropoda"),
            category(2, "Argiope bruennichi", "Arachnida", phylum="Arthropoda"),
            category(3, "Pica pica", "Aves", phylum="Chordata"),
        ]
    )
    assert taxonomy.levels == (SPECIES, SUPER, Granularity("phylum"), GENERIC)
    assert taxonomy.names(Granularity("phylum")) == ("Arthropoda", "Chordata")


def test_a_species_without_a_value_keeps_a_label_of_its_own():
    taxonomy = of([*TITS, category(9, "Parus", "Aves"), category(2, "Parus", "Aves")])
    names = taxonomy.names(GENUS)
    assert taxonomy.without_value(GENUS) == 2 and taxonomy.without_value(SUPER) == 0
    assert names == ("Parus (Aves)", "Parus (2)", "Poecile", "Apis", "Parus (9)")
    assert len(set(taxonomy.label_of_category(GENUS).values())) == 5


def test_a_rank_that_does_not_fit_is_left_out_and_named():
    mixed = [
        *TITS,
        category(20, "Hydra viridis", "Animalia", phylum="Cnidaria"),
        category(21, "Lumbricus terrestris", "Animalia", phylum="Annelida"),
        category(22, "Apis dorsata", "Insecta", phylum="Arthropoda"),
        category(23, "Argiope aurantia", "Arachnida", phylum="Arthropoda"),
    ]
    taxonomy = of(mixed)
    (misfit,) = taxonomy.misfits
    assert misfit.granularity == "phylum" and "phylum" not in taxonomy.levels
    assert misfit.reason == (
        "lies neither within super nor around it: phylum Arthropoda has species in several "
        "labels of super"
    )
    with pytest.raises(InputError, match="no level phylum, as it lies neither within super"):
        taxonomy.num_labels(Granularity("phylum"))


def test_levels_with_equal_labels_stand_in_the_usual_order():
    taxonomy = of(
        [
            category(i, f"Genus{i} x", f"Super{i}", genus=f"G{i}", **{"class": f"C{i}"})
            for i in range(3)
        ]
    )
    assert taxonomy.levels == (SPECIES, GENUS, Granularity("class"), SUPER, GENERIC)


@st.composite
def categories(draw):
    """Categories with ranks that are sometimes nested, sometimes not, and sometimes missing."""
    count = draw(st.integers(1, 12))
    names = st.sampled_from(["a", "b", "c", "d", "", None])
    return [
        category(
            3 * i,
            draw(st.sampled_from(["a", "b", f"s{i}"])),
            draw(st.sampled_from(["S", "T"])),
            **{rank: draw(names) for rank in FIELDS},
        )
        for i in range(count)
    ]


@settings(max_examples=200, deadline=None)
@given(categories(), st.data())
def test_levels_are_nested_and_agree_with_categories(drawn, data):
    boxed = data.draw(st.sets(st.sampled_from([c.id for c in drawn]), min_size=1))
    taxonomy = of(drawn, boxed)
    labels = np.arange(1, taxonomy.num_labels(SPECIES) + 1)
    at = {level: taxonomy.coarsen(labels, SPECIES, level) for level in taxonomy.levels}
    assert set(ALWAYS) <= set(taxonomy.levels)
    for fine, coarse in itertools.combinations(taxonomy.levels, 2):
        pairs = set(zip(at[fine].tolist(), at[coarse].tolist()))
        assert len(pairs) == taxonomy.num_labels(fine) >= taxonomy.num_labels(coarse)
        np.testing.assert_array_equal(taxonomy.coarsen(at[fine], fine, coarse), at[coarse])
    for level in taxonomy.levels:
        assert len(set(taxonomy.names(level))) == taxonomy.num_labels(level) or level is SPECIES
        assert sorted(set(at[level].tolist())) == list(range(1, taxonomy.num_labels(level) + 1))
        of_category = taxonomy.label_of_category(level)
        assert [of_category[c.id] for c in taxonomy.species] == at[level].tolist()
    named = {rank for c in taxonomy.species for rank, _ in c.ranks}
    missing = {m.granularity for m in taxonomy.misfits}
    assert named == (set(taxonomy.levels) - set(ALWAYS)) | missing and not (
        missing & set(taxonomy.levels)
    )


def test_saved_ranks_are_read_again(tmp_path):
    path = tmp_path / "taxonomy.json"
    taxonomy = of(TITS, [0, 3, 5])
    taxonomy.save(path)
    assert Taxonomy.load(path) == taxonomy
    content = json.loads(path.read_text())
    for ranks, words in (
        ([], "no mapping of names as its ranks"),
        ({"genus": 1}, "no mapping of names as its ranks"),
        ({"super": "Aves"}, "gives super as a rank"),
        ({"Genus": "Parus"}, "cannot name a granularity"),
    ):
        content["species"][0]["ranks"] = ranks
        path.write_text(json.dumps(content))
        with pytest.raises(InputError, match=words):
            Taxonomy.load(path)


@pytest.mark.parametrize(
    "text",
    [
        "id,genus,Family\n8,Parus,Paridae\n0,Parus,\n77,Nobody,x\n",
        "\ufeffname;genus;family\r\nParus  major;Parus;Paridae\r\n\r\nParus minor; Parus ;\r\n",
        'family\tcategory_id\tgenus\nParidae\t8\tParus\n""\t0\tParus\n',
    ],
)
def test_tables_of_ranks(tmp_path, text):
    path = tmp_path / "ranks.csv"
    path.write_bytes(text.encode())
    assert read_ranks(path, TITS) == {
        8: {"genus": "Parus", "family": "Paridae"},
        0: {"genus": "Parus"},
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must name the columns"),
        ("id\n1\n", "must name the columns"),
        ("genus,family\n", "must name the columns"),
        ("id,genus,genus\n", "must name the columns"),
        ("id,super\n1,x\n", "a level of its own"),
        ("id,common name\n1,x\n", "'common name' cannot name a granularity"),
        ("id,genus\n8\n", "row 2: has 1 cells, but the header has 2"),
        ("id,genus\n8,Parus\n8,Poecile\n", "row 3: category 8 has other ranks in an earlier row"),
        ("id,genus\n99,Parus\n", "no row has the id of a category"),
        ("name,genus\nparus major,Parus\n", "no row has the name of a category"),
        ("name,genus\nTwice,Parus\n", "several categories are called 'Twice'"),
        (f"id,genus\n8,{'x' * 200_000}\n", "row 2: is not CSV"),
    ],
)
def test_tables_that_are_none(tmp_path, text, words):
    path = tmp_path / "ranks.csv"
    path.write_text(text)
    twice = [category(1, "Twice", "Aves"), category(2, "Twice", "Aves")]
    with pytest.raises(InputError, match=words) as caught:
        read_ranks(path, [*TITS, *twice])
    assert str(path) in str(caught.value)


def test_genera_of_names():
    names = ("Parus major", "× Mahoberberis neubertii", "Quercus × rosacea", "Parus",
             "corvus corax", "Blue Tit", "Homo sapiens sapiens", "Isoëtes lacustris")  # fmt: skip
    found, others = genera_of_names([category(i, name, "s") for i, name in enumerate(names)])
    assert {i: ranks["genus"] for i, ranks in found.items()} == {
        0: "Parus", 1: "Mahoberberis", 2: "Quercus", 6: "Homo", 7: "Isoëtes"
    }  # fmt: skip
    assert others == ("Parus", "corvus corax", "Blue Tit")
