"""The statistics of a dataset, compared with pandas, plain Python and hotcoco."""

import json
import math

import hotcoco
import numpy as np
import pandas as pd
import pytest

import inatdet
from inatdet.data.annotations import Annotations, Image
from inatdet.data.categories import Category
from inatdet.data.image_labels import ImageLabels
from inatdet.datasets.inat2017 import FINE_CLASSES, WITHOUT_BOXES, is_inat2017
from inatdet.datasets.statistics.doubts import doubts
from inatdet.datasets.statistics.results import count
from inatdet.datasets.statistics.splits import Split, join
from inatdet.errors import InputError

SUPERS = ("Aves", "Insecta", "Fungi")


def categories_of(number, shift=0):
    """Ids begin at `shift`, so that splits may number the same species in two ways."""
    return tuple(
        Category(i + shift, f"Genus{i // 2} species{i}", SUPERS[i % len(SUPERS)]).with_ranks(
            {"genus": f"Genus{i // 2}"}
        )
        for i in range(number)
    )


def images_of(number, prefix):
    return tuple(Image(i, f"{prefix}/{i}.jpg", 300 + i, 400) for i in range(number))


def annotations_of(boxes, images, categories, path="boxes.json"):
    """Annotations from rows of image id, category id, x, y, width, height."""
    table = np.array(boxes, float).reshape(-1, 6)
    return Annotations(
        path=path,
        images=images,
        categories=categories,
        box_ids=np.arange(len(table)),
        image_ids=table[:, 0].astype(np.int64),
        category_ids=table[:, 1].astype(np.int64),
        boxes=table[:, 2:],
        areas=table[:, 4] * table[:, 5] / 2,
        is_crowd=np.zeros(len(table), bool),
    )


def random_split(rng, prefix, shift):
    categories = categories_of(9, shift)
    images = images_of(int(rng.integers(5, 60)), prefix)
    boxes = [
        (
            int(rng.integers(len(images))),
            int(rng.integers(7)) + shift,  # two species have no box
            *rng.uniform(0, 100, 2),
            *(rng.uniform(0.5, 14, 2) ** 2),
        )
        for _ in range(int(rng.integers(1, 150)))
    ]
    return annotations_of(boxes, images, categories, f"{prefix}.json")


def frame_of(annotations):
    """The boxes as a pandas table."""
    category = {c.id: c for c in annotations.categories}
    size = {i.id: i.width * i.height for i in annotations.images}
    table = pd.DataFrame(annotations.boxes, columns=["x", "y", "w", "h"])
    table["image"] = annotations.image_ids
    table["species"] = [category[i].name for i in annotations.category_ids]
    table["super"] = [category[i].supercategory for i in annotations.category_ids]
    table["half"] = table.w * table.h / 2
    table["relative"] = 100 * np.sqrt(table.w * table.h / table.image.map(size))
    return table


def statistics_of(train=None, val=None, train_labels=None, val_labels=None):
    return count(join([Split("train", train, train_labels), Split("val", val, val_labels)]))


def by_key(rows):
    return {row.key[0]: row for row in rows}


@pytest.mark.parametrize("seed", range(8))
def test_table_2_against_pandas(seed):
    rng = np.random.default_rng(seed)
    train, val = random_split(rng, "train", 0), random_split(rng, "val", 100)
    found = statistics_of(train, val)
    tables = {"train": frame_of(train), "val": frame_of(val)}
    every = pd.concat(tables.values())
    rows = by_key(found.super_classes)
    assert set(rows) == {*every["super"], "Total"}
    for name, row in rows.items():
        own = every if name == "Total" else every[every["super"] == name]
        assert row.classes == row.boxed_classes == own.species.nunique()
        assert row.boxes == len(own)
        for split, table in tables.items():
            own = table if name == "Total" else table[table["super"] == name]
            assert getattr(row, f"{split}_boxes") == len(own)
            assert getattr(row, f"{split}_images") == own.image.nunique()
    classes = [row.classes for row in found.super_classes[:-1]]
    assert classes == sorted(classes, reverse=True)
    unseen = {c.name for c in train.categories} - set(every.species)
    assert found.listed_only == len(unseen)
    for row in found.spread:
        table = tables[row.split]
        counts = table.groupby("species").image.nunique()
        assert row.images == table.image.nunique()
        assert (row.fewest, row.most) == (counts.min(), counts.max())
        assert (row.median, row.mean) == (counts.median(), pytest.approx(counts.mean()))
        assert row.absent == every.species.nunique() - len(counts)
        assert row.imbalance == counts.max() / counts.min()
        assert row.top_classes == 1
        assert row.top_share == pytest.approx(100 * counts.max() / counts.sum())
    for row in found.species:
        own = tables["train"][tables["train"].species == row.category.name]
        assert (row.train_images, row.train_boxes) == (own.image.nunique(), len(own))
    falling = [row.train_images for row in found.species]
    assert falling == sorted(falling, reverse=True)


