"""Tests of the writer of TFRecords, on folders of tiny JPEGs."""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import PIL.ExifTags
import PIL.Image
import pytest
import tensorflow as tf

from inatdet.data.categories import Category
from inatdet.data.checking import OnBad
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.locks import only_writer
from inatdet.tfrecords.journal import count_images
from inatdet.tfrecords.reading import find_files
from inatdet.tfrecords.writing import convert
from tests.tfrecords.conversions import BOXLESS, CATEGORIES, IMAGES, counts, edit, examples, shards


def test_everything_is_written_once(dataset):
    summary = convert(dataset)
    assert (summary["images"], summary["boxes"], summary["shards"]) == (18, 20, 4)
    assert summary["left_out"] == {"image has no box": 2}
    assert summary["boxes_without_species_label"] == 0
    assert sorted(os.listdir(dataset.output_dir)) == [
        "generic_label_map.pbtxt",
        "species_label_map.pbtxt",
        "super_label_map.pbtxt",
        "taxonomy.json",
        "train-00000-of-00004.tfrecord",
        "train-00001-of-00004.tfrecord",
        "train-00002-of-00004.tfrecord",
        "train-00003-of-00004.tfrecord",
        "train.json",
        "train.label_counts.json",
    ]
    found = {int(example["image_id"]): example for example in examples(dataset)}
    assert len(examples(dataset)) == 18
    assert sorted(found) == [100 + i for i in range(IMAGES) if i not in BOXLESS]
    with open(os.path.join(dataset.images_dir, "pictures", "7.jpg"), "rb") as file:
        assert found[107]["encoded"] == file.read()
    # Images have 16 + i columns and 24 rows; box 7 belongs to image 6 and has width 3 + 7 % 5.
    expected = np.array([[2 / 24, 1 / 22, 6 / 24, 6 / 22]])
    np.testing.assert_allclose(found[106]["boxes"], expected, atol=1e-6)
    assert found[106]["category_ids"].tolist() == [0]
    assert found[107]["category_ids"].tolist() == [4]
    assert found[103]["boxes"].shape == (3, 4)
    taxonomy = Taxonomy.load(os.path.join(dataset.output_dir, "taxonomy.json"))
    assert taxonomy.names(Granularity.SPECIES) == ("Vespa crabro", "Pica pica")


def test_the_summary_file(dataset):
    summary = convert(dataset)
    with open(os.path.join(dataset.output_dir, "train.json")) as file:
        stored = json.load(file)
    assert {key: stored[key] for key in summary} == summary
    with open(dataset.annotations, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    assert stored["arguments"]["annotations"] == "boxes.json"
    assert stored["settings"]["annotations_sha256"] == digest
    assert [shard["images"] for shard in stored["files"]] == [5, 5, 4, 4]


def test_shards_are_shuffled_by_the_seed(dataset):
    def written(**changes):
        folder = f"{dataset.output_dir}-{len(os.listdir(os.path.dirname(dataset.output_dir)))}"
        conversion = dataclasses.replace(dataset, output_dir=folder, **changes)
        convert(conversion)
        return shards(conversion)

    first = written()
    assert written(threads=1) == first
    assert written(seed=1) != first
    ids = [
        int(e["image_id"])
        for e in examples(dataclasses.replace(dataset, output_dir=dataset.output_dir + "-1"))
    ]
    assert ids != sorted(ids)


def test_boxless_images_if_wanted(dataset):
    summary = convert(dataclasses.replace(dataset, keep_boxless=True))
    assert summary["images"] == 20 and summary["left_out"] == {}
    empty = [int(e["image_id"]) for e in examples(dataset) if not len(e["boxes"])]
    assert sorted(empty) == [100 + i for i in BOXLESS]


@pytest.mark.parametrize(
    ("granularity", "names"),
    [
        (Granularity.SPECIES, {b"Vespa crabro", b"Pica pica"}),
        (Granularity.SUPER, {b"Insecta", b"Aves"}),
        (Granularity.GENERIC, {b"animal"}),
    ],
)
def test_granularity_of_the_standard_fields(dataset, granularity, names):
    convert(dataclasses.replace(dataset, granularity=granularity))
    files = glob.glob(os.path.join(dataset.output_dir, "*.tfrecord"))
    found = set()
    for serialized in tf.data.TFRecordDataset(files).as_numpy_iterator():
        feature = tf.train.Example.FromString(serialized).features.feature
        found.update(feature["image/object/class/text"].bytes_list.value)
    assert found == names


# --- what is wrong with images ---


def damage_missing(path):
    os.remove(path)


def damage_png(path):
    PIL.Image.new("RGB", (22, 24)).save(path, "png")


def damage_cut(path):
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) // 2)


