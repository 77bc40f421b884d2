import math

import numpy as np
import pytest
from scipy import stats

from inatdet.evaluation.resampling import Halves
from inatdet.evaluation.runs import holm, over_runs, share_over_runs


def measured(by_image, halves):
    """The means of numbers of images, `[runs, images]`, as `over_runs` takes them."""
    whole = by_image.mean(axis=1, keepdims=True)
    parts = halves.parts.astype(float)
    return np.hstack([whole, by_image @ parts / parts.sum(axis=0)])


def drawn(rng, runs, images, of_runs, of_images, of_both):
    """Numbers of runs on images that vary in three ways, around 0."""
    return (
        of_runs * rng.normal(size=(runs, 1))
        + of_images * rng.normal(size=(1, images))
        + of_both * rng.normal(size=(runs, images))
    )


@pytest.mark.parametrize(
    ("of_runs", "of_images", "of_both"),
    [(0.3, 1.0, 1.0), (0.0, 1.0, 1.0), (0.3, 0.0, 0.0), (0.05, 1.0, 3.0), (0.0, 0.0, 3.0)],
)
def test_intervals_contain_the_truth_as_often_as_they_say(of_runs, of_images, of_both):
    rng, images, tries = np.random.default_rng(0), 60, 400
    halves = Halves(np.arange(images), 60)
    kept = 0
    for _ in range(tries):
        values = measured(drawn(rng, 4, images, of_runs, of_images, of_both), halves)
        found = over_runs(values, halves)
        kept += abs(found.value) <= found.margin
    assert 0.93 <= kept / tries <= 0.995


def test_the_variance_is_that_of_the_three_parts():
    rng, images, runs = np.random.default_rng(1), 80, 5
    halves = Halves(np.arange(images), 100)
    found = [
        over_runs(measured(drawn(rng, runs, images, 0.2, 1.0, 2.0), halves), halves)
        for _ in range(600)
    ]
    expected = 0.2**2 / runs + 1.0 / images + 2.0**2 / (runs * images)
    assert np.mean([one.std_err**2 for one in found]) == pytest.approx(expected, rel=0.06)
    assert np.var([one.value for one in found]) == pytest.approx(expected, rel=0.15)
    of_images = 1.0 / images + 2.0**2 / (runs * images)
    assert np.mean([one.std_err_images**2 for one in found]) == pytest.approx(of_images, rel=0.06)


def test_runs_that_differ_on_equal_images_have_students_interval():
    values = np.array([1.0, 2.0, 4.0])
    halves = Halves(np.arange(10), 20)
    found = over_runs(np.repeat(values[:, None], 21, axis=1), halves)
    test = stats.ttest_1samp(values, 0.0)
    low, high = test.confidence_interval(0.95)
    assert found.value == pytest.approx(values.mean())
    assert found.margin == pytest.approx((high - low) / 2)
    assert found.p_value == pytest.approx(test.pvalue)
    assert found.freedom == pytest.approx(2)


def test_one_run_has_the_interval_of_its_images_alone():
    rng = np.random.default_rng(2)
    halves = Halves(np.arange(30), 200)
    values = measured(drawn(rng, 1, 30, 0, 1, 0), halves)
    found = over_runs(values, halves)
    assert found.std_err == pytest.approx(halves.std_err(values[0, 1:]))
    assert math.isnan(found.std_err_runs)
    assert found.freedom == 199


def test_equal_numbers_everywhere_leave_no_doubt():
    halves = Halves(np.arange(10), 20)
    assert over_runs(np.full((3, 21), 2.0), halves).p_value == 0.0
    assert over_runs(np.zeros((3, 21)), halves).p_value == 1.0
    assert over_runs(np.full((3, 21), 2.0), halves).margin == 0.0


def test_a_share_is_uncertain_as_resampled_ratios_are():
    """Against the spread of the ratio itself over fresh samples of runs and images."""
    rng, images, runs = np.random.default_rng(3), 100, 5
    halves = Halves(np.arange(images), 100)
    ratios, errors = [], []
    for _ in range(400):
        gap = 10 + drawn(rng, runs, images, 0.5, 5.0, 5.0)
        part = 0.4 * gap + drawn(rng, runs, images, 0.4, 3.0, 3.0)
        found = share_over_runs(measured(part, halves), measured(gap, halves), halves)
        ratios.append(100 * part.mean() / gap.mean())
        errors.append(found.std_err)
        assert found.value == pytest.approx(ratios[-1])
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(ratios), rel=0.12)


def test_a_part_that_is_always_half_has_a_certain_share():
    halves = Halves(np.arange(10), 20)
    whole = np.random.default_rng(4).uniform(5, 9, (3, 21))
    found = share_over_runs(whole / 2, whole, halves)
    assert found.value == pytest.approx(50)
    assert found.std_err == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 30])
def test_holms_p_values_are_those_of_the_definition(count):
    """A test is rejected at a level if it and all smaller ones pass their own thresholds."""
    rng = np.random.default_rng(count)
    p = np.round(rng.uniform(0, 0.1, count), 2 if count == 30 else 6)  # with ties
    adjusted = holm(p.tolist())
    order = np.argsort(p, kind="stable")
    for level in (0.01, 0.05, 0.2):
        rejected = set()
        for rank, place in enumerate(order):
            if p[place] > level / (count - rank):
                break
            rejected.add(place)
        assert {place for place in range(count) if adjusted[place] <= level} == rejected


def test_tests_that_were_not_made_do_not_count():
    assert holm([0.02, math.nan, 0.01])[0] == pytest.approx(0.02)
    assert holm([0.02, math.nan, 0.01])[2] == pytest.approx(0.02)
    assert math.isnan(holm([0.02, math.nan, 0.01])[1])