@pytest.mark.parametrize("seed", range(8))
def test_section_3_3_against_pandas(seed):
    rng = np.random.default_rng(seed)
    train, val = random_split(rng, "train", 0), random_split(rng, "val", 3)
    found = statistics_of(train, val)
    tables = {"train": frame_of(train), "val": frame_of(val)}
    every = pd.concat(tables.values())
    for row in found.areas:
        own = every if row.super_class == "Total" else every[every["super"] == row.super_class]
        small, large = (own.half < 32**2).mean(), (own.half > 96**2).mean()
        assert row.boxes == len(own)
        assert (row.small, row.large) == (pytest.approx(100 * small), pytest.approx(100 * large))
        assert row.small + row.medium + row.large == pytest.approx(100)
    for row in found.relative_sizes:
        own = tables["train"]
        own = own if row.super_class == "Total" else own[own["super"] == row.super_class]
        expected = own.relative.clip(upper=100)
        assert row.boxes == len(own)
        assert row.quantiles == pytest.approx(expected.quantile([0.05, 0.25, 0.5, 0.75, 0.95]))
        inside = [((expected >= low) & (expected < low + 5)).mean() for low in range(0, 95, 5)]
        assert row.histogram[:-1] == pytest.approx([100 * share for share in inside])
        assert sum(row.histogram) == pytest.approx(100)
    for row in found.boxes_per_image:
        counts = [table.groupby("image").size() for table in tables.values()]
        own = dict(zip(tables, counts)) | {"Total": pd.concat(counts)}
        boxes = own[row.split]
        assert (row.images, row.boxes, row.most) == (len(boxes), boxes.sum(), boxes.max())
        assert row.more_than_one == pytest.approx(100 * (boxes > 1).mean())
        assert row.more_than_five == pytest.approx(100 * (boxes > 5).mean())


@pytest.mark.parametrize("seed", range(4))
def test_against_hotcoco(seed, tmp_path):
    """Its `stats()` and `healthcheck()` count the same things in one file."""
    rng = np.random.default_rng(seed)
    truth = random_split(rng, "train", 0)
    path = tmp_path / "boxes.json"
    inatdet.write_annotations(truth, path)
    truth = inatdet.read_annotations(path)
    coco = hotcoco.COCO(str(path))
    stats, health = coco.stats(), coco.healthcheck()["summary"]
    found = statistics_of(truth)
    theirs = {entry["id"]: entry for entry in stats["per_category"]}
    for row in found.species:
        own = theirs.pop(row.category.id)
        assert (row.train_boxes, row.train_images) == (own["ann_count"], own["img_count"])
    assert all(entry["ann_count"] == 0 for entry in theirs.values())
    assert found.listed_only == len(theirs)
    total = found.super_classes[-1]
    assert total.train_boxes == stats["annotation_count"] == health["num_annotations"]
    assert found.without_species == {"train": health["images_without_annotations"]}
    assert total.train_images == stats["image_count"] - health["images_without_annotations"]
    boxes = [row.train_boxes for row in found.species]
    assert max(boxes) / min(boxes) == pytest.approx(health["imbalance_ratio"])


def labels_of(category_ids, prefix="train", number=9, shift=0):
    return ImageLabels(
        f"{prefix}_labels.json",
        images_of(len(category_ids), prefix),
        categories_of(number, shift),
        np.array(category_ids, np.int64),
    )


