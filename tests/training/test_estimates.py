"""What follows from measured steps, without a step being made."""

import numpy as np
import pytest
from scipy import stats

from inatdet.training.estimates import (
    LEAST_STEPS,
    Measured,
    ShapeTime,
    Span,
    saved_steps,
    span_of_mean,
)
from tests.training.plans import plan

SMALL, LARGE = (96, 128), (128, 224)


@pytest.mark.parametrize("count", [2, 3, 10, 37, 200])
def test_the_range_is_students_interval_around_the_means_of_blocks(count):
    seconds = np.random.default_rng(count).gamma(9.0, 0.1, count)
    found = span_of_mean(seconds)
    means = [np.mean(block) for block in np.array_split(seconds, min(5, count))]
    margin = stats.sem(means) * stats.t.ppf(0.975, len(means) - 1)
    assert found.likely == pytest.approx(seconds.mean())
    assert found.most == pytest.approx(seconds.mean() + margin)
    assert found.least == pytest.approx(max(seconds.mean() - margin, seconds.min()))


def test_steps_that_come_in_busy_spells_give_a_wider_range_than_their_own_spread():
    spells = np.repeat([1.0, 1.0, 2.0, 1.0, 2.0], 20)
    found = span_of_mean(spells)
    naive = 1.96 * spells.std() / np.sqrt(len(spells))
    assert found.most - found.likely > 5 * naive


def test_equal_steps_have_no_spread():
    assert span_of_mean([0.5] * 10) == Span(0.5, 0.5, 0.5)


def test_ranges_contain_the_mean_of_many_more_steps():
    rng = np.random.default_rng(0)
    kept = [span_of_mean(rng.gamma(4.0, 0.25, 40)) for _ in range(2000)]
    share = np.mean([one.least <= 1.0 <= one.most for one in kept])
    assert 0.93 < share < 0.97


def test_one_step_has_no_spread():
    with pytest.raises(ValueError, match="one step"):
        span_of_mean([1.0])


def test_the_first_step_of_each_shape_is_not_a_usual_one():
    shapes = [SMALL] * 8 + [LARGE] * 8
    seconds = [0.1] * 8 + [9.0] + [0.3] * 7
    measured = Measured(seconds, shapes, seen=[SMALL])
    assert measured.is_first == [False] * 8 + [True] + [False] * 7
    assert measured.usual == [0.1] * 8 + [0.3] * 7
    assert measured.by_shape() == (
        ShapeTime(*SMALL, steps=8, seconds=0.1),
        ShapeTime(*LARGE, steps=8, seconds=0.3),
    )


def test_where_nearly_every_step_has_a_new_shape_all_are_usual():
    shapes = [(100, 100 + place) for place in range(LEAST_STEPS)]
    assert Measured([0.2] * LEAST_STEPS, shapes).usual == [0.2] * LEAST_STEPS


@pytest.mark.parametrize(
    ("first", "last", "intervals", "count"),
    [
        (0, 1000, [250], 4),
        (0, 1000, [300], 4),  # 300, 600, 900 and the last
        (250, 1000, [250], 3),
        (260, 1000, [250], 3),  # 500, 750 and the last
        (1000, 1000, [250], 0),
        (0, 1000, [250, 400], 6),  # 250, 400, 500, 750, 800 and the last
        (0, 10, [250], 1),
    ],
)
def test_checkpoints(first, last, intervals, count):
    assert saved_steps(first, last, intervals) == count


def test_a_run_takes_what_its_parts_take():
    found = plan()
    assert found.steps == 600
    assert found.training == Span(pytest.approx(299.5), pytest.approx(239.6), pytest.approx(419.3))
    rest = 20.0 + 4 * 0.5
    assert found.total.likely == pytest.approx(299.5 + 30.0 + rest)
    assert found.total.least == pytest.approx(239.6 + 27.0 + rest)
    assert found.total.most == pytest.approx(419.3 + 36.0 + rest)
    assert found.epochs(found.last_step) == 10.0
    content = found.as_dict()
    assert content["epochs_left"] == 6.0
    assert content["total"]["most"] == found.total.most


def test_without_a_summary_epochs_are_not_known():
    assert plan(images_per_epoch=None).as_dict()["epochs"] is None


def test_nothing_is_left_of_a_trained_model():
    found = plan(first_step=1000, start=0.0, validations=0, checkpoints=0)
    assert found.steps == 0
    assert found.total == Span(0.0, 0.0, 0.0)
