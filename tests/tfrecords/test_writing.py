"""Tests of the writer of TFRecords, on folders of tiny JPEGs."""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from inatdet.data.checking import OnBad
from inatdet.data.taxonomy import Category, Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.tfrecords import writing
from inatdet.tfrecords.examples import decode
from inatdet.tfrecords.label_counts import read_label_counts
from inatdet.tfrecords.shards import map_ahead, shard_names
from inatdet.tfrecords.writing import Conversion, convert

IMAGES = 20
BOXLESS = (4, 11)
CATEGORIES = [
    {"id": 4, "name": "Pica pica", "supercategory": "Aves"},
    {"id": 0, "name": "Vespa crabro", "supercategory": "Insecta"},
    {"id": 2, "name": "Quercus robur", "supercategory": "Plantae"},
]


@pytest.fixture
def dataset(tmp_path):
    """20 images, two without a box, number 3 with three boxes; how to write them."""
    folder = tmp_path / "data"
    (folder / "pictures").mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, boxes = [], []
    for i in range(IMAGES):
        width, height = 16 + i, 24
        file = io.BytesIO()
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        PIL.Image.fromarray(pixels).save(file, "jpeg")
        (folder / "pictures" / f"{i}.jpg").write_bytes(file.getvalue())
        name = f"pictures/{i}.jpg"
        images.append({"id": 100 + i, "file_name": name, "width": width, "height": height})
        for _ in range(0 if i in BOXLESS else 3 if i == 3 else 1):
            boxes.append(
                {
                    "id": len(boxes),
                    "image_id": 100 + i,
                    "category_id": 4 * (i % 2),
                    "bbox": [1, 2, 3 + len(boxes) % 5, 4],
                }
            )
    write_json(folder, {"images": images, "categories": CATEGORIES, "annotations": boxes})
    return Conversion(
        annotations=str(folder / "boxes.json"),
        images_dir=str(folder),
        output_dir=str(tmp_path / "records"),
        split="train",
        num_shards=4,
        threads=3,
    )


def write_json(folder, record) -> None:
    with open(os.path.join(folder, "boxes.json"), "w") as file:
        json.dump(record, file)


def edit(dataset: Conversion, change) -> None:
    """Changes the annotation file in place."""
    with open(dataset.annotations) as file:
        record = json.load(file)
    change(record)
    write_json(dataset.images_dir, record)


def shards(dataset: Conversion) -> dict[str, bytes]:
    found = {}
    for path in glob.glob(os.path.join(dataset.output_dir, "*.tfrecord")):
        with open(path, "rb") as file:
            found[os.path.basename(path)] = file.read()
    return found


def counts(dataset: Conversion):
    pattern = os.path.join(dataset.output_dir, "train-*.tfrecord")
    return read_label_counts(pattern, Granularity.SPECIES, single_instance=False)


def examples(dataset: Conversion, split: str = "train"):
    files = sorted(glob.glob(os.path.join(dataset.output_dir, f"{split}-*.tfrecord")))
    return list(tf.data.TFRecordDataset(files).map(decode).as_numpy_iterator())


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
    assert found[106]["labels_species"].tolist() == [1]  # Category 0 comes before 4.
    assert found[107]["labels_super"].tolist() == [2]  # Insecta come before Aves.
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
    assert stored["settings"]["annotations"] == "boxes.json"
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


def test_boxless_images_on_request(dataset):
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


def spoil_missing(path):
    os.remove(path)


def spoil_png(path):
    PIL.Image.new("RGB", (22, 24)).save(path, "png")


def spoil_cut(path):
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) // 2)


def spoil_size(path):
    PIL.Image.new("RGB", (9, 9)).save(path, "jpeg")