def test_labels_count_images_and_boxes_count_boxes():
    """As the paper's numbers: the labels list more images and species than the boxes do."""
    labels = labels_of([0, 0, 0, 2, 1, 0])
    boxes = annotations_of(
        [(0, 0, 0, 0, 10, 10), (0, 0, 5, 5, 10, 10), (4, 1, 0, 0, 10, 10)],
        images_of(6, "train"),
        categories_of(9),
    )
    found = statistics_of(boxes, None, labels, labels_of([101, 102], "val", shift=100))
    rows = by_key(found.super_classes)
    assert rows["Aves"].cells() == ("Aves", 1, 1, 4, 0, 2, rows["Aves"].cells()[6], 2)
    assert math.isnan(rows["Aves"].cells()[6])
    assert (rows["Fungi"].train_images, rows["Fungi"].boxes, rows["Fungi"].val_images) == (1, 0, 1)
    assert (rows["Total"].classes, rows["Total"].boxed_classes) == (3, 2)
    assert found.spread[0].imbalance == 4
    assert found.boxes_per_image[0].images == 2
    assert found.without_species == {"train": 0, "val": 0}


def test_the_top_percent_is_rounded_up():
    categories = tuple(Category(i, f"n{i}", "s") for i in range(101))
    labels = ImageLabels(
        "labels.json",
        images_of(111, "train"),
        categories,
        np.array([*range(101), *[0] * 8, *[1] * 2]),
    )
    (row,) = statistics_of(train_labels=labels).spread
    assert (row.classes, row.top_classes) == (101, 2)
    assert row.top_share == pytest.approx(100 * (9 + 3) / 111)
    assert row.imbalance == 9


def test_limits_of_areas():
    """32 x 32 and 96 x 96 square pixels, of half the box, are medium."""
    sides = [(64, 32), (64, 31.9), (96, 192), (96, 192.1)]
    boxes = [(0, 0, 0, 0, *side) for side in sides]
    found = statistics_of(annotations_of(boxes, images_of(1, "train"), categories_of(1)))
    assert found.areas[-1].cells() == ("Total", 4, 25.0, 50.0, 25.0)


def test_the_largest_box_is_in_the_last_bin():
    image = Image(0, "0.jpg", 300, 200)
    found = statistics_of(annotations_of([(0, 0, 0, 0, 300, 200)], (image,), categories_of(1)))
    row = found.relative_sizes[-1]
    assert row.median == 100
    assert row.histogram == (0.0,) * 19 + (100.0,)


def test_one_image_with_one_box():
    found = statistics_of(annotations_of([(0, 0, 0, 0, 9, 9)], images_of(1, "a"), categories_of(1)))
    (spread,) = found.spread
    assert spread.cells() == ("train", 1, 1, 0, 1, 1.0, 1.0, 1, 1.0, 1, 100.0)
    assert [row.split for row in found.boxes_per_image] == ["train"]
    assert found.relative_sizes_of == "train"


def test_only_validation():
    found = statistics_of(
        val=annotations_of([(0, 0, 0, 0, 9, 9)], images_of(2, "a"), categories_of(2))
    )
    total = found.super_classes[-1]
    assert (total.train_images, total.val_images, total.train_boxes, total.boxes) == (
        None,
        1,
        None,
        1,
    )
    assert found.relative_sizes_of == "val"
    assert found.without_species == {"val": 1}
    assert found.species[0].cells()[:3] == (0, "Genus0 species0", "Aves")


def test_images_of_several_species_count_for_each():
    boxes = [(0, 0, 0, 0, 9, 9), (0, 3, 0, 0, 9, 9), (0, 1, 0, 0, 9, 9)]
    found = statistics_of(annotations_of(boxes, images_of(1, "a"), categories_of(4)))
    rows = by_key(found.super_classes)
    assert (rows["Aves"].train_images, rows["Insecta"].train_images) == (1, 1)
    assert rows["Total"].train_images == 1
    assert [row.train_images for row in found.species] == [1, 1, 1]


def test_a_split_without_boxes_beside_one_with():
    train = annotations_of([(0, 0, 0, 0, 9, 9)], images_of(1, "a"), categories_of(1))
    found = statistics_of(train, annotations_of([], images_of(3, "b"), categories_of(1)))
    assert found.spread[1].images == found.spread[1].classes == 0
    assert math.isnan(found.spread[1].imbalance)
    assert found.boxes_per_image[1].images == 0
    assert found.boxes_per_image[2].boxes == 1
    assert found.areas[-1].boxes == 1


