import contextlib
import random
from collections import Counter, defaultdict

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inatdet.datasets.common_table import Source
from inatdet.datasets.database import open_database
from inatdet.datasets.splits import PrivateBy, Rounding, Rule, Shared, Ties, apply, prepare
from inatdet.errors import InputError
from tests.datasets.rule_by_hand import split


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with open_database(0.5, 1, tmp_path_factory.mktemp("database")) as opened:
        yield opened


@contextlib.contextmanager
def applied(database, rows, rule):
    """Runs the rule; rows are (photo, observation, observer, taxon), each of a species."""
    columns = ("photo", "observation", "observer", "taxon")
    table = pa.table(dict(zip(columns, map(list, zip(*rows)))))
    taxa = sorted({row[3] for row in rows})
    database.connection.register("rows_of_test", table)
    database.connection.register("taxa_of_test", pa.table({"taxon": taxa}))
    source = Source(
        "rows",
        "(SELECT *, 'cc0' AS license, 'research' AS quality_grade FROM rows_of_test)",
        "(SELECT taxon, concat('name ', taxon) AS name, 'species' AS rank, 'Aves' AS super_class, "
        "concat('name ', taxon) AS species, true AS is_active FROM taxa_of_test)",
        "(SELECT 0 AS taxon, '' AS rank, '' AS name, 0 AS level WHERE false)",
        has_quality_grades=True,
    )
    database.run("BEGIN TRANSACTION")
    try:
        prepare(database, source, rule)
        apply(database)
        yield
    finally:
        database.run("ROLLBACK")  # which also drops the tables


def outcome(database, rows, rule):
    """As `rule_by_hand.split`."""
    with applied(database, rows, rule):
        classes = {taxon for (taxon,) in database.rows("SELECT taxon FROM classes")}
        places = {
            (taxon, observer): split
            for taxon, observer, split in database.rows("SELECT taxon, observer, split FROM places")
        }
        images = database.rows("SELECT photo, taxon, part FROM images")
        assert len(images) == len({photo for photo, *_ in images})
        return classes, places, {photo: (taxon, part) for photo, taxon, part in images}


def photographed(counts, taxon=1):
    """A row for each photograph; `counts` has one number of photographs per observer."""
    return [
        (100 * i + j, 1000 + i, f"observer{i:03}", taxon)
        for i, count in enumerate(counts)
        for j in range(count)
    ]


def test_the_example_of_the_paper(database):
    """20 observers with one photograph each: 8 test, 12 train-val, of which 4 val and 8 train."""
    classes, places, parts = outcome(database, photographed([1] * 20), Rule())
    assert classes == {1}
    assert Counter(places.values()) == {"test": 8, "val": 4, "train": 8}
    assert Counter(part.partition("_")[0] for _, part in parts.values()) == {
        "test": 8, "val": 4, "train": 8,
    }  # fmt: skip


def test_one_observer_or_one_observation_less_is_no_class(database):
    rows = photographed([3] * 19)
    assert outcome(database, rows, Rule())[0] == set()
    assert outcome(database, rows, Rule(min_observers=19, min_observations=19))[0] == {1}
    assert outcome(database, rows, Rule(min_observers=19, min_observations=20))[0] == set()


def test_the_last_observer_stays_in_train(database):
    """Taken literally: 12 to val, the one with 500 among them, and nothing to train."""
    rows = [
        *photographed([1] * 19),
        *((5000 + i, 6000 + i, "observer999", 1) for i in range(500)),
    ]
    with applied(database, rows, Rule()):
        assert dict(database.rows("SELECT split, count(*) FROM places GROUP BY split")) == {
            "test": 8, "val": 11, "train": 1,
        }  # fmt: skip
        assert database.rows("SELECT observer FROM places WHERE is_kept_from_val") == [
            ("observer999",)
        ]


def test_val_ends_with_the_observer_who_takes_it_beyond_thirty(database):
    rows = photographed([7] * 40)
    _, places, _ = outcome(database, rows, Rule())
    # 24 observers with 168 photographs: 33% would be 55, but after the fifth there are 35.
    assert Counter(places.values()) == {"test": 16, "val": 5, "train": 19}