@pytest.mark.parametrize(
    ("spoil", "problem", "words"),
    [
        (spoil_missing, "image file is missing", r"1 of 18 images .* pictures/6\.jpg"),
        (spoil_png, "image file is not a JPEG", r"6\.jpg \(image 106\) is a PNG"),
        (spoil_cut, "image file is damaged", r"6\.jpg \(image 106\) is damaged"),
        (spoil_size, "image file has another size", "9 x 9 pixels"),
    ],
)
def test_bad_image_files(dataset, spoil, problem, words):
    spoil(os.path.join(dataset.images_dir, "pictures", "6.jpg"))
    with pytest.raises(InputError, match=words) as caught:
        convert(dataset)
    assert "--on_bad=skip" in str(caught.value) and "\n" not in str(caught.value)
    assert not os.path.exists(os.path.join(dataset.output_dir, "train.json"))
    summary = convert(dataclasses.replace(dataset, on_bad=OnBad.SKIP))
    assert summary["left_out"] == {"image has no box": 2, problem: 1}
    assert summary["images"] == 17
    assert 106 not in [int(e["image_id"]) for e in examples(dataset)]
    assert counts(dataset).total_images == 17
    assert counts(dataset).boxes == (8, 11)  # image 106 showed one of the former
    # What was skipped is an error again, though its shard is there.
    with pytest.raises(InputError, match=words):
        convert(dataset)


def test_wrong_folder_of_images(dataset, tmp_path):
    for on_bad in OnBad:
        wrong = dataclasses.replace(dataset, images_dir=str(tmp_path), on_bad=on_bad)
        with pytest.raises(InputError, match=r"18 of 18 images are not in .* check --images_dir"):
            convert(wrong)
    assert not shards(dataset)


def test_bad_records_are_counted(dataset):
    edit(dataset, lambda record: record["annotations"][0].update(bbox=[0, 0, 500, 500]))
    with pytest.raises(InputError, match="annotation 0 has the box"):
        convert(dataset)
    summary = convert(dataclasses.replace(dataset, on_bad=OnBad.SKIP))
    assert summary["left_out"] == {"box extends beyond its image": 1, "image has no box": 3}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_shards": 19}, "18 images do not fill 19 shards"),
        ({"num_shards": -1}, "num_shards=-1"),
        ({"split": "a/b"}, "split=a/b"),
        ({"split": ""}, "split="),
        ({"threads": 0}, "threads=0"),
        ({"images_dir": "/nowhere/at/all"}, "images_dir=/nowhere/at/all is not a folder"),
        ({"output_dir": "/dev/null/x"}, "output_dir=/dev/null/x cannot be made"),
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
    with pytest.raises(InputError, match=r"other labels .* pass --taxonomy="):
        convert(val)
    convert(dataclasses.replace(val, taxonomy=stored))
    assert {int(label) for e in examples(dataset, "val") for label in e["labels_species"]} == {2}
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
    with pytest.raises(InputError, match=r"category 0 \(Vespa crabro, Insecta\) is not so in"):
        convert(dataclasses.replace(dataset, taxonomy=path))


# --- resuming ---


@pytest.fixture
def interrupted(dataset, monkeypatch):
    """A run that ended in the third shard, and the names of the shards it wrote."""
    write = writing.write_shard

    def stop_at_third(path, *rest):
        if "00002-of" in path:
            raise KeyboardInterrupt
        return write(path, *rest)

    monkeypatch.setattr(writing, "write_shard", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        convert(dataset)
    written: list[str] = []

    def record(path, *rest):
        written.append(os.path.basename(path)[6:11])
        return write(path, *rest)

    monkeypatch.setattr(writing, "write_shard", record)
    return written


def test_going_on_gives_the_same_files(dataset, interrupted):
    assert len(shards(dataset)) == 2
    assert not os.path.exists(os.path.join(dataset.output_dir, "train.json"))
    summary = convert(dataset)
    assert interrupted == ["00002", "00003"]
    fresh = dataclasses.replace(dataset, output_dir=dataset.output_dir + "-fresh")
    assert convert(fresh) == summary and shards(fresh) == shards(dataset)
    with open(os.path.join(dataset.output_dir, "train.json")) as file:
        resumed = file.read()
    with open(os.path.join(fresh.output_dir, "train.json")) as file:
        assert file.read() == resumed
    interrupted.clear()
    assert convert(dataset) == summary and interrupted == []


def damage_shard(dataset):
    path = os.path.join(dataset.output_dir, "train-00000-of-00004.tfrecord")
    with open(path, "ab") as file:
        file.write(b"x")


def damage_journal(dataset):
    path = os.path.join(dataset.output_dir, ".train.journal")
    with open(path, "r+") as file:
        file.truncate(os.path.getsize(path) - 5)


def lose_journal(dataset):
    os.remove(os.path.join(dataset.output_dir, ".train.journal"))


def change_box(dataset):
    edit(dataset, lambda record: record["annotations"][0].update(bbox=[0, 0, 1, 1]))


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (damage_shard, ["00000", "00002", "00003"]),
        (damage_journal, ["00001", "00002", "00003"]),
        (lose_journal, ["00000", "00001", "00002", "00003"]),
        (change_box, ["00000", "00001", "00002", "00003"]),
    ],
)
def test_what_cannot_be_kept_is_written_again(dataset, interrupted, change, again):
    change(dataset)
    convert(dataset)
    assert interrupted == again
    fresh = dataclasses.replace(dataset, output_dir=dataset.output_dir + "-fresh")
    convert(fresh)
    assert shards(fresh) == shards(dataset)