@pytest.mark.parametrize("train", [None, annotations_of([], images_of(3, "a"), categories_of(2))])
def test_nothing_to_count(train):
    with pytest.raises(InputError, match="nothing to count"):
        join([Split("train", train)])


def test_crowds_and_other_areas_are_told():
    truth = annotations_of([(0, 0, 0, 0, 20, 20)] * 3, images_of(1, "a"), categories_of(1))
    object.__setattr__(truth, "is_crowd", np.array([True, False, False]))
    object.__setattr__(truth, "areas", np.array([200, 400, 200.5]))
    found = statistics_of(truth)
    assert (found.crowds, found.other_areas) == (1, 1)


def test_species_per_rank():
    """A name that two super-classes have is two."""
    genera = (("Aves", "A"), ("Aves", "A"), ("Aves", "B"), ("Insecta", "C"), ("Insecta", "A"))
    categories = tuple(
        Category(i, f"n{i}", name).with_ranks({"genus": genus})
        for i, (name, genus) in enumerate(genera)
    )
    labels = ImageLabels("l.json", images_of(5, "a"), categories, np.arange(5))
    genus, supers = statistics_of(train_labels=labels).ranks
    assert genus.cells() == ("genus", 4, 0, 1, 1.0, 1.25, 2, "A (Aves)")
    assert supers.cells() == ("super", 2, 0, 2, 2.5, 2.5, 3, "Aves")


def test_species_without_a_name_at_a_rank():
    categories = (
        Category(0, "a", "Aves").with_ranks({"genus": "A"}),
        Category(1, "b", "Aves"),
        Category(2, "c", "Aves"),
    )
    labels = ImageLabels("l.json", images_of(3, "a"), categories, np.array([0, 1, 2]))
    assert statistics_of(train_labels=labels).ranks[0].cells() == (
        "genus",
        1,
        2,
        1,
        1.0,
        1.0,
        1,
        "A",
    )


def test_photographs_per_observer():
    labels = labels_of([0] * 6)
    dataset = join(
        [
            Split("train", None, labels, {0: 7, 1: 7, 2: 7, 3: 8, 99: 1}),
            Split("val", None, labels_of([0] * 2, "val"), {0: 7, 1: 9}),
        ]
    )
    train, val, total = count(dataset).observers
    assert train.cells() == ("train", 4, 2, 2, 2.0, 2.0, 3, 1, 75.0)
    assert val.cells() == ("val", 2, 0, 2, 1.0, 1.0, 1, 1, 50.0)
    assert total.cells() == ("Total", 6, 2, 3, 1.0, 2.0, 4, 1, pytest.approx(100 * 4 / 6))


def test_namesakes_are_told_apart_by_id():
    """Two species of one name; then ids must mean the same in all files."""
    categories = (Category(0, "Prunella", "Aves"), Category(1, "Prunella", "Plantae"))
    one = ImageLabels("a.json", images_of(2, "a"), categories, np.array([0, 1]))
    other = ImageLabels("b.json", images_of(1, "b"), categories[1:], np.array([1]))
    found = statistics_of(train_labels=one, val_labels=other)
    assert [row.val_images for row in found.species] == [1, 0]
    swapped = (Category(1, "Prunella", "Aves"), Category(0, "Prunella", "Plantae"))
    third = ImageLabels("c.json", images_of(1, "b"), swapped, np.array([1]))
    with pytest.raises(
        InputError, match=r"c.json: category 1 is 'Prunella', 'Aves', but in a.json"
    ):
        statistics_of(train_labels=one, val_labels=third)


def test_a_species_with_two_super_classes():
    one = labels_of([0])
    categories = (Category(5, "Genus0 species0", "Birds"),)
    other = ImageLabels("b.json", images_of(1, "b"), categories, np.array([5]))
    with pytest.raises(
        InputError, match=r"b.json: category 'Genus0 species0' is .*'Birds', but in"
    ):
        statistics_of(train_labels=one, val_labels=other)


def said(*splits):
    return [message for _, message in doubts(join(splits))]