def damage_size(path):
    PIL.Image.new("RGB", (9, 9)).save(path, "jpeg")


@pytest.mark.parametrize(
    ("damage", "problem", "words"),
    [
        (damage_missing, "image file is missing", r"1 of 18 images .* pictures/6\.jpg"),
        (damage_png, "image file is not a JPEG", r"6\.jpg \(image 106\) is a PNG"),
        (damage_cut, "image file is damaged", r"6\.jpg \(image 106\) is damaged"),
        (damage_size, "image file has another size", "9 x 9 pixels"),
    ],
)
def test_bad_image_files(dataset, damage, problem, words):
    damage(os.path.join(dataset.images_dir, "pictures", "6.jpg"))
    with pytest.raises(InputError, match=words) as caught:
        convert(dataset)
    assert "skip" in str(caught.value) or "inatdet check" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not os.path.exists(os.path.join(dataset.output_dir, "train.json"))
    summary = convert(dataclasses.replace(dataset, on_bad=OnBad.SKIP))
    assert summary["left_out"] == {"image has no box": 2, problem: 1}
    assert summary["images"] == 17
    assert 106 not in [int(e["image_id"]) for e in examples(dataset)]
    assert counts(dataset).total_images == 17
    assert counts(dataset).boxes == (8, 11)  # image 106 showed one of the former
    # What was skipped is an error again, although its shard exists.
    with pytest.raises(InputError, match=words):
        convert(dataset)


def test_wrong_folder_of_images(dataset, tmp_path):
    (tmp_path / "empty").mkdir()
    for on_bad in OnBad:
        for folder, remedy in [("empty", "check --images_dir"), (".", "give --images_dir=.*/data")]:
            images_dir = str(tmp_path / folder)
            wrong = dataclasses.replace(dataset, images_dir=images_dir, on_bad=on_bad)
            with pytest.raises(InputError, match=rf"18 of 18 images are not in .* {remedy}$"):
                convert(wrong)
    assert not shards(dataset)


def test_a_name_in_other_case_is_hinted_at(dataset):
    folder = os.path.join(dataset.images_dir, "pictures")
    os.rename(os.path.join(folder, "6.jpg"), os.path.join(folder, "6.JPG"))
    with pytest.raises(InputError, match=r"such as pictures/6\.JPG for pictures/6\.jpg; rename"):
        convert(dataset)


def test_where_no_image_can_be_used_nothing_is_advised_that_leaves_none(dataset):
    for i in range(IMAGES):
        damage_png(os.path.join(dataset.images_dir, "pictures", f"{i}.jpg"))
    with pytest.raises(InputError, match="is a PNG") as caught:
        convert(dataset)
    assert "skip" not in str(caught.value) and "inatdet check" in str(caught.value)
    words = r"no image can be written \(image has no box: 2; image file is not a JPEG: 18\)"
    with pytest.raises(InputError, match=words):
        convert(dataclasses.replace(dataset, on_bad=OnBad.SKIP))
    assert not os.path.exists(os.path.join(dataset.output_dir, "train.json"))


def test_pictures_that_viewers_turn_are_counted(dataset):
    assert convert(dataset)["turned"] == 0
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Orientation] = 3
    for i in (6, 9):
        path = os.path.join(dataset.images_dir, "pictures", f"{i}.jpg")
        PIL.Image.new("RGB", (16 + i, 24)).save(path, "jpeg", exif=exif)
    again = dataclasses.replace(dataset, output_dir=f"{dataset.output_dir}-again")
    assert convert(again)["turned"] == 2
    assert convert(again)["turned"] == 2  # from the summary: nothing is read again


def test_one_writer_at_a_time(dataset):
    with only_writer(dataset.output_dir), pytest.raises(InputError, match="is writing there"):
        convert(dataset)
    convert(dataset)
    assert ".inatdet.lock" not in os.listdir(dataset.output_dir)


@pytest.mark.parametrize("name", ["a b", "c,d", "e=f", "g [1]", "Käfer", "h*", "i{1,2}"])
def test_any_folder_will_do(dataset, tmp_path, name):
    os.rename(tmp_path / "data", tmp_path / name)
    odd = dataclasses.replace(
        dataset,
        annotations=str(tmp_path / name / "boxes.json"),
        images_dir=str(tmp_path / name),
        output_dir=str(tmp_path / name / "records"),
    )
    convert(odd)
    assert convert(dataclasses.replace(odd, num_shards=2))["shards"] == 2
    assert len(shards(odd)) == 2, "those of the first run are found, and removed"
    assert find_files(f"{odd.output_dir}/train-*") == sorted(
        os.path.join(odd.output_dir, shard) for shard in shards(odd)
    )
    assert count_images(f"{odd.output_dir}/train-*") == 18


