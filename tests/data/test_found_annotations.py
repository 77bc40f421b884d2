"""Annotations as other programs write them, and what to say about those that cannot be read."""

from __future__ import annotations

import copy
import gzip
import json
import os

import numpy as np
import pytest
from PIL import Image as Picture

import inatdet
from inatdet.data.annotations import Image
from inatdet.data.categories import Category
from inatdet.data.checking import OnBad
from inatdet.data.conventions import look_like_corners
from inatdet.data.formats.coco import read_coco_annotations
from inatdet.data.formats.names import read_super_categories
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

NAN = float("nan")


def dataset(count=24, boxes_per_image=1):
    """Images of 640 x 480 with boxes of two categories."""
    rng = np.random.default_rng(count)
    boxes = []
    for image in range(1, count + 1):
        for _ in range(boxes_per_image):
            x, y, w, h = rng.integers([300, 10, 30, 30], [350, 200, 280, 200]).tolist()
            box = {"image_id": image, "category_id": image % 2, "bbox": [x, y, w, h]}
            boxes.append({"id": len(boxes) + 100, **box, "area": w * h, "iscrowd": 0})
    return {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480}
            for i in range(1, count + 1)
        ],
        "categories": [
            {"id": 0, "name": "Pica pica", "supercategory": "Aves"},
            {"id": 1, "name": "Vespa crabro", "supercategory": "Insecta"},
        ],
        "annotations": boxes,
    }


@pytest.fixture
def write(tmp_path):
    """Writes a record as a JSON file and returns its path."""

    def _write(record) -> str:
        path = tmp_path / "boxes.json"
        path.write_text(json.dumps(record))
        return str(path)

    return _write


def each(record, key, change):
    """The record with a change to each entry of a list."""
    record = copy.deepcopy(record)
    for entry in record[key]:
        change(entry)
    return record


def fault(path, on_bad=OnBad.ERROR):
    with pytest.raises(InputError) as caught:
        read_coco_annotations(path, on_bad=on_bad)
    message = str(caught.value)
    assert message.startswith(path) and "\n" not in message and len(message) < 900
    return message


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("images", lambda e: e.update(id=str(e["id"]))),
        ("images", lambda e: e.update(id=float(e["id"]), width=640.0, height="480")),
        ("categories", lambda e: e.update(id=str(e["id"]))),
        ("categories", lambda e: e.update(name=f" {e['name']}\n".replace(" p", "\u00a0 p"))),
        ("annotations", lambda e: e.update(image_id=float(e["image_id"]))),
        ("annotations", lambda e: e.update(category_id=str(e["category_id"]))),
        ("annotations", lambda e: e.update(area=[e["area"]], iscrowd=None)),
        ("annotations", lambda e: e.update(iscrowd=False)),
    ],
)
def test_what_can_only_mean_one_thing_is_read(write, key, change):
    expected = read_coco_annotations(write(dataset()))
    read = read_coco_annotations(write(each(dataset(), key, change)))
    assert read.images == expected.images and read.categories == expected.categories
    for column in ("image_ids", "category_ids", "boxes", "areas", "is_crowd"):
        np.testing.assert_array_equal(getattr(read, column), getattr(expected, column))
    assert read.notes == () and read.skipped == {}


def test_an_area_that_is_absent_is_half_the_box(write):
    read = read_coco_annotations(
        write(each(dataset(), "annotations", lambda e: e.update(area=None)))
    )
    np.testing.assert_array_equal(read.areas, read.boxes[:, 2] * read.boxes[:, 3] / 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.update(id=0),
        lambda e: e.update(id=e["image_id"]),
        lambda e: e.pop("id"),
        lambda e: e.update(id=f"{e['id']}-ct"),
        lambda e: e.update(id=2**70),
    ],
)
def test_boxes_are_numbered_anew_where_their_ids_do_not_tell_them_apart(write, change):
    record = dataset(boxes_per_image=2)
    read = read_coco_annotations(write(each(record, "annotations", change)))
    assert read.box_ids.tolist() == list(range(1, 49))
    assert (
        len(read.notes) == 1 and "numbered 1, 2, ... here, which changes no result" in read.notes[0]
    )
    expected = read_coco_annotations(write(record))
    np.testing.assert_array_equal(read.boxes, expected.boxes)
    assert expected.notes == ()


