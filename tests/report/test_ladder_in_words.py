"""What is said about the ladder follows from its rows."""

import math

import pytest

from inatdet.evaluation.granularities import GapRow
from inatdet.evaluation.resampling import Z_95, Estimate
from inatdet.report.ladder_in_words import in_words
from tests.report.ladders import LABELS, model, results_of, row

SPECIES = {"species": 30, "genus": 34, "family": 33, "super": 41.5, "generic": 45}


def test_the_step_where_most_is_gained():
    assert in_words(results_of(model("species", "none", SPECIES))) == (
        "With nothing merged, the species model gains most AP from family to super: 8.5 points, "
        "from 33.0 to 41.5."
    )


def test_the_step_where_most_is_lost():
    values = SPECIES | {"family": 20, "super": 24, "generic": 26}
    assert in_words(results_of(model("species", "none", values))) == (
        "With nothing merged, the species model loses most AP from genus to family: 14.0 points, "
        "from 34.0 to 20.0."
    )


def test_intervals_are_said_where_there_are_some():
    said = in_words(results_of(model("species", "none", SPECIES, 1 / Z_95)))
    assert "from 33.0 ± 1.0 to 41.5 ± 1.0." in said


def test_only_the_finest_model_with_nothing_merged_counts():
    rows = [
        *model("species", "none", SPECIES),
        *model("species", "nms", {"genus": 90, "family": 34, "super": 34, "generic": 34}),
        *model("super", "none", {"super": 10, "generic": 99}),
    ]
    assert "from family to super: 8.5 points" in in_words(results_of(rows))
    coarse = in_words(results_of(model("genus", "none", {"genus": 50, "family": 52})))
    assert coarse.startswith("With nothing merged, the genus model gains most AP from genus to")


def test_nothing_changes():
    said = in_words(results_of(model("species", "none", dict.fromkeys(LABELS, 50.0))))
    assert said == (
        "With nothing merged, the species model neither gains nor loses AP at any step of the "
        "ladder."
    )


def test_nothing_is_said_without_a_step():
    assert in_words(results_of([])) == ""
    assert in_words(results_of([row("generic", "generic", "none", 50)])) == ""
    assert in_words(results_of(model("species", "none", dict.fromkeys(LABELS, math.nan)))) == ""


def test_steps_to_a_level_without_a_number_are_passed_over():
    said = in_words(results_of(model("species", "none", SPECIES | {"super": math.nan})))
    assert "from species to genus: 4.0 points" in said


def test_how_much_merging_recovers():
    rows = [
        *model("species", "none", SPECIES),
        *model("species", "nms", {"genus": 36, "family": 35, "super": 43.5, "generic": 48}),
        *model("species", "marginal", {"super": 45.5}),
        *model("super", "none", {"super": 51.5, "generic": 47}),
        row("generic", "generic", "none", 60),
    ]
    assert in_words(results_of(rows)).endswith(
        "Of its distance to the model trained at a coarser level, this much is bookkeeping, which "
        "merging recovers: on super 20% by nms or 40% by marginal of 10.0 points; on generic 20% "
        "by nms of 15.0 points."
    )


def test_shares_have_their_intervals():
    rows = [*model("species", "none", SPECIES), row("super", "super", "none", 51.5)]
    nms = row("species", "super", "nms", 43.5)
    gaps = (GapRow(*nms.key, 43.5, 51.5, Estimate(20.0, 3 / Z_95)),)
    assert "on super 20% ± 3 by nms of 10.0 points" in in_words(results_of(rows, gaps=gaps))


def test_a_model_that_is_not_behind():
    rows = [
        *model("species", "none", SPECIES),
        *model("species", "nms", {"super": 43, "generic": 46}),
        row("super", "super", "none", 40),
        row("generic", "generic", "none", 44),
    ]
    said = in_words(results_of(rows))
    assert said.endswith("It is not behind the model trained on super and generic.")
    assert "bookkeeping" not in said


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            {"genus": 40},
            "The step from species to genus is degenerate: its two levels have the same",
        ),
        (
            {"genus": 40, "super": 10},
            "The steps from species to genus and family to super are degenerate: their two",
        ),
    ],
)
def test_degenerate_steps_are_named_and_do_not_count(labels, said):
    values = SPECIES | {"genus": 99}
    text = in_words(results_of(model("species", "none", values), LABELS | labels))
    assert said in text
    assert "from species to genus:" not in text


def test_a_ladder_without_any_other_step():
    text = in_words(results_of(model("species", "none", SPECIES), dict.fromkeys(LABELS, 1)))
    assert text == (
        "The steps from species to genus, genus to family, family to super and super to generic "
        "are degenerate: their two levels have the same labels."
    )
