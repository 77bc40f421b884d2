"""Detectors see the same of records with image labels as of those without."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil

import numpy as np
import pytest

from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.detection import inputs
from inatdet.errors import InputError
from inatdet.tfrecords.contents import check_categories, check_labels
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.tfrecords.unboxed import any_boxed
from inatdet.tfrecords.writing import convert
from tests.tfrecords.conversions import dataset_in
from tests.tfrecords.labelled import boxed_ids, labelled


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Records of boxes and image labels, and of boxes alone."""
    joint = labelled(dataset_in(tmp_path_factory.mktemp("joint")))
    boxes_only = dataclasses.replace(
        joint, image_labels=None, output_dir=f"{joint.output_dir}-boxes"
    )
    only_labels = dataclasses.replace(
        joint, annotations=None, output_dir=f"{joint.output_dir}-labels"
    )
    for conversion in (joint, boxes_only, only_labels):
        convert(conversion)
    return tuple(conversion.output_dir for conversion in (joint, boxes_only, only_labels))


def batches(folder, boxes, **options):
    taxonomy = Taxonomy.load(os.path.join(boxes, "taxonomy.json"))
    settings = {"batch_size": 1, "short_edge": 24, "long_edge": 48, "is_training": False}
    return inputs.make_dataset(
        os.path.join(folder, "train-*"),
        LabelLookup(taxonomy, Granularity.SPECIES),
        **(settings | options),
    )


def test_they_are_the_same_outside_of_training(folders):
    joint, boxes_only, _ = folders
    found, expected = (
        {int(batch["image_id"][0]): batch for batch in batches(folder, boxes_only)}
        for folder in (joint, boxes_only)
    )
    assert set(found) == set(expected) == boxed_ids()
    for image_id, batch in expected.items():
        for name, value in batch.items():
            np.testing.assert_array_equal(found[image_id][name], value)


@pytest.mark.parametrize("options", [{}, {"cache": True}, {"single_instance": True}])
def test_they_are_the_same_images_in_training(folders, options):
    joint, boxes_only, _ = folders
    several = {103, 105} if "single_instance" in options else set()  # 105: a crowd
    data = batches(joint, boxes_only, is_training=True, seed=0, **options)
    wanted = boxed_ids() - several
    epochs = itertools.islice(data, 2 * len(wanted))
    found = [int(batch["image_id"][0]) for batch in epochs]
    assert sorted(found) == sorted(2 * list(wanted))


def test_records_of_image_labels_alone_hold_nothing_for_detectors(folders):
    _, boxes_only, only_labels = folders
    for is_training in (False, True):
        assert list(batches(only_labels, boxes_only, is_training=is_training)) == []
    found = [int(b["image_id"][0]) for b in batches(only_labels, boxes_only, unboxed=True)]
    assert len(found) == len(set(found)) == 22


@pytest.mark.parametrize("has_summary", [True, False])
def test_whether_any_image_has_boxes(folders, tmp_path, has_summary):
    for folder, expected in zip(folders, (True, True, False)):
        copy = shutil.copytree(folder, tmp_path / os.path.basename(folder))
        if not has_summary:
            os.remove(copy / "train.json")
        assert any_boxed(str(copy / "train-*")) is expected


def test_models_of_boxes_and_of_images_fit_them(folders):
    joint, boxes_only, only_labels = (os.path.join(folder, "train-*") for folder in folders)
    of_boxes = Taxonomy.load(os.path.join(folders[0], "taxonomy.json"))
    of_images = Taxonomy.load(os.path.join(folders[0], "image_taxonomy.json"))
    of_labels_alone = Taxonomy.load(os.path.join(folders[2], "image_taxonomy.json"))
    for pattern, taxonomy in (
        (joint, of_boxes),
        (joint, of_images),
        (only_labels, of_labels_alone),
    ):
        check_labels(pattern, taxonomy, "t.json")
        check_categories(pattern, taxonomy)
    with pytest.raises(
        InputError, match=r"are not those of t\.json; use the taxonomy\.json beside"
    ):
        check_labels(boxes_only, of_images, "t.json")
    with pytest.raises(InputError, match=r"use the image_taxonomy\.json beside them"):
        check_labels(only_labels, of_boxes, "t.json")
    # The model of images knows all categories of the records, whatever their labels.
    check_categories(boxes_only, of_images)
    with pytest.raises(InputError, match=r"\(2 of 4, such as 2 \(Quercus robur\), 9 \(Amanita"):
        check_categories(only_labels, Taxonomy.from_categories(of_boxes.species, {0}))