@pytest.mark.parametrize(
    ("rounding", "observers", "test"),
    [("nearest", 21, 8), ("down", 21, 8), ("up", 21, 9), ("nearest", 22, 9), ("up", 20, 8),
     ("down", 23, 9), ("up", 35, 14)],
)  # fmt: skip
def test_rounding(database, rounding, observers, test):
    rule = Rule(rounding=Rounding(rounding))
    _, places, _ = outcome(database, photographed([1] * observers), rule)
    assert Counter(places.values())["test"] == test


def test_shares_are_not_rounded_as_floats_are(database):
    """0.07 * 100 is a little more than 7, and 0.29 * 100 a little less than 29."""
    rows = photographed([1] * 100)
    _, places, _ = outcome(database, rows, Rule(test_share=0.07, rounding=Rounding.UP))
    assert Counter(places.values())["test"] == 7
    _, places, _ = outcome(database, rows, Rule(test_share=0.29, rounding=Rounding.DOWN))
    assert Counter(places.values())["test"] == 29


def test_ties(database):
    rows = photographed([3, 1, 2, 5])
    small = {"min_observers": 4, "min_observations": 4, "test_share": 0.5, "val_share": 0.0}

    def test_observers(**arguments):
        _, places, _ = outcome(database, rows, Rule(**small, **arguments))
        return {int(o.removeprefix("observer")) for (_, o), split in places.items()
                if split == "test"}  # fmt: skip

    assert test_observers(ties=Ties.OBSERVER) == {0, 1}
    assert test_observers(ties=Ties.PHOTOGRAPHS) == {1, 2}
    drawn = {frozenset(test_observers(seed=seed)) for seed in range(6)}
    assert len(drawn) > 2


def test_a_photograph_of_two_taxa_is_decided_once(database):
    rows = [*photographed([1] * 20, 1), *((p + 1, o, w, 2) for p, o, w, _ in
            photographed([1] * 20))]  # fmt: skip
    rows += [(0, 9000, "observer000", 2)]  # the first one's picture once more
    for seed in range(4):
        _, _, parts = outcome(database, rows, Rule(seed=seed))
        assert parts == split(rows, Rule(seed=seed))[2]
        assert len(parts) == 40
    _, _, parts = outcome(database, rows, Rule(shared_photographs=Shared.LEAVE_OUT))
    assert 0 not in parts
    # Taxon 1 has 19 observers without it.
    assert {part for taxon, part in parts.values() if taxon == 1} == {"unseen"}


def test_a_photograph_of_two_observations_of_one_taxon_counts_once(database):
    rows = [*photographed([1] * 20), (0, 9000, "observer000", 1), (0, 1000, "observer000", 1)]
    with applied(database, rows, Rule()):
        assert database.rows(
            "SELECT observations, photographs FROM efforts WHERE observer = 'observer000'"
        ) == [(2, 1)]
        assert database.row("SELECT count(*) FROM images") == (20,)


def test_the_test_images_are_sampled_and_divided(database):
    rows = photographed([1, 2] * 40)
    everything = outcome(database, rows, Rule())[2]
    test = {p for p, (_, part) in everything.items() if part.startswith("test")}
    for by in PrivateBy:
        rule = Rule(test_images=20, private_by=by)
        sampled = outcome(database, rows, rule)[2]
        assert Counter(part == "test_reserve" for p, (_, part) in sampled.items() if p in test) == {
            False: 20, True: len(test) - 20,
        }  # fmt: skip
        assert {p: part for p, part in sampled.items() if p not in test} == {
            p: part for p, part in everything.items() if p not in test
        }
    whole = Counter(
        part for _, part in outcome(database, rows, Rule(private_share=0.0))[2].values()
    )
    assert "test" in whole and not {"test_public", "test_private", "test_reserve"} & set(whole)
    private = Counter(
        part for _, part in outcome(database, rows, Rule(private_share=1.0))[2].values()
    )
    assert private["test_private"] == whole["test"]


rules = st.builds(
    Rule,
    min_observations=st.integers(0, 6),
    min_observers=st.integers(0, 5),
    test_share=st.sampled_from([0.0, 0.1, 0.4, 0.5, 1.0]),
    rounding=st.sampled_from(Rounding),
    ties=st.sampled_from(Ties),
    max_val_photographs=st.integers(0, 6),
    val_share=st.sampled_from([0.0, 0.33, 0.5, 1.0]),
    shared_photographs=st.sampled_from(Shared),
    test_images=st.none() | st.integers(1, 8),
    private_share=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    private_by=st.sampled_from(PrivateBy),
    unseen=st.booleans(),
    seed=st.integers(0, 2**31),
)


