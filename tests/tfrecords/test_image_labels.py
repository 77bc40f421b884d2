"""One set of records for detectors and classifiers."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from inatdet.data.checking import OnBad
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.tfrecords import writing
from inatdet.tfrecords.journal import count_boxed_images, count_images
from inatdet.tfrecords.label_counts import read_image_label_counts, read_label_counts
from inatdet.tfrecords.verification import verify
from inatdet.tfrecords.writing import convert
from tests.tfrecords.conversions import edit, shards
from tests.tfrecords.labelled import (
    ONLY_BOXES,
    ONLY_LABELS,
    SIZES,
    boxed_ids,
    edit_labels,
    found_in,
    labelled,
    serialized,
)

SPECIES, SUPER = Granularity.SPECIES, Granularity.SUPER
NEW_FIELDS = {"image/category_id", "image/class/label", "image/class/text", "image/unboxed"}


@pytest.fixture
def joint(dataset):
    return labelled(dataset)


@pytest.fixture
def rewritten(monkeypatch):
    """The names of the shards that are written."""
    write, names = writing.write_shard, []

    def record(path, *rest):
        names.append(os.path.basename(path))
        return write(path, *rest)

    monkeypatch.setattr(writing, "write_shard", record)
    return names


def elsewhere(dataset, name, **changes):
    return dataclasses.replace(dataset, output_dir=f"{dataset.output_dir}-{name}", **changes)


def pattern(dataset, split="train"):
    return os.path.join(dataset.output_dir, f"{split}-*.tfrecord")


def files_of(dataset):
    found = {}
    for name in sorted(os.listdir(dataset.output_dir)):
        with open(os.path.join(dataset.output_dir, name), "rb") as file:
            found[name] = file.read()
    return found


def taxonomy_of(dataset, name="image_taxonomy.json"):
    return Taxonomy.load(os.path.join(dataset.output_dir, name))


def feature_of(record):
    return tf.train.Example.FromString(record).features.feature


def by_image(records):
    return {int(feature_of(r)["image/source_id"].bytes_list.value[0]): r for r in records}


# --- what is written ---


def test_the_images_of_both_files_are_written(joint):
    summary = convert(joint)
    assert (summary["images"], summary["boxes"], summary["boxed_images"]) == (24, 20, 18)
    assert summary["left_out"] == {} and summary["notes"] == []
    assert summary["images_without_species_label"] == 0
    found = found_in(joint)
    assert set(found) == {100 + i for i in range(20)} | set(ONLY_LABELS)
    shown = {image_id: example["shown"].tolist() for image_id, example in found.items()}
    expected = {100 + i: [4 * (i % 2)] for i in range(20)}
    assert shown == expected | {image_id: [c] for image_id, c in ONLY_LABELS.items()}
    assert {image_id for image_id, example in found.items() if example["boxed"]} == boxed_ids()
    for image_id in {*ONLY_LABELS, 104, 111}:
        assert found[image_id]["boxes"].shape == (0, 4)
    assert found[103]["category_ids"].tolist() == [4, 4, 7]
    for image_id, size in SIZES.items():
        assert (found[image_id]["width"], found[image_id]["height"]) == size
    assert verify([pattern(joint)], decode=True, images_dir=joint.images_dir).findings == ()


def test_label_spaces_of_boxes_and_of_images(joint):
    summary = convert(joint)
    assert summary["labels"] == {"species": 3, "super": 2, "generic": 1}
    assert summary["image_labels"] == {"species": 4, "super": 4, "generic": 1}
    of_boxes, of_images = taxonomy_of(joint, "taxonomy.json"), taxonomy_of(joint)
    assert [c.id for c in of_boxes.species] == [0, 4, 7]
    assert [c.id for c in of_images.species] == [0, 2, 4, 9]
    assert [c.id for c in of_images.unboxed] == [7, 12]
    assert of_boxes.super_classes == ("Insecta", "Aves")
    # Those of the boxes come first, so that their labels are the same.
    assert of_images.super_classes == ("Insecta", "Aves", "Plantae", "Fungi")
    given = elsewhere(joint, "given", super_classes=("Aves", "Insecta"))
    convert(given)
    assert taxonomy_of(given).super_classes == ("Aves", "Insecta", "Plantae", "Fungi")
    with open(os.path.join(joint.output_dir, "image_super_label_map.pbtxt")) as file:
        assert "id: 4\n  name: 'Fungi'" in file.read()


def test_records_of_images_with_boxes_only_gain_fields(joint):
    """The boxes of joint records are, byte for byte, those of records without image labels."""
    boxes_only = elsewhere(joint, "boxes", image_labels=None)
    convert(boxes_only)
    convert(joint)
    joined = by_image(serialized(joint))
    for image_id, record in by_image(serialized(boxes_only)).items():
        assert not NEW_FIELDS & set(feature_of(record))
        example = tf.train.Example.FromString(joined[image_id])
        for name in NEW_FIELDS & set(example.features.feature):
            del example.features.feature[name]
        assert example == tf.train.Example.FromString(record)


def test_boxless_images_that_were_looked_at(joint):
    """They are images without animals, for detectors too; those that only have labels are not."""
    summary = convert(dataclasses.replace(joint, keep_boxless=True))
    assert (summary["images"], summary["boxed_images"]) == (24, 20)
    unboxed = {image_id for image_id, found in found_in(joint).items() if not found["boxed"]}
    assert unboxed == set(ONLY_LABELS)


def test_boxless_images_without_a_label_are_left_out(joint):
    def forget(content):
        content["images"] = [i for i in content["images"] if i["id"] != 104]
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] != 104]

    edit_labels(joint, forget)
    summary = convert(joint)
    assert summary["left_out"] == {"image has no box": 1} and summary["images"] == 23
    kept = elsewhere(joint, "kept", keep_boxless=True)
    assert convert(kept)["images"] == 24
    found = found_in(kept)[104]
    assert found["shown"].tolist() == [] and found["boxed"]
    (record,) = (r for i, r in by_image(serialized(kept)).items() if i == 104)
    assert feature_of(record)["image/class/label"].int64_list.value == [0]


def test_only_image_labels(joint):
    alone = dataclasses.replace(joint, annotations=None)
    summary = convert(alone)
    assert (summary["images"], summary["boxes"], summary["boxed_images"]) == (22, 0, 0)
    assert summary["labels"] == {} and summary["image_labels"]["species"] == 4
    names = os.listdir(alone.output_dir)
    assert "image_taxonomy.json" in names and "taxonomy.json" not in names
    assert not [name for name in names if name.startswith("species")]
    found = found_in(alone)
    assert set(found) == {100 + i for i in range(18)} | set(ONLY_LABELS)
    assert not any(example["boxed"] for example in found.values())
    # The file says nothing of the sizes of most images.
    assert (found[107]["width"], found[107]["height"]) == (23, 24)
    assert count_images(pattern(alone)) == 22 and count_boxed_images(pattern(alone)) == 0
    taxonomy = taxonomy_of(alone)
    assert taxonomy.super_classes == ("Aves", "Insecta", "Plantae", "Fungi"), "as they appear"
    assert read_image_label_counts(pattern(alone), taxonomy, SPECIES).images == (10, 1, 9, 2)
    assert read_label_counts(pattern(alone), taxonomy, SPECIES, False).total_images == 0


@pytest.mark.parametrize(
    ("granularity", "seen"),
    [
        (SPECIES, {103: (3, b"Pica pica"), 201: (4, b"Amanita muscaria")}),
        (SUPER, {103: (2, b"Aves"), 201: (4, b"Fungi"), 200: (3, b"Plantae")}),
    ],
)
def test_what_other_readers_see(joint, granularity, seen):
    convert(dataclasses.replace(joint, granularity=granularity))
    records = by_image(serialized(joint))
    for image_id, (label, text) in seen.items():
        feature = feature_of(records[image_id])
        assert list(feature["image/class/label"].int64_list.value) == [label]
        assert list(feature["image/class/text"].bytes_list.value) == [text]


# --- counts ---


def test_counts_of_labels(joint):
    convert(joint)
    shown = Counter(int(example["shown"][0]) for example in found_in(joint).values())
    counts = read_image_label_counts(pattern(joint), taxonomy_of(joint), SPECIES)
    assert counts.images == counts.boxes == tuple(shown[i] for i in (0, 2, 4, 9))
    assert counts.total_images == 24
    # For detectors, they are as if there were no image labels.
    boxes_only = elsewhere(joint, "boxes", image_labels=None)
    convert(boxes_only)
    taxonomy = taxonomy_of(joint, "taxonomy.json")
    for single_instance in (False, True):
        of_both = [
            read_label_counts(pattern(dataset), taxonomy, SPECIES, single_instance)
            for dataset in (joint, boxes_only)
        ]
        assert of_both[0] == of_both[1]
    assert (count_images(pattern(joint)), count_boxed_images(pattern(joint))) == (24, 18)
    assert count_boxed_images(pattern(boxes_only)) == count_images(pattern(boxes_only)) == 18


def test_counts_without_image_labels_are_what_classifiers_read(joint):
    """Image 103 has boxes of two species, and the crowd in image 105 is of its species."""
    boxes_only = dataclasses.replace(joint, image_labels=None, keep_boxless=True)
    convert(boxes_only)
    found = [int(c) for example in found_in(boxes_only).values() for c in example["shown"]]
    taxonomy = taxonomy_of(boxes_only, "taxonomy.json")
    counts = read_image_label_counts(pattern(boxes_only), taxonomy, SPECIES)
    assert counts.images == tuple(found.count(i) for i in (0, 4, 7)) == (9, 8, 0)


# --- files that do not fit together ---


def rename_image(content):
    content["images"][3]["file_name"] = "pictures/19.jpg"
    content["images"][5]["file_name"] = "pictures/18.jpg"


def resize_image(content):
    content["images"][3] |= {"width": 9, "height": 24}


def rename_category(content):
    content["categories"][1]["name"] = "Vespa velutina"


def move_category(content):
    content["categories"][1]["supercategory"] = "Animalia"


def renumber_category(content):
    content["categories"].append({"id": 70, "name": "Pica nuttalli", "supercategory": "Aves"})


def renumber_image(content):
    content["images"][3]["id"] = content["annotations"][3]["image_id"] = 900


def unsafe_name(content):
    content["images"][-1]["file_name"] = "../1.jpg"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (rename_image, r"labels\.json: image 103 is 'pictures/19\.jpg', but 'pictures/3\.jpg' in "
         r".*boxes\.json, and so for 2 images; give two files of the same split"),
        (resize_image, r"labels\.json: image 103 has 9 x 24 pixels, but 19 x 24 in .*boxes\.json; "
         "correct the file"),
        (rename_category, r"labels\.json: category 0 is 'Vespa velutina' \('Insecta'\), but "
         r"'Vespa crabro' \('Insecta'\) in .*boxes\.json; give two files"),
        (move_category, r"category 0 is 'Vespa crabro' \('Animalia'\), but 'Vespa crabro'"),
        (renumber_category, r"'Pica nuttalli' \('Aves'\) is category 70, but 7 in .*boxes\.json;"),
        (renumber_image, r"'pictures/3\.jpg' is image 900, but 103 in .*boxes\.json; number the"),
        (unsafe_name, r"labels\.json: .*has the file_name '\.\./1\.jpg', which leads out of"),
    ],
)  # fmt: skip
def test_files_that_contradict_each_other(joint, change, words):
    edit_labels(joint, change)
    with pytest.raises(InputError, match=words) as caught:
        convert(joint)
    assert "\n" not in str(caught.value) and not shards(joint)


def test_an_image_whose_boxes_are_of_another_category_is_told(joint):
    edit_labels(joint, lambda content: content["annotations"][6].update(category_id=2))
    (note,) = convert(joint)["notes"]
    assert "labels.json: 1 image has another label than any of its boxes in" in note
    assert "image 106 (label 2, box 0)" in note
    assert found_in(joint)[106]["shown"].tolist() == [2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"annotations": None, "image_labels": None}, "give --annotations, --image_labels or both"),
        ({"annotations": None, "taxonomy": "t.json"}, "--taxonomy is about boxes; give"),
        ({"annotations": None, "keep_boxless": True}, "--keep_boxless is about boxes; give"),
        ({"image_labels": None, "image_taxonomy": "t.json"}, "--image_taxonomy .* --image_labels"),
        ({"annotations": None, "image_taxonomy": "t.json", "super_classes": ("Aves",)},
         "--image_taxonomy already orders"),
        ({"annotations": None, "super_classes": ("Pisces",)}, "labels.json: no category has the"),
        ({"annotations": None, "granularity": Granularity("genus")}, "labels.json: there is no le"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_together(joint, changes, words):
    with pytest.raises(InputError, match=words):
        convert(dataclasses.replace(joint, **changes))


def test_label_spaces_are_shared_by_splits(joint):
    convert(joint)
    val = dataclasses.replace(joint, split="val")
    edit_labels(val, lambda content: content["annotations"].pop(21))  # 9 has another image
    edit_labels(val, lambda content: content["images"].pop(21))
    convert(dataclasses.replace(val, taxonomy=os.path.join(val.output_dir, "taxonomy.json")))
    edit_labels(val, lambda content: content["annotations"][19].update(category_id=2))
    with pytest.raises(InputError, match=r"has different labels .* pass --image_taxonomy=.*image_"):
        convert(val)
    path = os.path.join(val.output_dir, "image_taxonomy.json")
    summary = convert(dataclasses.replace(val, image_taxonomy=path))
    assert summary["image_labels"]["species"] == 4
    smaller = os.path.join(val.images_dir, "smaller.json")
    taxonomy = taxonomy_of(joint)
    Taxonomy.from_categories(taxonomy.categories, [0, 4]).save(smaller)
    apart = elsewhere(val, "apart", image_taxonomy=smaller)
    assert convert(apart)["images_without_species_label"] == 2
    Taxonomy.from_categories(taxonomy.categories[:1], [0]).save(smaller)
    with pytest.raises(InputError, match="for 2 categories with images; use the taxonomy of the"):
        convert(apart)


def test_ranks_apply_to_both(joint):
    ranked = dataclasses.replace(joint, genus_from_names=True, granularity=Granularity("genus"))
    summary = convert(ranked)
    assert summary["labels"]["genus"] == 2 and summary["image_labels"]["genus"] == 4
    assert "image_genus_label_map.pbtxt" in os.listdir(joint.output_dir)


# --- bad entries and files ---


def test_bad_images_are_left_out(joint):
    def two_labels(content):
        content["annotations"].append({"id": 99, "image_id": 201, "category_id": 4})
        content["annotations"].append({"id": 98, "image_id": 106, "category_id": 4})

    edit_labels(joint, two_labels)
    os.remove(os.path.join(joint.images_dir, "pictures", "102.jpg"))
    with open(os.path.join(joint.images_dir, "pictures", "103.jpg"), "wb") as file:
        file.write(b"no picture")
    with pytest.raises(InputError, match=r"labels\.json"):
        convert(joint)
    summary = convert(dataclasses.replace(joint, on_bad=OnBad.SKIP))
    assert summary["left_out"] == {
        "image has several labels": 2,
        "image file is missing": 1,
        "image file is not a JPEG": 1,
    }
    found = found_in(joint)
    assert set(ONLY_LABELS) & set(found) == {200}
    assert found[106]["shown"].tolist() == [0], "its boxes still say it"


def test_images_of_one_list_may_be_left_out(joint):
    path = os.path.join(joint.images_dir, "list.csv")
    with open(path, "w") as file:
        file.write("image_id\n201\n104\n119\n")
    summary = convert(dataclasses.replace(joint, leave_out_listed=path))
    assert summary["left_out"] == {"image is listed in --leave_out_listed": 3}
    assert set(found_in(joint)) & {201, 104, 119} == set() and summary["images"] == 21


# --- resuming and parts ---


def test_resuming_and_parts_give_the_files_of_an_undivided_run(joint, rewritten, monkeypatch):
    whole = elsewhere(joint, "whole")
    convert(whole)
    for part in ("1/3", "2/3", "0/3"):
        summary = convert(dataclasses.replace(joint, shards=part))
    assert summary["boxed_images"] == 18 and files_of(joint) == files_of(whole)
    os.remove(pattern(joint).replace("*", "00002-of-00004"))
    rewritten.clear()
    convert(joint)
    assert rewritten == ["train-00002-of-00004.tfrecord"] and files_of(joint) == files_of(whole)
    rewritten.clear()
    convert(joint)
    assert rewritten == []


def relabel(joint):
    edit_labels(joint, lambda content: content["annotations"][0].update(category_id=4))
    return joint


def keep(joint):
    return dataclasses.replace(joint, keep_boxless=True)


def drop_labels(joint):
    return dataclasses.replace(joint, image_labels=None, keep_boxless=True)


@pytest.mark.parametrize("change", [relabel, keep, drop_labels])
def test_what_records_depend_on_writes_them_again(joint, rewritten, change):
    convert(joint)
    rewritten.clear()
    changed = change(joint)
    convert(changed)
    assert len(rewritten) == 4
    fresh = elsewhere(changed, "fresh")
    convert(fresh)
    assert shards(fresh) == shards(changed)


def test_without_image_labels_nothing_of_them_is_said(dataset):
    """Records of earlier versions are resumed, and none of their files change."""
    convert(dataset)
    with open(os.path.join(dataset.output_dir, "train.json")) as file:
        manifest = json.load(file)
    assert set(manifest["settings"]) == {
        *("annotations_sha256", "order_sha256", "labels_sha256", "num_shards", "granularity"),
        *("seen_labels_sha256", "leave_out", "record_version"),
    }
    assert "boxed_images" not in manifest and "image_labels" not in manifest
    assert not [name for name in os.listdir(dataset.output_dir) if name.startswith("image")]


def test_the_order_of_both_lists_does_not_matter_for_what_is_written(joint):
    """Only where; and boxes that name their images in any order find them."""
    convert(joint)
    before = found_in(joint)
    edit_labels(joint, lambda content: content["images"].reverse())
    edit(joint, lambda content: content["annotations"].reverse())
    convert(joint)
    after = found_in(joint)
    assert set(before) == set(after)
    for image_id, example in before.items():
        other = after[image_id]
        assert example["shown"].tolist() == other["shown"].tolist()
        assert example["boxed"] == other["boxed"] and example["encoded"] == other["encoded"]
        np.testing.assert_array_equal(example["boxes"], other["boxes"][::-1])
    assert ONLY_BOXES[0] in after
