import json
import os

import numpy as np
import pytest
from PIL import Image

from inatdet.data.formats.coco import read_coco_annotations
from inatdet.data.granularity import Granularity
from inatdet.data.super_classes import PAPER_SUPER_CLASSES
from inatdet.datasets.mini import dataset as mini
from inatdet.datasets.mini import scenes
from inatdet.datasets.mini.scenes import scene
from inatdet.datasets.mini.species import SPECIES, UNBOXED
from inatdet.errors import InputError


def first_of_each(plans):
    """An image of each species with each number of animals, in each split."""
    kinds = {}
    for plan in plans:
        kinds.setdefault((plan.split, plan.species.name, min(plan.animals, 2)), plan)
    return list(kinds.values())


@pytest.fixture(scope="module", params=["a part", pytest.param("all", marks=pytest.mark.slow)])
def dataset(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mini") / "data"
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "a part":
            plans = first_of_each(mini._plans(0))
            patched.setattr(mini, "_plans", lambda seed: plans)
        assert mini.make(str(folder))
    return folder


def split_of(dataset, split):
    return read_coco_annotations(dataset / f"{split}_2017_bboxes.json")


def test_the_layout_is_that_of_inat2017(dataset):
    for split in ("train", "val"):
        annotations = split_of(dataset, split)  # which checks sizes, ids and boxes
        supercategories = {c.name: c.supercategory for c in annotations.categories}
        for image in annotations.images:
            folder, super_class, species, name = image.file_name.split("/")
            assert folder == "train_val_images"
            assert supercategories[species] == super_class
            assert len(name) == len("0123456789abcdef0123456789abcdef.jpg")
            with Image.open(dataset / image.file_name) as picture:
                assert picture.format == "JPEG"
                assert picture.size == (image.width, image.height)
        np.testing.assert_array_equal(
            annotations.areas, annotations.boxes[:, 2] * annotations.boxes[:, 3] / 2
        )


def test_label_spaces(dataset):
    train, val = split_of(dataset, "train"), split_of(dataset, "val")
    assert train.categories == val.categories
    taxonomy = train.taxonomy
    assert taxonomy == val.taxonomy
    assert taxonomy.super_classes == PAPER_SUPER_CLASSES
    assert taxonomy.num_labels(Granularity.SPECIES) == len(SPECIES)
    assert {c.name for c in taxonomy.unboxed} == {species.name for species in UNBOXED}
    ids = [category.id for category in train.categories]
    assert min(ids) == 0
    # Categories without boxes are among them, so labels are not ids plus one.
    assert any(c.id != label for label, c in enumerate(taxonomy.species))


def test_long_tail_and_numbers_of_animals():
    plans = list(mini._plans(0))
    boxed = [plan for plan in plans if plan.boxed and plan.animals]
    _, images_of_species = np.unique(
        [plan.species.name for plan in boxed if plan.split == "train"], return_counts=True
    )
    assert len(images_of_species) == len(SPECIES)
    assert images_of_species.max() >= 6 * images_of_species.min()
    for split in ("train", "val"):
        assert sum(plan.animals > 1 for plan in boxed if plan.split == split) >= 10
        assert any(plan.animals == 0 for plan in plans if plan.split == split)
    single = [plan.species.name for plan in boxed if plan.split == "val" and plan.animals == 1]
    assert set(single) == {species.name for species in SPECIES}
    assert len(single) >= 6 * len(SPECIES)


def test_as_many_boxes_as_animals_and_none_without(dataset):
    for split in ("train", "val"):
        annotations = split_of(dataset, split)
        _, boxes = np.unique(annotations.image_ids, return_counts=True)
        assert (boxes > 1).sum() >= 10
        assert len(annotations.images) > len(boxes)  # some have none
    single = split_of(dataset, "val").single_instance()
    assert set(single.category_ids) == set(split_of(dataset, "train").category_ids)


def test_the_seed_determines_everything():
    plans = [list(mini._plans(seed)) for seed in (0, 0, 1)]
    assert plans[0] == plans[1] != plans[2]
    drawn = [mini._draw(plans[0][3]) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != mini._draw(plans[0][4])


@pytest.mark.parametrize("species", SPECIES, ids=lambda species: species.name)
def test_boxes_are_tight_around_what_was_drawn(species):
    rng = np.random.default_rng(1)
    image, boxes = scene(rng, species, 200, 160)
    assert image.size == (200, 160)
    ((x, y, width, height),) = boxes
    assert 0 <= x < x + width <= 200
    assert 0 <= y < y + height <= 160
    assert max(width, height) >= 20


@pytest.mark.parametrize(("x", "y"), [(30, 20), (-15, 5), (150, -10), (160, 130)])
def test_boxes_contain_the_visible_pixels(x, y):
    sprite = scenes.draw_animal(np.random.default_rng(0), SPECIES[0], 60, np.array([0.0, -1.0]))
    canvas = np.zeros((600, 800))
    height, width = sprite.alpha.shape
    canvas[200 + y : 200 + y + height, 200 + x : 200 + x + width] = sprite.alpha
    rows, columns = np.nonzero(canvas[200:360, 200:400] * 255 > scenes._SEEN)
    expected = (
        columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1
    )  # fmt: skip
    box = scenes._box(sprite.alpha, x, y, 200, 160)
    assert box == expected
    assert scenes._box(sprite.alpha, 300, y, 200, 160) is None  # outside of the image


def test_other_folders_are_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="exists and is not a mini dataset"):
        mini.make(str(tmp_path))
    (tmp_path / mini.MARK_FILE).write_text("{}")
    with pytest.raises(InputError, match="exists and is not a mini dataset"):
        mini.make(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == [mini.MARK_FILE, "thesis.txt"]


def test_an_existing_dataset_is_kept_and_failure_leaves_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "data"

    def draw_nothing(path, seed):
        (folder.parent / os.path.basename(path) / "seed").write_text(str(seed))

    monkeypatch.setattr(mini, "_write", draw_nothing)
    assert mini.make(str(folder))
    assert not mini.make(str(folder))
    assert mini.make(str(folder), seed=2)  # another one replaces it
    assert (folder / "seed").read_text() == "2"
    assert json.loads((folder / mini.MARK_FILE).read_text())["seed"] == 2

    def fail(path, seed):
        raise KeyboardInterrupt

    monkeypatch.setattr(mini, "_write", fail)
    with pytest.raises(KeyboardInterrupt):
        mini.make(str(folder), seed=3)
    assert os.listdir(tmp_path) == ["data"]
    assert (folder / "seed").read_text() == "2"


def test_species_of_a_genus_differ_in_their_colors_alone(dataset):
    taxonomy = split_of(dataset, "val").taxonomy
    genus = Granularity("genus")
    assert taxonomy.levels == (Granularity.SPECIES, genus, Granularity.SUPER, Granularity.GENERIC)
    assert 2 * len(PAPER_SUPER_CLASSES) == taxonomy.num_labels(genus)
    by_genus = {}
    for species in SPECIES:
        by_genus.setdefault(species.genus, []).append(species)
    assert taxonomy.num_labels(genus) == len(by_genus)
    for alike in by_genus.values():
        looks = {(s.super_class, s.pattern, tuple(s.proportions.items())) for s in alike}
        assert len(looks) == 1 and len({s.colors for s in alike}) == len(alike)
