"""Labels of images: what is read, and how what is wrong is told."""

import copy
import json

import numpy as np
import pytest

import inatdet
from inatdet.data.image_labels import ImageLabels
from inatdet.errors import InputError

GOOD = {
    "images": [
        {"id": 7, "file_name": "a/7.jpg", "width": 100, "height": 80, "license": 1},
        {"id": 0, "file_name": "a/0.jpg", "width": 50, "height": 60},
        {"id": 3, "file_name": "b/3.jpg", "width": 10, "height": 10},
    ],
    "categories": [
        {"id": 4, "name": "Pica pica", "supercategory": "Aves", "genus": "Pica"},
        {"id": 0, "name": "Vespa crabro", "supercategory": "Insecta"},
        {"id": 9, "name": "Quercus robur", "supercategory": "Plantae"},
    ],
    "annotations": [
        {"id": 1, "image_id": 3, "category_id": 0},
        {"id": 2, "image_id": 7, "category_id": 4},
        {"id": 3, "image_id": 0, "category_id": 4},
    ],
}


@pytest.fixture
def read(tmp_path):
    def _read(content=GOOD, **options) -> ImageLabels:
        path = tmp_path / "labels.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return inatdet.read_image_labels(path, **options)

    return _read


def changed(**lists):
    """The good file with other entries at some places of its lists; None takes one out."""
    content = copy.deepcopy(GOOD)
    for name, entries in lists.items():
        for place, entry in sorted(entries.items(), reverse=True):
            if entry is None:
                del content[name][place]
            elif place == len(content[name]):
                content[name].append(entry)
            else:
                content[name][place] = {**content[name][place], **entry}
    return content


def test_a_label_for_every_image_in_the_order_of_the_images(read):
    labels = read()
    assert labels.image_ids.tolist() == [7, 0, 3]
    assert labels.category_ids.tolist() == [4, 4, 0]
    assert len(labels) == 3
    assert labels.labelled_category_ids() == (0, 4)
    assert [category.name for category in labels.taxonomy.species] == ["Vespa crabro", "Pica pica"]
    assert labels.taxonomy.super_classes == ("Insecta", "Aves")
    assert len(labels.sha256) == 64
    with pytest.raises(ValueError, match="read-only"):
        labels.category_ids[0] = 1


