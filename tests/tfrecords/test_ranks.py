"""One set of records serves levels that are added later."""

from __future__ import annotations

import csv
import dataclasses
import glob
import json
import os

import pytest
import tensorflow as tf

from inatdet.data.formats.coco import read_coco_annotations
from inatdet.data.granularity import ALWAYS, Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.data.taxonomy_file import TAXONOMY_FILE
from inatdet.errors import InputError
from inatdet.tfrecords import writing
from inatdet.tfrecords.label_counts import read_label_counts
from inatdet.tfrecords.lookup import LabelLookup
from inatdet.tfrecords.writing import convert
from tests.tfrecords.conversions import IMAGES, edit, examples, shards

SPECIES, SUPER, GENERIC = ALWAYS
GENUS, FAMILY = Granularity("genus"), Granularity("family")
# Two of the birds are of one genus; the oak has no box.
CATEGORIES = [
    {"id": 4, "name": "Pica pica", "supercategory": "Aves"},
    {"id": 0, "name": "Vespa crabro", "supercategory": "Insecta"},
    {"id": 7, "name": "Pica nuttalli", "supercategory": "Aves"},
    {"id": 9, "name": "Corvus corax", "supercategory": "Aves"},
    {"id": 2, "name": "Quercus robur", "supercategory": "Plantae"},
]
RANKS = {4: ("Pica", "Corvidae"), 7: ("Pica", "Corvidae"), 9: ("Corvus", "Corvidae"),
         0: ("Vespa", "Vespidae")}  # fmt: skip


@pytest.fixture
def birds(dataset):
    """The dataset with four species with boxes, several in some images."""

    def change(content):
        content["categories"] = CATEGORIES
        boxes = content["annotations"]
        for n, box in enumerate(boxes):
            box["category_id"] = (4, 0, 7, 9)[n % 4]
        # Image 100 shows both magpies, image 101 a magpie twice and a wasp.
        for image_id, category_id in ((100, 7), (101, 4), (101, 4)):
            boxes.append(boxes[0] | {"id": 50 + len(boxes), "image_id": image_id,
                                     "category_id": category_id})  # fmt: skip

    edit(dataset, change)
    return dataset


def ranks_file(folder, ranks=RANKS):
    path = os.path.join(folder, "ranks.csv")
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(
            [("id", "genus", "family"), *((i, *names) for i, names in ranks.items())]
        )
    return path


@pytest.fixture
def rewritten(monkeypatch):
    """The names of the shards that are written."""
    write, names = writing.write_shard, []

    def record(path, *rest):
        names.append(os.path.basename(path))
        return write(path, *rest)

    monkeypatch.setattr(writing, "write_shard", record)
    return names


def stored(dataset):
    return Taxonomy.load(os.path.join(dataset.output_dir, TAXONOMY_FILE))


def label_maps(dataset):
    return {os.path.basename(p) for p in glob.glob(os.path.join(dataset.output_dir, "*.pbtxt"))}


def test_ranks_are_added_without_writing_a_shard_again(birds, tmp_path, rewritten):
    convert(birds)
    assert len(rewritten) == 4 and stored(birds).levels == ALWAYS
    before = shards(birds)
    rewritten.clear()
    summary = convert(dataclasses.replace(birds, ranks=ranks_file(tmp_path)))
    assert rewritten == [] and shards(birds) == before
    taxonomy = stored(birds)
    assert taxonomy.levels == (SPECIES, GENUS, FAMILY, SUPER, GENERIC)
    assert summary["labels"] == {"species": 4, "genus": 3, "family": 2, "super": 2, "generic": 1}
    assert label_maps(birds) == {f"{level}_label_map.pbtxt" for level in taxonomy.levels}
    genus_of = {i: names[0] for i, names in RANKS.items()}
    lookup = LabelLookup(taxonomy, GENUS)
    found = examples(birds)
    assert len(found) == IMAGES - 2
    for example in found:
        ids = example["category_ids"].tolist()
        labels = lookup(tf.constant(ids, tf.int64)).numpy().tolist()
        assert [taxonomy.names(GENUS)[i - 1] for i in labels] == [genus_of[i] for i in ids]


def test_genera_of_names_do_the_same(birds, rewritten):
    convert(birds)
    rewritten.clear()
    convert(dataclasses.replace(birds, genus_from_names=True))
    assert rewritten == [] and stored(birds).names(GENUS) == ("Vespa", "Pica", "Corvus")


