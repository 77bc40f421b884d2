"""Warnings about predictions: each speaks on its mistake and is silent on others."""

import dataclasses

import numpy as np
import pytest

import inatdet
from inatdet.evaluation.classification.plausibility import prediction_warnings
from inatdet.evaluation.classification.protocol import model_of, splits_of
from tests.prediction_files import labels_of, predictions_of

RNG = np.random.default_rng(0)
TRUTH = labels_of(RNG.integers(0, 12, 200))
TAXONOMY = TRUTH.full_taxonomy
TRUE = np.array([TAXONOMY.label_of_category("species")[c] for c in TRUTH.category_ids.tolist()])


def warnings_of(*models, truth=TRUTH):
    splits = splits_of({"val": truth}, TAXONOMY, 0)
    guesses = [
        model_of(f"net{n}", found, splits).of_splits["val"] for n, found in enumerate(models)
    ]
    return [(warning.kind, warning.message) for warning in prediction_warnings(guesses)]


def made_of(labels, **options):
    return inatdet.Predictions.from_arrays(TRUTH.image_ids, labels, taxonomy=TAXONOMY, **options)


@pytest.mark.parametrize("skill", [0.0, 1.0, 4.0])
def test_good_and_bad_models_are_no_mistake(skill):
    rng = np.random.default_rng(1)
    models = [predictions_of(rng, TRUTH, skill) for _ in range(2)]
    assert warnings_of(*models) == []


def test_images_without_a_prediction():
    found = predictions_of(np.random.default_rng(2), TRUTH).select(np.arange(1, 200))
    assert warnings_of(found) == [
        ("coverage", "a.parquet: 1 of the 200 images of val have no prediction and count as wrong; "
         "check that the model ran on all of them"),
    ]  # fmt: skip


def test_class_numbers_shifted_by_one():
    ((kind, message),) = warnings_of(made_of(TRUE % 12 + 1, name="x.csv"))
    assert kind == "classes"
    assert message.startswith("x.csv: class numbers look too high by one: 0% of 200 images have")


def test_classes_in_another_order():
    order = np.random.default_rng(3).permutation(12) + 1
    ((kind, message),) = warnings_of(made_of(order[TRUE - 1], name="x.csv"))
    assert kind == "classes"
    assert "classes seem to be in another order" in message
    assert message.endswith("give the model's own order with --taxonomy")


def test_one_label_for_all():
    ((kind, message),) = warnings_of(made_of(np.full(200, 3), name="x.csv"))
    assert kind == "classes"
    assert "all 200 images of val have the same best label" in message
    # Where all images show the same, that is as it should be.
    same = labels_of([2] * 30)
    assert warnings_of(predictions_of(np.random.default_rng(4), same, 20.0), truth=same) == []


def test_labels_that_the_label_spaces_do_not_have():
    labels = np.stack([np.where(np.arange(200) % 4, TRUE, 99), TRUE % 12 + 1], axis=1)
    ids = np.where(labels == 99, 999, 3 * (labels - 1))
    found = made_of(TRUE)
    own = dataclasses.replace(found.own, labels=np.where(ids == 999, 0, labels).astype(np.int32))
    ((kind, message),) = warnings_of(dataclasses.replace(found, ranked={found.trained_on: own}))
    assert kind == "classes"
    assert "50 of 200 images of val have a best label that the label spaces do not have" in message


def test_the_same_model_twice():
    found = predictions_of(np.random.default_rng(5), TRUTH)
    rows = np.random.default_rng(6).permutation(200)
    again = dataclasses.replace(found.select(rows), path="b.parquet")
    ((kind, message),) = warnings_of(found, again)
    assert kind == "models"
    assert message.startswith("b.parquet: has the same labels in the same order as a.parquet")


def test_an_image_under_two_ids():
    images = tuple(dataclasses.replace(i, file_name=f"{i.id // 2}.jpg") for i in TRUTH.images)
    truth = dataclasses.replace(TRUTH, images=images)
    found = predictions_of(np.random.default_rng(7), TRUTH)
    assert warnings_of(found, truth=truth) == [
        ("images", "val.json: 100 of 200 images have the file name of another image; list each "
         "image once"),
    ]  # fmt: skip
