import dataclasses
import json

import numpy as np
import pytest

from inatdet.data.annotations import Annotations, Image
from inatdet.data.categories import Category
from inatdet.data.counts import LabelCounts
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.tfrecords.label_counts import (
    SplitCounts,
    read_image_label_counts,
    read_label_counts,
)

CATEGORIES = (
    Category(0, "Pica pica", "Aves"),
    Category(4, "Corvus corax", "Aves"),
    Category(9, "Apis mellifera", "Insecta"),
)
TAXONOMY = Taxonomy.from_categories(CATEGORIES, {0, 4, 9}, ["Aves", "Insecta"])
# Image 1: two magpies and a raven. 2: a raven. 3: a crowd of bees. 4: a bee and a crowd. 5: none.
BOXES = [(1, 0, 0), (1, 0, 0), (1, 4, 0), (2, 4, 0), (3, 9, 1), (4, 9, 0), (4, 9, 1)]


@pytest.fixture
def annotations():
    image_ids, category_ids, is_crowd = np.array(BOXES).T
    return Annotations(
        "boxes.json",
        tuple(Image(i, f"{i}.jpg", 9, 9) for i in range(1, 6)),
        CATEGORIES,
        np.arange(len(BOXES)),
        image_ids,
        category_ids,
        np.ones([len(BOXES), 4]),
        np.ones(len(BOXES)),
        is_crowd.astype(bool),
    )


def shards_in(folder, count=2):
    for shard in range(count):
        (folder / f"train-{shard:05}-of-{count:05}.tfrecord").touch()
    return str(folder / "train-*.tfrecord")


@pytest.mark.parametrize(
    ("granularity", "single_instance", "expected"),
    [
        # Labels are numbered by super-class, then by category.
        (Granularity.SPECIES, False, LabelCounts(5, (1, 2, 1), (2, 2, 1))),
        (Granularity.SUPER, False, LabelCounts(5, (2, 1), (4, 1))),
        (Granularity.GENERIC, False, LabelCounts(5, (3,), (5,))),
        (Granularity.SPECIES, True, LabelCounts(1, (0, 1, 0), (0, 1, 0))),
    ],
)
def test_counts_are_stored_beside_the_shards(
    annotations, tmp_path, granularity, single_instance, expected
):
    SplitCounts.of(annotations).save(str(tmp_path), "train")
    pattern = shards_in(tmp_path)
    assert read_label_counts(pattern, TAXONOMY, granularity, single_instance) == expected


def test_boxes_without_a_label_do_not_count(annotations, tmp_path):
    taxonomy = Taxonomy.from_categories(CATEGORIES, {0, 9})
    counts = SplitCounts.of(annotations).all_images.at(taxonomy, Granularity.SPECIES)
    assert sum(counts.boxes) == 3
    nothing = dataclasses.replace(annotations.keep_images([5]))
    counts = SplitCounts.of(nothing).all_images.at(taxonomy, Granularity.SPECIES)
    assert counts == LabelCounts(1, (0, 0), (0, 0))


def test_versions(annotations, tmp_path):
    SplitCounts.of(annotations).save(str(tmp_path), "train")
    pattern, path = shards_in(tmp_path), tmp_path / "train.label_counts.json"
    content = json.loads(path.read_text())
    before = read_label_counts(pattern, TAXONOMY, Granularity.SUPER, False)
    path.write_text(json.dumps(content | {"version": 3}))
    with pytest.raises(InputError, match=r"has format version 3, but .* run `inatdet tfrecords`"):
        read_label_counts(pattern, TAXONOMY, Granularity.SUPER, False)
    del content["format"], content["version"]
    path.write_text(json.dumps(content))
    assert read_label_counts(pattern, TAXONOMY, Granularity.SUPER, False) == before


def test_what_is_missing_or_wrong(annotations, tmp_path):
    def read(pattern):
        return read_label_counts(pattern, TAXONOMY, Granularity.SPECIES, False)

    pattern = shards_in(tmp_path)
    with pytest.raises(InputError, match=r"train\.label_counts\.json: no such file.*again"):
        read(pattern)
    (tmp_path / "train.label_counts.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be read as label counts"):
        read(pattern)
    SplitCounts.of(annotations).save(str(tmp_path), "train")
    with pytest.raises(InputError, match="not all shards of one"):
        read(str(tmp_path / "train-00000-*"))
    (tmp_path / "val-00000-of-00002.tfrecord").touch()
    with pytest.raises(InputError, match="not all shards of one"):
        read(str(tmp_path / "*00000-of-00002.tfrecord"))


# --- images of one label, as classifiers see them ---


def image_counts(pattern, granularity, taxonomy=TAXONOMY):
    return read_image_label_counts(pattern, taxonomy, granularity)


def test_images_whose_boxes_agree_are_counted(annotations, tmp_path):
    SplitCounts.of(annotations).save(str(tmp_path), "train")
    pattern = shards_in(tmp_path)
    # Image 1 has two species, though of one super-class, and image 5 has none.
    assert image_counts(pattern, Granularity.SPECIES) == LabelCounts(3, (0, 1, 2), (0, 1, 2))
    assert image_counts(pattern, Granularity.SUPER) == LabelCounts(3, (1, 2), (1, 2))
    only_bees = Taxonomy.from_categories(CATEGORIES, {9})
    assert image_counts(pattern, Granularity.SPECIES, only_bees) == LabelCounts(2, (2,), (2,))


def test_image_labels_of_counts_that_have_none_are_those_of_boxes(annotations, tmp_path):
    """As an earlier version wrote them: only what is around a crowd is not known of them."""
    counts = dataclasses.replace(SplitCounts.of(annotations), image_labels=None)
    counts.save(str(tmp_path), "train")
    pattern, path = shards_in(tmp_path), tmp_path / "train.label_counts.json"
    assert "image_labels" not in json.loads(path.read_text())
    assert image_counts(pattern, Granularity.SPECIES) == LabelCounts(2, (0, 1, 1), (0, 1, 1))


def test_image_label_counts_that_are_missing_or_wrong(annotations, tmp_path):
    pattern = shards_in(tmp_path)
    with pytest.raises(InputError, match=r"train\.label_counts\.json: no such file.*again"):
        image_counts(pattern, Granularity.SPECIES)
    SplitCounts.of(annotations).save(str(tmp_path), "train")
    path = tmp_path / "train.label_counts.json"
    for wrong in (3, [[1]], [["a", "b"]]):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"image_labels": wrong}))
        with pytest.raises(InputError, match="cannot be read as label counts"):
            image_counts(pattern, Granularity.SPECIES)