@st.composite
def observed(draw):
    """Rows in which observations have one taxon and one observer, but photographs may repeat."""
    seen = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["ann", "Bob", "cem", "d'Or", "émile", "10", "9"]),
                st.integers(1, 3),
                st.lists(st.integers(1, 60), min_size=1, max_size=4),
            ),
            min_size=1,
            max_size=30,
        )
    )
    return [
        (photo, observation, observer, taxon)
        for observation, (observer, taxon, photos) in enumerate(seen)
        for photo in photos
    ]


@settings(max_examples=15, deadline=None)
@given(observed(), rules, st.randoms(use_true_random=False))
def test_the_rule_is_that_of_plain_python(database, rows, rule, order):
    shuffled = list(rows)
    order.shuffle(shuffled)
    classes, places, parts = outcome(database, shuffled, rule)
    assert (classes, places, parts) == split(rows, rule)
    check_invariants(rows, rule, classes, places, parts)


def check_invariants(rows, rule, classes, places, parts):
    observers = defaultdict(set)
    for (taxon, observer), split_name in places.items():
        observers[taxon].add((observer, split_name))
    owners = defaultdict(set)
    for photo, _, observer, taxon in rows:
        owners[photo].add((taxon, observer))
    assert set(observers) == classes
    for found in observers.values():
        sizes = Counter(split_name for _, split_name in found)
        assert len(found) >= rule.min_observers
        assert abs(sizes["test"] - rule.test_share * len(found)) < 1
        assert sizes["train"] or sizes["test"] == len(found)
        if sizes["val"]:
            assert sizes["train"]
    for photo, (taxon, part) in parts.items():
        assert taxon in {t for t, _ in owners[photo]}
        if part in ("train", "val"):
            assert part in {places.get(pair) for pair in owners[photo] if pair[0] == taxon}
        assert (part == "unseen") == (taxon not in classes)


def test_what_the_paper_promises(database):
    """At least 4 photographs in val, and it ends with the observer who exceeds 30 or 33%.

    That train has at least 8 holds where observers have as many photographs; one with many, who
    comes last in val, may leave it fewer.
    """
    rng = random.Random(0)
    counts = {
        taxon: [rng.choice((1, 1, 2, 9, 60)) for _ in range(rng.randint(20, 60))]
        for taxon in range(30)
    }
    rows = [
        (photo + 10_000 * taxon, *others)
        for taxon, of_observers in counts.items()
        for photo, *others in photographed(of_observers, taxon)
    ]
    rows = [(p, 100 * o + taxon, who, taxon) for p, o, who, taxon in rows]
    rule = Rule()
    _, places, parts = outcome(database, rows, rule)
    for taxon, of_observers in counts.items():
        found = Counter(part.partition("_")[0] for t, part in parts.values() if t == taxon)
        assert sum(found.values()) == sum(of_observers)
        assert found["val"] >= 4
        assert found["train"] >= 1
        in_val = [
            of_observers[int(observer[-3:])]
            for (t, observer), name in places.items()
            if t == taxon and name == "val"
        ]
        before_the_last = sum(in_val) - max(in_val)
        assert before_the_last <= rule.max_val_photographs
        assert before_the_last < rule.val_share * (found["val"] + found["train"])


def test_wrong_arguments_are_refused():
    for arguments, words in (
        ({"test_share": 40}, "--test_share=40 must be from 0 to 1"),
        ({"min_observers": -1}, "--min_observers=-1 must not be negative"),
        ({"test_images": 0}, "--test_images=0 must be at least 1"),
        ({"coarsest_rank": "family"}, "--coarsest_rank=family must be one of genus"),
    ):
        with pytest.raises(InputError, match=words):
            Rule(**arguments)


def test_draws_differ_with_the_seed_and_only_with_it(database):
    rows = photographed([1] * 30)
    one, same = (outcome(database, random.Random(i).sample(rows, len(rows)), Rule(seed=5))
                 for i in range(2))  # fmt: skip
    assert one == same
    assert outcome(database, rows, Rule(seed=6)) != one
