"""Tests of reading and checking annotation files."""

from __future__ import annotations

import copy
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest

from inatdet.data.annotations import Annotations, Image
from inatdet.data.categories import Category
from inatdet.data.checking import OnBad
from inatdet.data.entries import is_safe_file_name
from inatdet.data.formats.coco import read_coco_annotations
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError

GOOD = {
    "info": {"year": 2017},
    "images": [
        {"id": 3, "file_name": "a/3.jpg", "width": 100, "height": 80},
        {"id": 1, "file_name": "a/1.jpg", "width": 50, "height": 60},
        {"id": 8, "file_name": "b/8.jpg", "width": 10, "height": 10},
        {"id": 0, "file_name": "b/0.jpg", "width": 10, "height": 10},
    ],
    "categories": [
        {"id": 4, "name": "Pica pica", "supercategory": "Aves"},
        {"id": 0, "name": "Vespa crabro", "supercategory": "Insecta"},
        {"id": 2, "name": "Quercus robur", "supercategory": "Plantae"},
    ],
    "annotations": [
        {"id": 7, "image_id": 1, "category_id": 0, "bbox": [1, 2, 30, 40], "area": 600.0},
        {"id": 5, "image_id": 3, "category_id": 4, "bbox": [0.5, 0, 99.5, 80], "iscrowd": 0},
        {"id": 6, "image_id": 1, "category_id": 0, "bbox": [5, 5, 5, 5], "area": 9, "iscrowd": 1},
        {"id": 9, "image_id": 0, "category_id": 4, "bbox": [0, 0, 10, 10], "area": 50},
    ],
}


@pytest.fixture
def write(tmp_path):
    """Writes a record as a JSON file and returns its path."""

    def _write(record) -> str:
        path = tmp_path / "boxes.json"
        path.write_text(record if isinstance(record, str) else json.dumps(record))
        return str(path)

    return _write


def ids_of(annotations: Annotations) -> tuple[list[int], list[int]]:
    return [image.id for image in annotations.images], annotations.box_ids.tolist()


def test_columns(write):
    annotations = read_coco_annotations(write(GOOD))
    assert annotations.images[0] == Image(3, "a/3.jpg", 100, 80)
    assert annotations.categories[1] == Category(0, "Vespa crabro", "Insecta")
    assert ids_of(annotations) == ([3, 1, 8, 0], [7, 5, 6, 9])
    assert annotations.image_ids.tolist() == [1, 3, 1, 0]
    assert annotations.category_ids.tolist() == [0, 4, 0, 4]
    assert annotations.boxes[:2].tolist() == [[1, 2, 30, 40], [0.5, 0, 99.5, 80]]
    # The second has no area in the file: half its box.
    assert annotations.areas.tolist() == [600, 3980, 9, 50]
    assert annotations.is_crowd.tolist() == [False, False, True, False]
    assert annotations.boxes.dtype == annotations.areas.dtype == np.float64
    assert annotations.box_ids.dtype == annotations.image_ids.dtype == np.int64
    assert annotations.skipped == {}
    assert annotations.boxed_category_ids() == (0, 4)
    assert annotations.taxonomy.names(Granularity.SUPER) == ("Insecta", "Aves")
    assert annotations.derive_taxonomy(["Aves", "Insecta"]).super_classes == ("Aves", "Insecta")
    with pytest.raises(ValueError, match="read-only"):
        annotations.boxes[0, 0] = 1


def test_lists_in_any_order(write):
    turned = read_coco_annotations(write(dict(reversed(GOOD.items()))))
    assert ids_of(turned) == ([3, 1, 8, 0], [7, 5, 6, 9])


def test_rows_by_image(write):
    rows, starts = read_coco_annotations(write(GOOD)).rows_by_image()
    by_image = [rows[a:b].tolist() for a, b in itertools.pairwise(starts)]
    assert by_image == [[1], [0, 2], [], [3]]


def test_filters(write):
    annotations = read_coco_annotations(write(GOOD))
    single = annotations.single_instance()
    assert ids_of(single) == ([3, 0], [5, 9])
    assert single.boxes.tolist() == [[0.5, 0, 99.5, 80], [0, 0, 10, 10]]
    assert single.categories == annotations.categories
    assert ids_of(single.single_instance()) == ids_of(single)
    assert ids_of(annotations.keep_images([8, 1])) == ([1, 8], [7, 6])
    with pytest.raises(ValueError, match="no image 77"):
        annotations.keep_images([1, 77])
    one = copy.deepcopy(GOOD)
    one["annotations"] = one["annotations"][2:3]
    assert ids_of(read_coco_annotations(write(one)).single_instance()) == ([], []), (
        "a crowd is not one"
    )


