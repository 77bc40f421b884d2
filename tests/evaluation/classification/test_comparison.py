"""Two models against each other, and standard errors: against SciPy and against halves alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from inatdet.data.granularity import Granularity
from inatdet.data.ranking import Ranked
from inatdet.evaluation.classification import measuring, results
from inatdet.evaluation.classification.comparison import mcnemar
from inatdet.evaluation.resampling import Estimate, Halves
from tests.evaluation.classification import cases
from tests.evaluation.classification.cases import Scene

HALVES = 6


@pytest.mark.parametrize("first", [0, 1, 7, 40])
@pytest.mark.parametrize("second", [0, 1, 7, 40, 400])
def test_mcnemar_is_a_binomial_test(first, second):
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected)


def two(scene, k=8):
    noisy = scene.scores + 0.05 * scene.rng.random(scene.scores.shape)
    noisy /= noisy.sum(axis=1, keepdims=True)
    return {
        "first": scene.predictions(k),
        "second": scene.predictions(k, noisy, path="b.parquet"),
    }


def compared(scene, models, **settings):
    found = results.evaluate({"val": scene.truth}, models, taxonomy=scene.taxonomy, **settings)
    return {row.measure: row for row in found.comparisons}, found


@pytest.mark.parametrize("seed", range(3))
def test_counts_images_that_only_one_is_right_about(seed):
    scene = Scene(seed)
    models = two(scene)
    models["second"] = cases.damaged(models["second"], scene.rng)
    rows, found = compared(scene, models, resamples=20)
    assert list(rows) == ["top1", "top3", "top5", "class_top1", "class_top5"]
    pairs = [cases.by_image(scene, model) for model in models.values()]
    for most in (1, 3, 5):
        right = np.array([[true in best[:most] for true, best in one] for one in pairs])
        row = rows[f"top{most}"]
        assert row.first_alone == int((right[0] & ~right[1]).sum())
        assert row.second_alone == int((right[1] & ~right[0]).sum())
        assert row.change == pytest.approx(100 * (right[1].mean() - right[0].mean()))
        assert row.change == pytest.approx(row.second_value - row.first_value)
        assert row.p_value == mcnemar(row.first_alone, row.second_alone)
    assert rows["class_top1"].first_alone is None
    assert rows["class_top1"].first_value == found.table3[0].class_top1
    assert rows["class_top1"].second_value == found.table3[1].class_top1
    assert 0 < rows["class_top1"].p_value <= 1


def test_a_model_does_not_differ_from_itself():
    scene = Scene(0)
    model = scene.predictions(k=8)
    rows, _ = compared(scene, {"one": model, "other": model}, resamples=5)
    for row in rows.values():
        assert (row.change, row.change.std_err, row.p_value) == (0.0, 0.0, 1.0)


def test_without_halves_only_counts_are_tested():
    rows, _ = compared(scene := Scene(0), two(scene))
    assert not isinstance(rows["top1"].first_value, Estimate)
    assert 0 <= rows["top1"].p_value <= 1
    assert math.isnan(rows["class_top1"].p_value)
    assert math.isnan(rows["top1"].change.std_err)


def test_every_two_models_are_compared_on_what_both_have():
    scene = Scene(0)
    models = two(scene) | {"third": scene.predictions(k=3)}
    _, found = compared(scene, models)
    pairs = [(row.first, row.second) for row in found.comparisons if row.measure == "top1"]
    assert pairs == [("first", "second"), ("first", "third"), ("second", "third")]
    third = [row.measure for row in found.comparisons if row.second == "third"]
    assert third == 2 * ["top1", "top3", "class_top1"]


def test_models_of_two_levels_meet_at_the_coarser_one():
    scene = Scene(0)
    fine, given = scene.predictions(k=8), scene.predictions()
    ranked = {
        level: Ranked(found.labels)
        for level, found in given.ranked.items()
        if level in ("super", "generic")
    }
    coarse = replace(given, trained_on=Granularity.SUPER, ranked=ranked, path="super.parquet")
    rows, found = compared(scene, {"fine": fine, "coarse": coarse})
    assert {row.evaluated_on for row in rows.values()} == {"super"}
    assert list(rows) == ["top1", "class_top1"]
    ladder = {row.key: row.top1 for row in found.ladder}
    assert rows["top1"].first_value == ladder["fine", "super", "mapped"]
    assert rows["top1"].second_value == ladder["coarse", "super", "own"]


def numbers(found):
    """All numbers that have a standard error, by table, row and name."""
    values = {}
    for table in ("table3", "table4", "frequency", "ladder", "mistakes"):
        for row in getattr(found, table):
            for name in row.__dataclass_fields__:
                value = getattr(row, name)
                if isinstance(value, float):
                    values[table, row.key, name] = value
    for row in found.calibration:
        values["ECE", row.key] = row.calibration.ece
        values["precision", row.key] = row.calibration.precision
    for row in found.comparisons:
        values["change", row.key] = row.change
    return values


def test_standard_errors_are_those_of_each_half_evaluated_alone(monkeypatch):
    monkeypatch.setattr(measuring, "_IMAGES_AT_ONCE", 16)  # images are counted in blocks
    scene = Scene(3, images=41, unlabelled=0.1)
    models = {name: cases.damaged(model, scene.rng) for name, model in two(scene, k=25).items()}
    training = {c.id: int(scene.rng.integers(30)) for c in scene.truth.categories}
    settings = {"training_images": training, "frequency_bins": (5, 20)}
    _, found = compared(scene, models, resamples=HALVES, **settings)
    truth, parts = scene.truth, Halves(np.sort(scene.truth.image_ids), HALVES).parts
    of_halves = []
    for part in parts.T:
        chosen = np.isin(truth.image_ids, np.sort(truth.image_ids)[part])
        scene.truth = replace(
            truth,
            images=tuple(image for image, kept in zip(truth.images, chosen) if kept),
            category_ids=truth.category_ids[chosen],
        )
        of_halves.append(numbers(compared(scene, models, **settings)[1]))
    size, rest = len(truth) // 2, len(truth) - len(truth) // 2
    every = numbers(found)
    for key, value in every.items():
        if isinstance(value, Estimate):
            alone = np.array([half[key] for half in of_halves])
            alone = alone[~np.isnan(alone)]
            expected = alone.std() * math.sqrt(size / rest) if len(alone) > 1 else math.nan
            assert value.std_err == pytest.approx(expected, abs=1e-9, nan_ok=True), key
    kinds = {key[0] for key, value in every.items() if isinstance(value, Estimate)}
    assert kinds == {
        "table3", "table4", "frequency", "ladder", "mistakes", "ECE", "precision", "change"
    }  # fmt: skip