def test_an_image_with_a_bad_box_does_not_become_one_with_a_single_box(write):
    """Half of the boxes are bad, each in an image with a good one."""
    record = dataset(boxes_per_image=2)
    for number in (1, 5, 9):
        record["annotations"][number]["bbox"][0] = 630
    record["annotations"][20]["bbox"] = []
    del record["annotations"][30]["bbox"]
    record["annotations"][40]["category_id"] = 77
    message = fault(write(record))
    assert "or leave out 6 images and keep 36 boxes with --on_bad=skip" in message
    read = read_coco_annotations(write(record), on_bad=OnBad.SKIP)
    assert len(read.images) == 18 and len(read.boxes) == 36
    assert read.single_instance().images == ()
    assert read.skipped == {
        "box extends beyond its image": 3,
        "annotation has no bbox": 2,
        "annotation's category is missing": 1,
        "image with a bad box or a repeated id": 6,
        "good box of an image or category left out": 6,
    }
    assert [image.id for image in read.left_out] == [1, 3, 5, 11, 16, 21]


def test_detections_in_images_left_out_do_not_count(write, tmp_path):
    record = dataset()
    record["annotations"][4]["bbox"][2] = 0
    detections = [
        {k: e[k] for k in ("image_id", "category_id")} | {"bbox": [9, 9, 9, 9], "score": 0.5}
        for e in record["annotations"]
    ]
    (tmp_path / "found.json").write_text(json.dumps(detections))
    truth = inatdet.read_annotations(write(record), on_bad="skip")
    found = inatdet.read_detections(tmp_path / "found.json", truth, granularity="species")
    results = inatdet.evaluate(truth, [found]).results
    assert results.counts.images_kept == results.counts.images == 23


@pytest.mark.parametrize("value", ["", None, " ", 5, "absent"])
def test_categories_without_supercategory(write, tmp_path, value):
    def change(entry):
        entry["supercategory"] = value
        if value == "absent":
            del entry["supercategory"]

    path = write(each(dataset(), "categories", change))
    for on_bad in OnBad:
        message = fault(path, on_bad)
        assert (
            "2 bad entries (category has no supercategory: 2, namely category 0 ('Pica" in message
        )
        assert "`inatdet convert --super_categories=FILE`" in message
        assert "category is missing" not in message and "--on_bad" not in message
    supers = {"Pica  pica": "Aves", "Vespa crabro ": "Insecta"}
    file = tmp_path / "super.json"
    file.write_text(json.dumps(supers))
    read = read_coco_annotations(path, read_super_categories(file))
    assert [c.supercategory for c in read.categories] == ["Aves", "Insecta"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": "b", "a ": "c"}', "'a ' has two super-classes, 'b' and 'c'"),
        ('{"a": "b", "a": "c"}', "'a' has two super-classes"),
        ('{"a": ""}', "is not a name"),
        ('{"": "a"}', "is not a name"),
        ('{"a": "\\u0007"}', "is not a name"),
        ('{"a": {"b": "c"}}', "is not a name"),
        ('{"a": 1' + "0" * 5000 + "}", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("[[]]", "must be one JSON object"),
    ],
)
def test_files_of_super_categories(content, message, tmp_path):
    (tmp_path / "super.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read_super_categories(tmp_path / "super.json")


def camera_traps():
    """As published: text ids, no sizes, and images in which nothing is."""
    record = dataset(6)
    for image in record["images"]:
        image["id"] = f"i-{image['id']}"
        del image["width"], image["height"]
    for category in record["categories"]:
        del category["supercategory"]
    for box in record["annotations"]:
        box["id"], box["image_id"] = f"b-{box['id']}", f"i-{box['image_id']}"
        del box["area"], box["iscrowd"]
    record["categories"].append({"id": 30, "name": "empty"})
    record["images"].append({"id": "i-nothing", "file_name": "7.jpg"})
    record["annotations"].append({"id": "e", "image_id": "i-nothing", "category_id": 30})
    return record


def test_camera_traps(write, tmp_path):
    path = write(camera_traps())
    message = fault(path)
    assert "id is text instead of a number: 14, such as" in message
    assert "`inatdet convert` numbers ids that are text, as COCO Camera Traps" in message
    for number in range(1, 8):
        Picture.new("L", (640, 480)).save(tmp_path / f"{number}.jpg")
    (tmp_path / "super.json").write_text('{"Pica pica": "x", "Vespa crabro": "y"}')
    read = inatdet.read_annotations(
        path,
        super_categories=tmp_path / "super.json",
        images_dir=tmp_path,
        number_ids=True,
    )
    assert read.images[6] == Image(7, "7.jpg", 640, 480)
    assert read.image_ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert len(read.single_instance().images) == 6
    said = " ".join(read.notes)
    for words in ("7 ids of images are text", "sizes of 7 images", "have no bbox (1)"):
        assert words in said
    os.remove(tmp_path / "3.jpg")
    with pytest.raises(InputError, match=r"3\.jpg: cannot be read"):
        inatdet.read_annotations(path, images_dir=tmp_path, number_ids=True)


def test_text_ids_beside_numbers_are_not_numbered(write):
    record = dataset(4)
    record["images"][0]["id"] = "one"
    with pytest.raises(InputError, match="some ids of images are numbers and others are text"):
        inatdet.read_annotations(write(record), number_ids=True)


def test_data_for_classification(write):
    path = write(each(dataset(), "annotations", lambda e: e.pop("bbox")))
    for on_bad in OnBad:
        message = fault(path, on_bad)
        assert "none of its 24 annotations has a bbox" in message and "iNat2021" in message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("images\\\\1.jpg", "has backslashes"),
        ("..\\\\..\\\\1.jpg", "has backslashes"),
        ("/data/1.jpg", "is an absolute path"),
        ("../1.jpg", "leads out of the folder"),
        ("a\n.jpg", "has characters that cannot be printed"),
    ],
)
def test_unsafe_names_matter_only_where_files_are_opened(write, tmp_path, name, words):
    path = write(each(dataset(), "images", lambda e: e.update(file_name=name)))
    read = inatdet.read_annotations(path)
    assert len(read.boxes) == 24
    with pytest.raises(InputError, match=f"has the file_name .*{words}"):
        read.images[0].path_in(tmp_path)
    with pytest.raises(InputError, match=f"unsafe file name: 24, such as image 1 .*{words}"):
        inatdet.read_annotations(path, images_dir=tmp_path)
    assert Image(1, "a/1.jpg", 9, 9).path_in("b") == os.path.join("b", "a/1.jpg")