def test_single_instance_is_a_no_op_where_every_image_has_one_box(write):
    rng = np.random.default_rng(0)
    record = {
        "images": [{"id": i, "file_name": "x", "width": 9, "height": 9} for i in range(300)],
        "categories": GOOD["categories"],
        "annotations": [
            {"id": i, "image_id": int(image), "category_id": 0, "bbox": [0, 0, 1, 1]}
            for i, image in enumerate(rng.permutation(300))
        ],
    }
    annotations = read_coco_annotations(write(record))
    single = annotations.single_instance()
    assert single.images == annotations.images
    np.testing.assert_array_equal(single.box_ids, annotations.box_ids)
    np.testing.assert_array_equal(single.image_ids, annotations.image_ids)


def test_no_boxes_at_all(write):
    annotations = read_coco_annotations(write({**GOOD, "annotations": []}))
    assert annotations.boxes.shape == (0, 4) and annotations.is_crowd.shape == (0,)
    assert annotations.single_instance().images == ()
    assert annotations.rows_by_image()[1].tolist() == [0] * 5
    with pytest.raises(InputError, match=r"boxes\.json: no category has a box"):
        _ = annotations.taxonomy
    nothing = read_coco_annotations(write({"images": [], "categories": [], "annotations": []}))
    assert nothing.images == () and nothing.rows_by_image()[1].tolist() == [0]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([0, 0, 50, 60], [0, 0, 50, 60]),
        ([0.1, 0.2, 49.9, 59.8], [0.1, 0.2, 49.9, 59.8]),
        ([-0.5, 0, 10, 10], [0, 0, 9.5, 10]),
        ([-1, -1, 52, 62], [0, 0, 50, 60]),
        ([49, 59, 2, 1.5], [49, 59, 1, 1]),
        ([-1.01, 0, 10, 10], None),
        ([0, -2, 10, 10], None),
        ([0, 0, 51.1, 10], None),
        ([45, 55, 4, 6.5], None),
        ([50, 0, 1, 10], None),
        ([-1, 0, 1, 10], None),
        ([500, 500, 10, 10], None),
        ([-500, 0, 10, 10], None),
    ],
)
def test_boxes_at_the_edges(write, box, expected):
    """Image 1 is 50 wide and 60 high; up to one pixel over the edge is cut off."""
    record = copy.deepcopy(GOOD)
    record["annotations"][0]["bbox"] = box
    annotations = read_coco_annotations(write(record), on_bad=OnBad.SKIP)
    if expected is None:
        assert annotations.skipped == {
            "box extends beyond its image": 1,
            "image with a bad box or a repeated id": 1,
            "good box of an image or category left out": 1,
        }
        assert annotations.box_ids.tolist() == [5, 9]
    else:
        assert annotations.skipped == {}
        np.testing.assert_allclose(annotations.boxes[0], expected, rtol=0, atol=1e-12)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("where", "change", "problem", "words"),
    [
        ("images", {"id": "03"}, "id is text", "image number 1 of the list has the id '03'"),
        ("images", {"id": None}, "image is malformed", "id"),
        ("images", {"id": True}, "image is malformed", "id"),
        ("images", {"id": 2**63}, "image is malformed", "id"),
        ("images", {"id": 3.5}, "image is malformed", "id"),
        ("images", {"id": 2.0**60}, "image is malformed", "id"),
        ("images", {"id": [3]}, "image is malformed", "id"),
        ("images", {"file_name": None}, "image is malformed", "image 3 has no file_name"),
        ("images", {"width": None}, "image has an invalid size", "width None"),
        ("images", {"width": 0}, "image has an invalid size", "width 0"),
        ("images", {"height": -5}, "image has an invalid size", "height -5"),
        ("images", {"height": "80px"}, "image has an invalid size", "height '80px'"),
        ("images", {"width": NAN}, "image has an invalid size", "width nan"),
        ("images", {"id": 1}, "image id is repeated", "image 1 is both 'a/1.jpg' and"),
        ("categories", {"id": [4]}, "category is malformed", "category number 1"),
        ("categories", {"name": None}, "category is malformed", "category 4 has no name"),
        ("categories", {"name": "a\0b"}, "category is malformed", "cannot be printed in its name"),
        ("categories", {"supercategory": " "}, "category has no super", "category 4 ('Pica pica')"),
        ("categories", {"supercategory": None}, "category has no super", "--super_categories="),
        ("categories", {"id": 2}, "category id is repeated", "category 2"),
        ("annotations", {"image_id": "x1"}, "id is text", "the image_id 'x1'"),
        ("annotations", {"category_id": 0.5}, "annotation is malformed", "category_id"),
        ("annotations", {"category_id": True}, "annotation is malformed", "category_id"),
        ("annotations", {"bbox": None}, "annotation has no bbox", "annotation 7"),
        ("annotations", {"bbox": []}, "annotation has no bbox", "annotation 7"),
        ("annotations", {"bbox": [1, 2, 3]}, "annotation is malformed", "four numbers"),
        ("annotations", {"bbox": [1, 2, 3, "4"]}, "annotation is malformed", "without quotation"),
        ("annotations", {"bbox": [1, 2, 3, True]}, "annotation is malformed", "four numbers"),
        ("annotations", {"bbox": [1, 2, 3, 10**400]}, "annotation is malformed", "four numbers"),
        ("annotations", {"bbox": {"x": 1}}, "annotation is malformed", "four numbers"),
        ("annotations", {"area": "9"}, "annotation is malformed", "area, but '9'"),
        ("annotations", {"iscrowd": 2}, "annotation is malformed", "iscrowd, but 2"),
        ("annotations", {"iscrowd": []}, "annotation is malformed", "iscrowd"),
        ("annotations", {"image_id": 99}, "annotation's image is missing", "the image 99"),
        ("annotations", {"category_id": 1}, "annotation's category is missing", "the category 1"),
        ("annotations", {"bbox": [1, 1, 0, 5]}, "box has an invalid size", "[1, 1, 0, 5]"),
        ("annotations", {"bbox": [1, 1, 5, -5]}, "box has an invalid size", "[1, 1, 5, -5]"),
        ("annotations", {"bbox": [NAN, 1, 5, 5]}, "box has an invalid size", "[nan, 1, 5, 5]"),
        ("annotations", {"bbox": [1, 1, INF, 5]}, "box has an invalid size", "inf"),
        ("annotations", {"area": -1}, "box has an invalid area", "the area -1"),
        ("annotations", {"area": NAN}, "box has an invalid area", "the area nan"),
        ("annotations", {"area": [1, 2]}, "annotation is malformed", "area, but [1, 2]"),
        ("annotations", {"bbox": [1, 1, 500, 5]}, "box extends beyond", "its 50 x 60 image"),
    ],
)
def test_each_kind_of_bad_entry(write, where, change, problem, words):
    """The first entry of a list is made bad; for repeated ids, it becomes the last."""
    record = copy.deepcopy(GOOD)
    record[where][0].update(change)
    if where == "images":
        record["images"].append({"id": 5, "file_name": "5.jpg", "width": 50, "height": 60})
        record["annotations"][0]["image_id"] = 5
    if "repeated" in problem:
        # The one that comes later is the bad one.
        record[where] = record[where][1:] + record[where][:1]
    # Boxes of image 3 and category 4 would be bad as a consequence, which is not tested here.
    if where != "annotations":
        record["annotations"] = [record["annotations"][0]]
    path = write(record)
    with pytest.raises(InputError) as caught:
        read_coco_annotations(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: 1 bad entry ({problem}") and "\n" not in message
    assert words in message and "--on_bad=skip" in message
    annotations = read_coco_annotations(path, on_bad=OnBad.SKIP)
    first, count = next(iter(annotations.skipped.items()))
    assert first.startswith(problem) and count == 1
    left = {
        "images": len(annotations.images),
        "categories": len(annotations.categories),
        # Its image, if it is known, leaves with another box.
        "annotations": len(annotations.box_ids) + (record[where][0].get("image_id") == 1),
    }
    # Which of two different entries with one id is meant?
    assert left[where] == len(record[where]) - (2 if "repeated" in problem else 1)


@pytest.mark.parametrize("key", ["images", "categories", "annotations"])
@pytest.mark.parametrize("record", [3, None, "x", [], ["id"]])
def test_entries_that_are_not_objects(write, key, record):
    path = write({**GOOD, key: [*GOOD[key], record]})
    with pytest.raises(InputError, match=f"number {len(GOOD[key]) + 1} of the list"):
        read_coco_annotations(path)
    assert sum(read_coco_annotations(path, on_bad=OnBad.SKIP).skipped.values()) == 1


def test_skipped_entries_are_counted_with_what_depends_on_them(write):
    record = copy.deepcopy(GOOD)
    record["images"][1]["height"] = 0  # Image 1 has two boxes,
    record["categories"][1]["name"] = None  # which are all of category 0.
    annotations = read_coco_annotations(write(record), on_bad=OnBad.SKIP)
    assert annotations.skipped == {
        "image has an invalid size": 1,
        "category is malformed": 1,
        "good box of an image or category left out": 2,
    }
    assert ids_of(annotations) == ([3, 8, 0], [5, 9])
    assert annotations.left_out == () and annotations.left_out_ids == {1}


def test_only_the_first_few_are_named(write):
    record = copy.deepcopy(GOOD)
    record["annotations"] = [
        {"id": i, "image_id": 77, "category_id": 0, "bbox": [0, 0, 1, 1]} for i in range(100, 150)
    ]
    with pytest.raises(InputError) as caught:
        read_coco_annotations(write(record))
    message = str(caught.value)
    assert (
        "50 bad entries (annotation's image is missing: 50, such as annotation 100 has the image "
        "77, annotation 101 has the image 77, annotation 102 has the image 77); correct the file"
    ) in message
    assert "--on_bad" not in message, "it would leave nothing"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("train_val_images/Aves/Pica pica/00.jpg", True),
        ("00.jpg", True),
        ("a/..b/c..jpg", True),
        ("Ünïcode/蛙.jpg", True),
        ("ab: c/d.jpg", True),
        ("", False),
        (" ", False),
        ("/etc/passwd", False),
        ("../x.jpg", False),
        ("a/../../x.jpg", False),
        ("a/..", False),
        ("..", False),
        ("a\\x.jpg", False),
        ("..\\x.jpg", False),
        ("\\\\host\\share", False),
        ("C:/x.jpg", False),
        ("c:x.jpg", False),
        ("a/\x00.jpg", False),
        ("a/\n.jpg", False),
        ("a/", False),
        ("é" * 127, True),
        ("a/" + "é" * 128, False),
        ("a/" * 600 + "b", False),
        ("\ud800.jpg", False),
        ("gpj.\u202e.exe", False),
        ("क्\u200dष.jpg", True),
    ],
)
def test_file_names(name, safe):
    assert is_safe_file_name(name) is safe