@pytest.mark.parametrize("seed", range(5))
def test_against_plain_python(read, seed):
    """Random files, lists in random order, some images with boxes of one species."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(500)[: rng.integers(1, 200)].tolist()
    categories = rng.permutation(50)[:7].tolist()
    label = {i: int(rng.choice(categories)) for i in ids}
    annotations = [
        {"id": n, "image_id": i, "category_id": label[i], "bbox": [0, 0, 1, 1]}
        for n, i in enumerate(rng.permutation(ids * 2).tolist())
    ]
    lists = {
        "annotations": annotations,
        "images": [{"id": i, "file_name": f"{i}", "width": 1, "height": 1} for i in ids],
        "categories": [{"id": c, "name": f"n{c}", "supercategory": "s"} for c in categories],
    }
    found = read({key: lists[key] for key in rng.permutation(list(lists)).tolist()})
    assert dict(zip(found.image_ids.tolist(), found.category_ids.tolist())) == label
    assert [image.id for image in found.images] == ids


def test_ranks(read):
    labels = read(genus_from_names=True)
    assert [c.rank("genus") for c in labels.categories] == ["Pica", "Vespa", "Quercus"]
    assert labels.notes == ()


def test_super_categories_of_a_file(read, tmp_path):
    given = tmp_path / "super.json"
    given.write_text(
        json.dumps({"Pica pica": "Birds", "Vespa crabro": "Insecta", "Quercus robur": "Plants"})
    )
    content = changed(categories={0: {"supercategory": None}})
    with pytest.raises(InputError, match=r"no supercategory.*give it as --super_categories"):
        read(content)
    assert read(content, super_categories=given).categories[0].supercategory == "Birds"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            changed(images={3: {**GOOD["images"][0]}}),
            "image id is repeated: 1, namely image 7 is listed twice",
        ),
        (changed(images={1: {"id": 7}}), r"image 7 is both 'a/7.jpg' and 'a/0.jpg'"),
        (changed(categories={1: {"id": 4}}), r"category id is repeated.* is both 'Pica pica'"),
        (
            changed(annotations={0: {"category_id": 5}}),
            "category is missing: 1, .*annotation 1 has the category 5",
        ),
        (
            changed(annotations={0: {"image_id": 5}}),
            "image is missing: 1, .*annotation 1 has the image 5",
        ),
        (
            changed(annotations={2: None}),
            "image has no label: 1, namely image 0.; give every image",
        ),
        (
            changed(annotations={3: {"id": 8, "image_id": 3, "category_id": 9}}),
            "image has several labels: 1, .* 3 is both 'Vespa crabro' and 'Quercus robur'",
        ),
        (changed(annotations={0: {"category_id": "wasp"}}), "id is text instead of a number"),
        (
            changed(annotations={0: {"id": None, "category_id": 5}}),
            "annotation number 1 of the list has the",
        ),
        (changed(images={0: {"width": 0}}), "image has an invalid size: 1, namely image 7"),
        (changed(annotations={0: {"image_id": None}}), "annotation is malformed: 1"),
        ({**GOOD, "images": []}, "image is missing: 3, namely annotation 1"),
        ({"images": [], "categories": [], "annotations": []}, "lists no image"),
        ({"images": [], "categories": []}, "has no 'annotations'"),
        ("[]", "is not one JSON object but a list"),
        ("", "is empty"),
        (json.dumps(GOOD)[:-20], "ends too early"),
    ],
)
def test_one_sentence_says_what_is_wrong(read, content, words):
    with pytest.raises(InputError, match=words) as error:
        read(content)
    message = str(error.value)
    assert "labels.json: " in message
    assert "\n" not in message
    assert "box" not in message


def test_sizes_need_not_be_known(read):
    """As of photographs that were not fetched yet; but one that is given is checked, as above."""
    images = [{"id": i, "file_name": f"{i}.jpg"} for i in (7, 0, 3)]
    labels = read({**GOOD, "images": images})
    assert labels.category_ids.tolist() == [4, 4, 0]
    assert {(image.width, image.height) for image in labels.images} == {(0, 0)}
    images[1]["width"] = 5
    with pytest.raises(InputError, match="image has an invalid size: 1, namely image 0"):
        read({**GOOD, "images": images})


def test_many_of_a_kind_are_counted_and_the_first_few_named(read):
    images = [{"id": i, "file_name": f"{i}", "width": 1, "height": 1} for i in range(10)]
    labels = [{"id": i, "image_id": i, "category_id": 4} for i in range(6)]
    with pytest.raises(InputError) as error:
        read({**GOOD, "images": images, "annotations": labels})
    assert (
        "4 bad entries (image has no label: 4, such as image 6, image 7, image 8); give every "
        "image an annotation with its category_id; or leave out 4 images and keep 6 images with "
        "--on_bad=skip"
    ) in str(error.value)


def test_bad_images_can_be_left_out(read):
    content = changed(
        annotations={0: {"category_id": 5}, 3: {"id": 4, "image_id": 99, "category_id": 4}}
    )
    labels = read(content, on_bad="skip")
    assert labels.image_ids.tolist() == [7, 0]
    assert sum(labels.skipped.values()) == 2
    with pytest.raises(InputError, match="image has no label: 3"):
        read({**GOOD, "annotations": []}, on_bad="skip")


def test_images_in_which_nothing_is(read):
    content = changed(
        categories={2: {"name": "empty", "supercategory": None}},
        annotations={0: {"category_id": 9}},
    )
    labels = read(content)
    assert labels.image_ids.tolist() == [7, 0]
    assert len(labels.notes) == 1
    assert "1 image of the category 'empty' is left out" in labels.notes[0]