def test_bad_entries_are_counted(dataset):
    edit(dataset, lambda record: record["annotations"][0].update(bbox=[0, 0, 500, 500]))
    with pytest.raises(InputError, match="annotation 0 has the box"):
        convert(dataset)
    summary = convert(dataclasses.replace(dataset, on_bad=OnBad.SKIP))
    assert summary["left_out"] == {
        "box extends beyond its image": 1,
        "image with a bad box or a repeated id": 1,
        "image has no box": 2,
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_shards": 19}, "18 images do not fill 19 shards"),
        ({"num_shards": -1}, "num_shards=-1"),
        ({"split": "a/b"}, "split=a/b"),
        ({"split": ""}, "split="),
        ({"threads": 0}, "threads=0"),
        ({"images_dir": "/nowhere/at/all"}, "images_dir=/nowhere/at/all is not a folder"),
        ({"output_dir": "/dev/null/x"}, "/dev/null/x: cannot be written, because /dev/null is not"),
        ({"annotations": "/nowhere.json"}, r"/nowhere\.json: cannot be read"),
        ({"taxonomy": "/nowhere.json"}, r"/nowhere\.json: cannot be read"),
        ({"taxonomy": "/x.json", "super_classes": ("Aves",)}, "drop --super_classes"),
        ({"super_classes": ("Aves",)}, "'Insecta' has boxes"),
    ],
)
def test_bad_settings(dataset, changes, words):
    with pytest.raises(InputError, match=words):
        convert(dataclasses.replace(dataset, **changes))
    assert not shards(dataset)


# --- label spaces of a second split ---


def test_splits_share_a_taxonomy(dataset):
    convert(dataset)
    stored = os.path.join(dataset.output_dir, "taxonomy.json")
    # Only Pica pica is left in the validation boxes: on its own it would get label 1.
    edit(
        dataset,
        lambda record: record.update(
            annotations=[box for box in record["annotations"] if box["category_id"] == 4]
        ),
    )
    val = dataclasses.replace(dataset, split="val", num_shards=2)
    with pytest.raises(InputError, match=r"different labels .* pass --taxonomy="):
        convert(val)
    convert(dataclasses.replace(val, taxonomy=stored))
    assert {int(i) for e in examples(dataset, "val") for i in e["category_ids"]} == {4}
    assert len(examples(dataset, "train")) == 18


def test_taxonomy_without_a_box_of_some_category(dataset, tmp_path):
    categories = [Category(c["id"], c["name"], c["supercategory"]) for c in CATEGORIES]
    path = str(tmp_path / "taxonomy.json")
    Taxonomy.from_categories(categories, [4]).save(path)
    summary = convert(dataclasses.replace(dataset, taxonomy=path))
    assert summary["boxes_without_species_label"] == 9  # Even images but number 4.
    assert summary["labels"] == {"species": 1, "super": 1, "generic": 1}


def test_taxonomy_of_another_dataset(dataset, tmp_path):
    path = str(tmp_path / "taxonomy.json")
    Taxonomy.from_categories([Category(4, "Pica pica", "Aves")], [4]).save(path)
    with pytest.raises(
        InputError, match=r"category 0 \('Vespa crabro', 'Insecta'\) is not listed in"
    ):
        convert(dataclasses.replace(dataset, taxonomy=path))


def test_no_tensorflow_is_needed(dataset):
    code = (
        "import sys\n"
        "import inatdet.programs.tfrecords\n"
        "from inatdet.tfrecords.writing import Conversion, convert\n"
        "convert(Conversion(*sys.argv[1:]))\n"
        "assert not {'tensorflow', 'google.protobuf', 'matplotlib', 'pandas'} & set(sys.modules)\n"
    )
    arguments = (dataset.annotations, dataset.images_dir, dataset.output_dir, dataset.split)
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    assert len(examples(dataset)) == 18


def test_the_program(dataset):
    command = [
        *(sys.executable, "-m", "inatdet", "tfrecords"),
        f"--annotations={dataset.annotations}",
        f"--images_dir={dataset.images_dir}",
        f"--output_dir={dataset.output_dir}",
        *("--split=val", "--num_shards=2", "--granularity=super", "--on_bad=skip"),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "18 images with 20 boxes in 2 shards of val" in run.stdout
    assert "left out: 2 (image has no box)" in run.stdout
    assert "val:" in run.stderr and "18/18" in run.stderr  # The progress bar.
    part = [flag for flag in command if not flag.startswith("--num_shards")]
    run = subprocess.run(
        [*part, "--num_shards=3", "--shards=1/3"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "2 shards of val are still to be written" in run.stdout
    os.remove(dataset.annotations)
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith(f"error: {dataset.annotations}: cannot be read")
    assert "Traceback" not in run.stderr