def test_counts_are_added_to_a_split_that_was_written_without_them(dataset, interrupted):
    convert(dataset)
    interrupted.clear()
    os.remove(os.path.join(dataset.output_dir, "train.label_counts.json"))
    convert(dataset)
    assert interrupted == []  # no shard was written again
    labels = np.concatenate([e["labels_species"] for e in examples(dataset)])
    assert counts(dataset).boxes == tuple(np.bincount(labels)[1:].tolist())
    assert counts(dataset).total_images == 18


@pytest.mark.parametrize("changes", [{"seed": 1}, {"granularity": Granularity.SUPER}])
def test_other_settings_start_anew(dataset, interrupted, changes):
    convert(dataclasses.replace(dataset, **changes))
    assert interrupted == ["00000", "00001", "00002", "00003"]


def test_no_stale_shards_stay(dataset):
    convert(dataset)
    for name in ("val-00000-of-00001.tfrecord", ".train-00001-of-00004.tfrecord.abc"):
        with open(os.path.join(dataset.output_dir, name), "w"):
            pass
    convert(dataclasses.replace(dataset, num_shards=3))
    left = [name for name in os.listdir(dataset.output_dir) if "tfrecord" in name]
    expected = [f"train-{i:05d}-of-00003.tfrecord" for i in range(3)]
    assert sorted(left) == [*expected, "val-00000-of-00001.tfrecord"]


def test_a_lost_shard_of_a_complete_split_is_written_again(dataset):
    convert(dataset)
    before = shards(dataset)
    os.remove(os.path.join(dataset.output_dir, "train-00002-of-00004.tfrecord"))
    convert(dataset)
    assert shards(dataset) == before


# --- parts ---


@pytest.mark.parametrize(
    ("images", "asked", "count"),
    [(3, 0, 3), (8, 0, 8), (866, 0, 8), (8001, 0, 9), (579_184, 0, 580), (5, 2, 2), (5, 5, 5)],
)
def test_shard_names(images, asked, count):
    names = shard_names("val", images, asked)
    assert len(names) == count
    assert names[0] == f"val-00000-of-{count:05d}.tfrecord"


def test_map_ahead_is_in_order_and_bounded():
    lock, state = threading.Lock(), {"started": 0, "taken": 0, "most": 0}

    def work(item):
        with lock:
            state["started"] += 1
            state["most"] = max(state["most"], state["started"] - state["taken"])
        return item * item

    results = []
    with ThreadPoolExecutor(4) as readers:
        for result in map_ahead(readers, work, range(100), 7):
            results.append(result)
            with lock:
                state["taken"] += 1
    assert results == [i * i for i in range(100)]
    assert state["most"] <= 8


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
    os.remove(dataset.annotations)
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith(f"error: {dataset.annotations}: cannot be read")
    assert "Traceback" not in run.stderr