def test_good_data_raises_no_doubts():
    rng = np.random.default_rng(0)
    train = annotations_of(
        [(i, i, 0, 0, 5, 5) for i in range(7)], images_of(9, "t"), categories_of(9)
    )
    val = random_split(rng, "val", 50)
    assert said(Split("train", train), Split("val", val)) == []
    labels = labels_of([0, 0, 1, 2])
    boxes = annotations_of([(2, 1, 0, 0, 5, 5)], images_of(4, "train")[1:3], categories_of(9))
    assert said(Split("train", boxes, labels)) == []
    # Boxes of some species beside labels of more are no sign of a mistake.
    assert said(Split("train", boxes), Split("val", None, labels_of([0, 5], "val"))) == []


def test_images_in_both_splits():
    """The same name is no doubt while the boxes differ, as where each split numbers its images."""
    images, categories = images_of(3, "a"), categories_of(2)
    boxes = [(0, 0, 0, 0, 9, 9), (0, 1, 5, 5, 9, 9), (1, 1, 0, 0, 5, 5), (2, 0, 0, 0, 7, 7)]
    empty = Image(7, "a/7.jpg", 9, 9)
    train = Split("train", annotations_of(boxes, (*images, empty), categories, "t.json"))
    moved = [(0, 0, 0, 0, 9, 9.5), (1, 0, 0, 0, 5, 5)]
    val = annotations_of(moved, (*images[:2], empty), categories, "v.json")
    assert said(train, Split("val", val)) == []
    val = annotations_of([*boxes[1::-1], *moved[1:]], images[:2], categories, "v.json")
    (message,) = said(train, Split("val", val))
    assert message.startswith("v.json: lists 1 image with the file name, the size and the boxes")
    assert "('a/0.jpg'); list each image in one split" in message


def test_doubts():
    labels = labels_of([0, 0, 1])
    (message,) = said(Split("train", None, labels), Split("val", None, labels_of([0, 0], "train")))
    assert "lists 2 images with the file name, the size and the label of an image of" in message
    (message,) = said(Split("train", None, labels), Split("val", None, labels_of([2, 5, 0], "val")))
    assert (
        "shows 2 species without an image in train_labels.json ('Genus1 species2', 'Genus2"
        in message
    )
    boxes = annotations_of(
        [(0, 0, 0, 0, 5, 5), (1, 4, 0, 0, 5, 5), (2, 0, 0, 0, 5, 5), (5, 0, 0, 0, 5, 5)],
        images_of(6, "train"),
        categories_of(9),
    )
    missing, other = said(Split("train", boxes, labels))
    assert "has boxes in 1 image that train_labels.json does not list" in missing
    assert "'train/5.jpg'" in missing
    assert "boxes of another species than the label in train_labels.json in 2 images" in other


def test_inat2017_is_recognized_with_and_without_plants():
    def species(numbers):
        names = [name for name, number in numbers.items() for _ in range(number)]
        return [Category(i, f"n{i}", name) for i, name in enumerate(names)]

    assert is_inat2017(species(FINE_CLASSES))
    assert is_inat2017(species({**FINE_CLASSES, **WITHOUT_BOXES}))
    assert not is_inat2017(species({**FINE_CLASSES, "Plantae": 2101}))
    assert not is_inat2017(species({**FINE_CLASSES, "Aves": 1}))
    assert sum(FINE_CLASSES.values()) + sum(WITHOUT_BOXES.values()) == 5089


def test_ids_from_zero_and_from_files(tmp_path):
    """The same through files, with ids that start at 0 and other ids in the other split."""
    for name, shift in (("train", 0), ("val", 40)):
        content = {
            "images": [{"id": 0, "file_name": f"{name}.jpg", "width": 10, "height": 10}],
            "categories": [{"id": shift, "name": "Pica pica", "supercategory": "Aves"}],
            "annotations": [{"image_id": 0, "category_id": shift, "bbox": [0, 0, 5, 5], "id": 0}],
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    found = statistics_of(
        *(inatdet.read_annotations(tmp_path / f"{n}.json") for n in ("train", "val"))
    )
    assert found.species[0].cells() == (0, "Pica pica", "Aves", 1, 1, 1, 1)