@pytest.mark.parametrize("on_bad", list(OnBad))
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (json.dumps(GOOD)[:-40], "ends too early"),
        (json.dumps(GOOD)[: len(json.dumps(GOOD)) // 2], "ends too early"),
        ("[1, 2]", "not one JSON object"),
        ('{"images": [], "annotations": []}', "has no 'categories'"),
        ('{"images": {}, "annotations": [], "categories": []}', "no list as its 'images'"),
    ],
)
def test_files_that_cannot_be_skipped(write, text, words, on_bad):
    with pytest.raises(InputError, match=words):
        read_coco_annotations(write(text), on_bad)


def test_random_files_against_plain_python(write):
    """Which boxes are good, by a loop over dicts."""
    rng = np.random.default_rng(5)
    images = [
        {"id": int(i), "file_name": f"{i}.jpg", "width": 40, "height": 30}
        for i in rng.choice(400, 300, replace=False)
    ]
    boxes = [
        {
            "id": int(rng.integers(2000)),
            "image_id": int(rng.integers(400)),
            "category_id": int(rng.choice([0, 2, 4, 1], p=[0.3, 0.3, 0.3, 0.1])),
            "bbox": rng.integers([-2, -2, -1, -1], [30, 20, 16, 16]).tolist(),
        }
        for _ in range(500)
    ]
    path = write({"images": images, "categories": GOOD["categories"], "annotations": boxes})
    known = {image["id"] for image in images}
    good, bad_images = [], set()
    for number, box in enumerate(boxes, 1):
        x, y, w, h = box["bbox"]
        inside = x >= -1 and y >= -1 and x + w <= 41 and y + h <= 31 and w > 0 and h > 0
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, 40), min(y + h, 30)
        visible = inside and right > left and bottom > top
        if box["image_id"] in known and box["category_id"] in (0, 2, 4) and visible:
            row = [number, left, top, right - left, bottom - top]
            good.append((box["image_id"], list(map(float, row))))
        else:
            bad_images.add(box["image_id"])
    expected = [row for image, row in good if image not in bad_images]
    annotations = read_coco_annotations(path, on_bad=OnBad.SKIP)
    found = np.column_stack([annotations.box_ids, annotations.boxes]).tolist()
    assert found == expected and len(good) - 20 > len(found) > 20
    assert {image.id for image in annotations.images} == known - bad_images


def test_imports_no_tensorflow():
    code = "import sys, inatdet.data.annotations; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