def test_true_boxes_as_fractions(write):
    def change(entry):
        entry["bbox"] = (np.array(entry["bbox"]) / [640, 480, 640, 480]).tolist()

    path = write(each(dataset(), "annotations", change))
    for on_bad in OnBad:
        assert "all boxes lie within 0 to 1, so they are fractions" in fault(path, on_bad)
    pixels = write(each(dataset(), "annotations", lambda e: e.update(bbox=[0, 0, 1, 1])))
    assert len(read_coco_annotations(pixels).boxes) == 24, "a pixel is a box, if a small one"


def test_true_boxes_as_corners(write):
    def change(entry):
        x, y, w, h = entry["bbox"]
        entry["bbox"] = [x, y, x + w, y + h]

    message = fault(write(each(dataset(), "annotations", change)))
    assert "all boxes would lie inside their images if their numbers were the corners" in message
    assert "--on_bad" not in message
    left = each(dataset(), "annotations", lambda e: e.update(bbox=[9, 9, *e["bbox"][2:]]))
    read = read_coco_annotations(write(each(left, "annotations", change)))
    assert look_like_corners(read.boxes)
    assert not look_like_corners(read.boxes[:19]), "too few to tell"
    assert not look_like_corners(read_coco_annotations(write(dataset())).boxes)


def test_sizes_of_images_that_are_exchanged(write):
    record = each(dataset(), "images", lambda e: e.update(width=480, height=640))
    record["annotations"][0]["bbox"] = [400, 10, 200, 300]
    message = fault(write(record))
    assert "if the width and height of all images were exchanged" in message
    record["annotations"][0]["bbox"] = [400, 10, 200, 600]
    assert "exchanged" not in fault(write(record)), "it explains not all of them"