def seen_by_others(dataset):
    """The label and text of each box as stock readers see them, by category."""
    found = {}
    files = sorted(glob.glob(os.path.join(dataset.output_dir, "*.tfrecord")))
    for record in tf.data.TFRecordDataset(files).as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        label = features["image/object/class/label"].int64_list.value
        text = features["image/object/class/text"].bytes_list.value
        ids = features["inatdet/category_id"].int64_list.value or (
            features["image/object/category_id"].int64_list.value
        )
        found |= {i: (n, name.decode()) for i, n, name in zip(ids, label, text, strict=True)}
    return found


def test_the_field_of_stock_readers_follows_its_level_alone(birds, tmp_path, rewritten):
    at_genus = dataclasses.replace(birds, ranks=ranks_file(tmp_path), granularity=GENUS)
    convert(at_genus)
    assert seen_by_others(birds) == {
        0: (1, "Vespa"), 4: (2, "Pica"), 7: (2, "Pica"), 9: (3, "Corvus")
    }  # fmt: skip
    # Other families change nothing that a shard holds.
    rewritten.clear()
    others = {i: (genus, "F") for i, (genus, _) in RANKS.items() if genus != "Vespa"}
    ranks_file(tmp_path, others | {0: ("Vespa", "Vespidae")})
    convert(at_genus)
    assert rewritten == [] and "F" in stored(birds).names(FAMILY)
    # Other genera do, at this level; without a split of its own, nothing else would notice.
    ranks_file(tmp_path, RANKS | {7: ("Cissa", "Corvidae")})
    convert(at_genus)
    assert len(rewritten) == 4
    assert seen_by_others(birds)[7] == (3, "Cissa")


def test_a_rank_that_does_not_fit_is_named(birds):
    path = os.path.join(birds.images_dir, "phyla.csv")
    with open(path, "w") as file:
        file.write("id,genus,phylum\n4,Pica,A\n7,Pica,B\n9,Corvus,A\n0,Vespa,A\n")
    summary = convert(dataclasses.replace(birds, ranks=path))
    (note,) = summary["notes"]
    assert note.startswith(f"{birds.annotations}: phylum is no level, as it lies neither within")
    assert "phylum" not in summary["labels"] and "genus" in summary["labels"]
    assert convert(birds)["notes"] == []  # of the same records without ranks


def test_a_level_that_is_not_there(birds):
    with pytest.raises(InputError, match=r"boxes\.json: there is no level genus"):
        convert(dataclasses.replace(birds, granularity=GENUS))
    assert not shards(birds)


def test_validation_shares_the_levels_of_training(birds, tmp_path):
    convert(dataclasses.replace(birds, ranks=ranks_file(tmp_path)))
    taxonomy = stored(birds)
    path = os.path.join(birds.output_dir, TAXONOMY_FILE)
    with open(path) as file:
        before = file.read()
    convert(dataclasses.replace(birds, split="val", taxonomy=path))
    with open(path) as file:
        assert file.read() == before
    assert stored(birds).levels == taxonomy.levels
    with open(os.path.join(birds.output_dir, "val.json")) as file:
        assert json.load(file)["labels"]["genus"] == 3


def test_another_split_without_ranks_does_not_take_them_away(birds, tmp_path):
    convert(dataclasses.replace(birds, ranks=ranks_file(tmp_path)))
    levels = stored(birds).levels
    convert(dataclasses.replace(birds, split="val"))
    assert stored(birds).levels == levels and GENUS in levels


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("level", ["species", "genus", "family", "super", "generic"])
def test_labels_are_counted_at_levels_added_later(birds, tmp_path, level, single):
    convert(birds)
    convert(dataclasses.replace(birds, ranks=ranks_file(tmp_path)))
    taxonomy, level = stored(birds), Granularity(level)
    pattern = os.path.join(birds.output_dir, "train-*.tfrecord")
    counts = read_label_counts(pattern, taxonomy, level, single_instance=single)
    of = taxonomy.label_of_category(level)
    with open(birds.annotations) as file:
        boxes = json.load(file)["annotations"]
    by_image = {}
    for box in boxes:
        by_image.setdefault(box["image_id"], []).append(of[box["category_id"]])
    if single:
        by_image = {i: labels for i, labels in by_image.items() if len(labels) == 1}
    every = range(1, taxonomy.num_labels(level) + 1)
    assert counts.total_images == len(by_image)
    assert counts.boxes == tuple(
        sum(labels.count(label) for labels in by_image.values()) for label in every
    )
    # An image of two species of a genus counts once.
    assert counts.images == tuple(
        sum(label in labels for labels in by_image.values()) for label in every
    )
    assert read_coco_annotations(birds.annotations).taxonomy == taxonomy
