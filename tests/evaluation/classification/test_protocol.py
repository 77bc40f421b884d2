"""Which images count, which split is the main one, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from inatdet.data.categories import Category
from inatdet.data.granularity import Granularity
from inatdet.data.ranking import Ranked
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.evaluation.classification.results import evaluate
from tests.evaluation.classification import cases
from tests.evaluation.classification.cases import SPECIES, Scene


def parts(scene, *sizes):
    """The truth in parts, one after the other."""
    truth, found, start = scene.truth, [], 0
    for size in sizes:
        block = slice(start, start + size)
        found.append(
            replace(truth, images=truth.images[block], category_ids=truth.category_ids[block])
        )
        start += size
    return found


def test_splits_in_one_file():
    scene = Scene(0)
    val, public = parts(scene, 40, 15)
    predictions = scene.predictions()
    found = evaluate(
        {"public_test": public, "val": val}, {"m": predictions}, taxonomy=scene.taxonomy
    )
    assert found.splits == ("public_test", "val")
    assert found.split == "val"
    assert [(row.split, row.images) for row in found.table3] == [("public_test", 15), ("val", 40)]
    assert [row.not_in_truth for row in found.coverage] == [5, 5]
    assert [row.predicted for row in found.coverage] == [15, 40]
    assert found.table4[-1].images == 40
    alone = evaluate({"val": val}, {"m": predictions}, taxonomy=scene.taxonomy)
    assert alone.table3 == found.table3[1:]
    assert alone.table4 == found.table4
    (first,) = evaluate(
        {"public_test": public, "test": val}, {"m": predictions}, taxonomy=scene.taxonomy
    ).mistakes
    assert first.images == 15


def test_splits_whose_images_have_the_same_ids():
    scene, other = Scene(0), Scene(1)
    other.truth = replace(other.truth, images=scene.truth.images)
    given = {"val": scene.predictions(), "test": other.predictions()}
    truths = {"val": scene.truth, "test": other.truth}
    found = evaluate(truths, {"m": given}, taxonomy=scene.taxonomy, split="test")
    assert found.split == "test"
    for row, one in zip(found.table3, (scene, other)):
        assert row.top1 == cases.evaluated(one, one.predictions()).table3[0].top1
    assert [row.not_in_truth for row in found.coverage] == [0, 0]


def test_a_split_that_a_model_does_not_have_is_left_out():
    scene = Scene(0)
    val, public = parts(scene, 40, 20)
    whole = scene.predictions()
    partial = whole.select(np.isin(whole.image_ids, val.image_ids))
    models = {"whole": whole, "partial": partial, "named": {"val": partial}}
    found = evaluate({"val": val, "public": public}, models, taxonomy=scene.taxonomy)
    keys = [row.key for row in found.table3]
    assert keys == [
        ("whole", "val"), ("partial", "val"), ("named", "val"), ("whole", "public")
    ]  # fmt: skip
    assert [row.cells() for row in found.left_out] == [
        ("partial", "public", "all", "a.parquet has none of its images"),
        ("named", "public", "all", "no predictions were given for it"),
    ]
    assert {row.split for row in found.comparisons} == {"val"}


def test_no_image_in_common():
    scene = Scene(0)
    elsewhere = replace(scene.predictions(), image_ids=10**6 + np.arange(len(scene.truth)))
    with pytest.raises(InputError) as error:
        cases.evaluated(scene, elsewhere)
    assert str(error.value) == (
        "a.parquet: has none of the images of val.json; check that both are of the same split"
    )


@pytest.mark.parametrize("copies", [2, 3])
def test_an_image_twice(copies):
    scene = Scene(0)
    predictions = scene.predictions()
    ids = predictions.image_ids.copy()
    ids[:copies] = ids[:copies].repeat(2)[:copies]
    repeated = replace(predictions, image_ids=ids)
    with pytest.raises(InputError, match=r"a.parquet: image \d+ is listed more than once"):
        cases.evaluated(scene, repeated)


def test_other_label_spaces():
    scene = Scene(0)
    listed = [Category(c.id, f"{c.name}x", c.supercategory) for c in scene.truth.categories]
    other = Taxonomy.from_categories(listed, [c.id for c in listed])
    predictions = scene.predictions()
    with pytest.raises(InputError, match=r"a\.parquet: was read with other label spaces"):
        cases.evaluated(scene, replace(predictions, taxonomy=other))
    with pytest.raises(InputError, match=r"a\.parquet: was read with other label spaces"):
        cases.evaluated(scene, replace(predictions, trained_on=Granularity("tribe")))
    scene.taxonomy = other
    with pytest.raises(InputError, match=r"val.json: category \d+ .* categories with images"):
        cases.evaluated(scene, predictions)


def test_refuses_what_is_missing():
    scene = Scene(0)
    predictions = scene.predictions()
    truths = {"val": scene.truth}
    with pytest.raises(InputError, match="there are no true labels"):
        evaluate({}, {"m": predictions}, taxonomy=scene.taxonomy)
    with pytest.raises(InputError, match="there are no predictions"):
        evaluate(truths, {}, taxonomy=scene.taxonomy)
    with pytest.raises(InputError, match="there is no split 'test'; the splits are val"):
        evaluate(truths, {"m": predictions}, taxonomy=scene.taxonomy, split="test")
    with pytest.raises(InputError, match=r"a.parquet: the split 'test' of the model 'm' has no"):
        evaluate(truths, {"m": {"test": predictions}}, taxonomy=scene.taxonomy)
    with pytest.raises(InputError, match="the model 'm' has no predictions"):
        evaluate(truths, {"m": {}}, taxonomy=scene.taxonomy)
    empty = replace(predictions, ranked={SPECIES: Ranked(predictions.own.labels[:, :0])})
    with pytest.raises(InputError, match=r"a.parquet: has no species labels"):
        evaluate(truths, {"m": empty}, taxonomy=scene.taxonomy)


def test_one_name_for_models_of_two_levels():
    scene = Scene(0)
    val, public = parts(scene, 40, 20)
    fine = scene.predictions()
    coarse = replace(fine, trained_on=Granularity.SUPER)
    with pytest.raises(InputError, match="predictions of several levels, species, super"):
        evaluate(
            {"val": val, "public": public},
            {"m": {"val": fine, "public": coarse}},
            taxonomy=scene.taxonomy,
        )


def test_says_what_it_does():
    scene, said = Scene(0), []
    models = {"a": scene.predictions(), "b": scene.predictions()}
    evaluate({"val": scene.truth}, models, taxonomy=scene.taxonomy, notify=said.append)
    assert said == [
        "a on val: 60 images",
        "b on val: 60 images",
        "val: 2 models tested against each other",
    ]


def test_rows_have_keys_of_their_own():
    scene = Scene(0)
    models = {"a": scene.predictions(), "b": scene.predictions(k=4)}
    training = {c.id: c.id for c in scene.truth.categories}
    found = evaluate(
        {"val": scene.truth}, models, taxonomy=scene.taxonomy, training_images=training
    )
    for name in found.__dataclass_fields__:
        rows = getattr(found, name)
        if isinstance(rows, tuple) and hasattr(rows[0], "cells"):
            assert len({row.key for row in rows}) == len(rows), name
            assert all(len(row.cells()) == len(row.columns) for row in rows), name