def test_numbers_that_overflow(write):
    path = write(each(dataset(), "annotations", lambda e: e.update(bbox=[1e308] * 4)))
    assert "box extends beyond its image: 24" in fault(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bbox": ["1", "2", "3", "4"]}, "write the numbers of bbox without quotation marks"),
        ({"bbox": {"x": 1}}, "write bbox as four numbers [x, y, width, height]"),
        ({"area": NAN}, "write the area in square pixels, or none"),
        ({"bbox": [1, 1, 0, 5]}, "with a width and a height above 0"),
    ],
)
def test_advice_is_given_once(write, change, words):
    message = fault(write(each(dataset(), "annotations", lambda e: e.update(change))))
    assert message.count(words) == 1 and message.count("annotation 1") == 3
    assert "--on_bad" not in message, "nothing would be left"


def test_two_pictures_under_one_id(write):
    record = dataset()
    record["images"].append(record["images"][3] | {"file_name": "other.jpg"})
    assert "image 4 is both '4.jpg' and 'other.jpg'); give every image its own id" in fault(
        write(record)
    )
    read = read_coco_annotations(write(record), on_bad=OnBad.SKIP)
    assert len(read.images) == 23 and 4 not in read.image_ids, "whose box is it?"
    record["images"][-1] = record["images"][3]
    assert "image 4 is listed twice); give every image its own id; or leave such entries" in fault(
        write(record)
    )
    assert len(read_coco_annotations(write(record), on_bad=OnBad.SKIP).images) == 24


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(json.dumps(dataset()).encode()), "is compressed by gzip: decompress it"),
        (json.dumps(dataset()).encode("utf-16"), "is text in UTF-16: save it as UTF-8"),
        (json.dumps(dataset()).encode("utf-16-le"), "is no text, or text in UTF-16 or UTF-32"),
        (b"PAR1\x15\x04", "is a Parquet file, as detections are"),
        (b"PK\x03\x04", "is a ZIP archive"),
        (b"\x80\x04\x95", "is a Python pickle"),
        (b'[{"image_id": 1}]', "but a list, as detections are; check which file belongs to"),
    ],
)
def test_files_of_other_kinds(content, message, tmp_path):
    path = tmp_path / "val.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_coco_annotations(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "val.json")
    pipe = tmp_path / "val.json"
    for options in ({}, {"super_categories": pipe}, {"names": pipe}):
        with pytest.raises(InputError, match=r"val\.json: is a pipe or a device"):
            inatdet.read_annotations(pipe, **options)
    with pytest.raises(InputError, match=r"val\.json: is a pipe or a device"):
        Taxonomy.load(pipe)


ROWS = [(0, "Pica pica", "Aves"), (1, "Vespa crabro", "Insecta"), (2, "Apis", "Insecta")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS, None),
        ([ROWS[0], (1, " Vespa  crabro", "Insecta")], None),
        (
            ROWS[:1],
            r"category 1 \('Vespa crabro', 'Insecta'\) is not listed in the label spaces of",
        ),
        (
            [ROWS[0], (1, "Vespa", "Insecta")],
            r"1 .* is 'Vespa', 'Insecta' in .* taxonomy of the same",
        ),
        ([ROWS[0], (1, "Vespa crabro", "Aves")], "is 'Vespa crabro', 'Aves' in the label spaces"),
        ([(1, "Pica pica", "Aves"), (2, "Vespa crabro", "Insecta")], "2 categories .*--names"),
    ],
)
def test_label_spaces_of_other_data(write, rows, message, tmp_path):
    categories = [Category.from_entry(dict(zip(("id", "name", "supercategory"), r))) for r in rows]
    taxonomy = Taxonomy.from_categories(categories, {category.id for category in categories})
    taxonomy.save(tmp_path / "taxonomy.json")
    path = write(dataset())
    if message is None:
        read = inatdet.read_annotations(path, taxonomy=tmp_path / "taxonomy.json")
        assert read.taxonomy == taxonomy
        return
    with pytest.raises(InputError, match=message):
        inatdet.read_annotations(path, taxonomy=tmp_path / "taxonomy.json")


def test_categories_without_a_box_in_training_are_no_other_data(write):
    categories = read_coco_annotations(path := write(dataset())).categories
    unboxed = Taxonomy.from_categories(categories, {0})
    assert inatdet.read_annotations(path, taxonomy=unboxed).taxonomy == unboxed
