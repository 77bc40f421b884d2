"""Tests of reading other programs' annotations, on files that they wrote (tests/foreign)."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from inatdet.data.annotations import Image as ImageEntry
from inatdet.data.checking import OnBad
from inatdet.data.formats import names as names_of_files
from inatdet.data.formats import text
from inatdet.data.formats.annotations import Options, read_annotations
from inatdet.data.formats.coco import write_coco_annotations
from inatdet.data.formats.names import ImagesByName, read_names, read_super_categories
from inatdet.data.formats.voc import Corners, read_voc_annotations
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from tests.foreign import FOREIGN, SUPER_CATEGORIES

SIZES = {"a.jpg": (120, 90), "b.jpg": (64, 100), "c.jpg": (50, 50)}
TRUTH = {
    ("a.jpg", "Corvus corax", (10, 20, 60, 60)),
    ("a.jpg", "Pica pica", (0, 0, 30, 40)),
    ("b.jpg", "Apis mellifera", (5, 50, 59, 50)),
}


@pytest.fixture
def options(tmp_path):
    """Everything that the files in tests/foreign do not contain."""
    (tmp_path / "super.json").write_text(json.dumps(SUPER_CATEGORIES))
    (tmp_path / "images").mkdir()
    for name, size in SIZES.items():
        Image.new("RGB", size).save(tmp_path / "images" / name)
    return {
        "super_categories_path": str(tmp_path / "super.json"),
        "images_dir": str(tmp_path / "images"),
        "names_path": str(FOREIGN / "yolo_labels" / "data.yaml"),
    }


def truth_of(annotations):
    file_of = {image.id: image.file_name.rpartition("/")[2] for image in annotations.images}
    name_of = {category.id: category.name for category in annotations.categories}
    return {
        (file_of[i], name_of[c], tuple(map(round, box)))
        for i, c, box in zip(
            annotations.image_ids.tolist(),
            annotations.category_ids.tolist(),
            annotations.boxes.tolist(),
        )
    }


@pytest.mark.parametrize("kind", ["yolo_labels/labels", "voc_annotations", "lvis.json"])
def test_real_files(kind, options, tmp_path):
    """What is read is the truth, also after writing it as COCO's JSON."""
    annotations = read_annotations(FOREIGN / kind, Options(**options))
    assert truth_of(annotations) == TRUTH
    found = {image.file_name.rpartition("/")[2]: image for image in annotations.images}
    assert {name: (i.width, i.height) for name, i in found.items()} == SIZES
    # YOLO's writer rounds to five digits of the image.
    exact = sorted(map(list, (box for _, _, box in TRUTH)))
    np.testing.assert_allclose(sorted(annotations.boxes.tolist()), exact, atol=2e-3)
    assert {c.name: c.supercategory for c in annotations.categories} == SUPER_CATEGORIES
    path = tmp_path / "ours.json"
    write_coco_annotations(path, annotations, annotations.taxonomy)
    again = read_annotations(path)
    assert again.images == annotations.images and again.categories == annotations.categories
    np.testing.assert_array_equal(again.boxes, annotations.boxes)
    np.testing.assert_array_equal(again.areas, annotations.areas)
    assert sorted(COCO(str(path)).getAnnIds()) == sorted(annotations.box_ids.tolist())


def test_names_of_lvis_images(options):
    annotations = read_annotations(FOREIGN / "lvis.json", Options(**options))
    assert [image.file_name for image in annotations.images][:1] == ["val2017/a.jpg"]
    assert annotations.areas[0] == 60 * 60 * 0.75  # the file's


def test_annotations_at_a_coarser_granularity(options, tmp_path):
    annotations = read_annotations(FOREIGN / "voc_annotations", Options(**options))
    path = tmp_path / "super.json"
    write_coco_annotations(path, annotations, annotations.taxonomy, Granularity.SUPER)
    coarse = read_annotations(path)
    assert [(c.id, c.name) for c in coarse.categories] == [(1, "Insecta"), (2, "Aves")]
    assert sorted(coarse.category_ids.tolist()) == [1, 2, 2]


VOC = """<annotation><filename>a.jpg</filename><size><width>100</width><height>80</height></size>
{}</annotation>"""
OBJECT = """<object><name>Pica pica</name>{}<bndbox><xmin>{}</xmin><ymin>1</ymin><xmax>100</xmax>
<ymax>80</ymax></bndbox></object>"""


def voc(tmp_path, content, name="a.xml"):
    folder = tmp_path / "voc"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)
    return folder


def test_corners(options, tmp_path):
    """The devkit's boxes from 1 to 100 are all of 100 pixels; edges from 1 to 100 are 99 wide."""
    folder = voc(tmp_path, VOC.format(OBJECT.format("", 1)))
    read = read_annotations(folder, Options(**options | {"names_path": None}))
    assert read.boxes.tolist() == [[0, 0, 100, 80]]
    edges = Options(**options | {"names_path": None}, corners=Corners.EDGES)
    assert read_annotations(folder, edges).boxes.tolist() == [[1, 1, 99, 79]]


def test_difficult_objects_are_crowds_and_folders_stay(options, tmp_path):
    things = OBJECT.format("<difficult>1</difficult>", 1) + OBJECT.format(
        "<difficult>0</difficult><part><name>head</name></part>", 50
    )
    folder = voc(tmp_path, VOC.format(things), "x/y/a.xml")
    read = read_annotations(folder, Options(**options))
    assert read.is_crowd.tolist() == [True, False]
    assert read.images[0].file_name == "x/y/a.jpg"
    assert read.category_ids.tolist() == [2, 2]  # the list of names has it as class 2


LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not valid XML"),
        ("<annotation>", "is not valid XML"),
        (LAUGHS + VOC.format(OBJECT.format("", "&b;")), "has a document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd">' + VOC.format(""), "has a document type"),
        ('<?xml version="1.0" encoding="nonsense"?>' + VOC.format(""), "is not valid XML"),
        ("<kml/>", "root element is <kml>, not <annotation>"),
        (VOC.format("").replace("width", "breadth"), "<size>: has 0 elements <width>"),
        (VOC.format("").replace("<width>100", "<width>1.5"), "<width>: is 1.5, not a whole number"),
        (VOC.format("").replace("<width>100", "<width>1e999"), "<width>: is '1e999'"),
        (
            VOC.format("").replace("<width>100", "<width>0"),
            "image has an invalid size: 1, namely image 1",
        ),
        (VOC.format("").replace("a.jpg", "../a.jpg"), "unsafe file name: 1, namely image 1"),
        (VOC.format("").replace("a.jpg", ""), "<filename>: is empty"),
        (VOC.format(OBJECT.format("", "x")), "<object> number 1, <bndbox>, <xmin>: is 'x'"),
        (VOC.format(OBJECT.format("", 1) * 2 + "<object/>"), "<object> number 3: has 0 elements"),
        (VOC.format(OBJECT.format("", "nan")), "<xmin>: is 'nan'"),
        (
            VOC.format(OBJECT.format("", 1) + OBJECT.format("", 102)),
            r"a\.xml, <object> number 2, has the box \[101, 0, -1, 80\]",
        ),
        (VOC.format(OBJECT.format("", 1).replace("Pica", "Pika")), "'Pika pica', which is not in"),
        ("<annotation>" * 100_000, "is not valid XML"),
    ],
)
def test_bad_voc_files(content, message, options, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        read_annotations(voc(tmp_path, content), Options(**options))
    assert "voc" in str(caught.value) and "\n" not in str(caught.value)


def test_bad_boxes_can_be_skipped(options, tmp_path):
    """The image of a bad box leaves with it, not to become one with a single box."""
    voc(tmp_path, VOC.format(OBJECT.format("", 1) + OBJECT.format("", 102)))
    folder = voc(tmp_path, VOC.format(OBJECT.format("", 1)).replace("a.jpg", "b.jpg"), "b.xml")
    read = read_annotations(folder, Options(**options, on_bad=OnBad.SKIP))
    assert [image.file_name for image in read.images] == ["b.jpg"] and len(read.boxes) == 1
    assert [image.file_name for image in read.left_out] == ["a.jpg"]
    assert read.skipped["box has an invalid size"] == 1


def test_categories_that_are_left_out_do_not_shift_the_others(options, tmp_path):
    """A C1 control code is valid in XML, and no name."""
    thing = OBJECT.format("", 1)
    voc(tmp_path, VOC.format(thing.replace("Pica", "A&#x80;")))
    folder = voc(tmp_path, VOC.format(thing).replace("a.jpg", "b.jpg"), "b.xml")
    supers = {"A\x80 pica": "Aves", "Pica pica": "Aves"}
    (tmp_path / "super.json").write_text(json.dumps({"Pica pica": "Aves"}))
    options = options | {"names_path": None, "super_categories_path": str(tmp_path / "super.json")}
    with pytest.raises(InputError, match="the super-class of"):
        read_annotations(folder, Options(**options))
    read = read_voc_annotations(folder, super_categories=supers, on_bad=OnBad.SKIP)
    assert [(c.id, c.name) for c in read.categories] == [(0, "Pica pica")]
    assert read.category_ids.tolist() == [0] and read.left_out[0].file_name == "a.jpg"


def test_corners_that_cannot_count_from_one(options, tmp_path):
    folder = voc(tmp_path, VOC.format(OBJECT.format("", 0)))
    with pytest.raises(InputError, match=r"has the corner 0, .* give --corners=edges"):
        read_annotations(folder, Options(**options))
    edges = read_annotations(folder, Options(**options, corners=Corners.EDGES))
    assert edges.boxes.tolist() == [[0, 1, 100, 79]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "0 .5 .5 .5",
            r"a\.txt, line 2: has 4 fields; each line must have these 5: class",
        ),
        ("0 .5 .5 .5 .5 .9", "has 6 fields"),
        ("0 .5 .5 .5 high", "has 'high' instead of a finite number"),
        ("0 .5 .5 .5 inf", "has 'inf'"),
        ("0.5 .5 .5 .5 .5", "has the class 0.5"),
        ("-1 .5 .5 .5 .5", "has the class -1"),
        ("0 60 45 60 60", "not made of fractions"),
        ("0 .5 .5 -.5 .5", "not made of fractions"),
        ("7 .5 .5 .5 .5", r"a\.txt, line 2, has the category 7"),
        ("0 .9 .9 .5 .5", r"a\.txt, line 2, has the box .* beyond its 120 x 90 image"),
    ],
)
def test_bad_yolo_labels(line, message, options, tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text(f"0 .5 .5 .5 .5\n{line}\n")
    with pytest.raises(InputError, match=message):
        read_annotations(tmp_path / "labels", Options(**options))


def test_yolo_labels_and_their_images(options, tmp_path):
    folder = shutil.copytree(FOREIGN / "yolo_labels" / "labels", tmp_path / "labels")
    (folder / "stray.txt").write_text("")
    with pytest.raises(InputError, match=r"stray\.txt belongs to no image"):
        read_annotations(folder, Options(**options))
    (folder / "stray.txt").rename(folder / "classes.txt")
    assert len(read_annotations(folder, Options(**options)).boxes) == 3
    with pytest.raises(InputError, match=r"give --names=data\.yaml and --images_dir"):
        read_annotations(folder, Options(**options | {"images_dir": None}))
    with pytest.raises(InputError, match="the super-class of 'Corvus corax' is unknown"):
        read_annotations(folder, Options(**options | {"super_categories_path": None}))
    turned = Image.Exif()
    turned[0x0112] = 6
    image = tmp_path / "images" / "a.jpg"
    Image.new("RGB", (90, 120)).save(image, exif=turned)
    with pytest.raises(InputError, match="rotated by its EXIF"):
        read_annotations(folder, Options(**options))
    image.write_bytes(b"no image")
    with pytest.raises(InputError, match="is not an image that can be read"):
        read_annotations(folder, Options(**options))


def test_unclear_kinds(options, tmp_path):
    with pytest.raises(InputError, match=r"has neither \.xml nor \.txt files"):
        read_annotations(tmp_path / "images", Options(**options))
    with pytest.raises(InputError, match=r"has both \.xml and \.txt files"):
        read_annotations(FOREIGN, Options(**options))
    with pytest.raises(InputError, match="No such file"):
        read_annotations(tmp_path / "absent", Options(**options))
    with pytest.raises(InputError, match="has no supercategory"):
        read_annotations(
            FOREIGN / "lvis.json", Options(**options | {"super_categories_path": None})
        )


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("data.yaml", "names: [a b, 'no', no, 1]", "names 'no' twice"),
        ("data.yaml", "names: [a b, 'x', no, 1]\nnc: 4", ["a b", "x", "no", "1"]),
        ("data.yml", "nc: 2\nnames:\n  0: a\n  1: b: c", "is not valid YAML"),
        ("data.yaml", "names: {1: b, 0: a}", ["a", "b"]),
        ("data.yaml", "names: {1: b, 2: a}", "do not go from 0 to 1"),
        ("data.yaml", "names: 3", "has no list `names`"),
        ("data.yaml", "[" * 100_000, "nested too deeply"),
        ("data.yaml", "names: [[a]]", "class 0 has no name"),
        ("classes.txt", "a b\r\n c\n\n", ["a b", "c"]),
        ("classes.txt", "a\n\nb\n", "class 1 has no name"),
        ("classes.txt", "a\na\n", "names 'a' twice"),
        ("classes.txt", "", "has no names"),
        ("classes.txt", "\ufeffa  b \r\n\u00a0c\td\n", ["a b", "c d"]),
        ("classes.txt", "a\x0bb\nc\n", ["a b", "c"]),
        ("classes.txt", "a\x07\n", "a character that cannot be printed in its name"),
        ("classes.txt", b"\xe9", "not text in UTF-8"),
        ("data.yaml", 'names: ["\\ud800"]', "is not valid YAML|cannot be printed in its name"),
        ("classes.txt", b"\xff\xfe", "is text in UTF-16"),
    ],
)
def test_names(name, content, expected, tmp_path):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if isinstance(expected, list):
        assert list(read_names(path)) == expected
    else:
        with pytest.raises(InputError, match=expected):
            read_names(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not valid JSON"),
        ("[]", "one JSON object"),
        ('{"a": 1}', "super-class of 'a'"),
        ('{"a": ""}', "super-class of 'a'"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_bad_super_categories(content, message, tmp_path):
    path = tmp_path / "super.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_super_categories(path)


def test_names_that_are_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(names_of_files, "_LONGEST", 10)
    (tmp_path / "classes.txt").write_text("0123456789a")
    with pytest.raises(InputError, match="longer than 10 bytes"):
        read_names(tmp_path / "classes.txt")


def test_images_by_name():
    images = [
        ImageEntry(1, "train/Aves/1.jpg", 1, 1),
        ImageEntry(2, "train/Insecta/1.jpg", 1, 1),
        ImageEntry(3, "train/Aves/2.b.jpg", 1, 1),
    ]
    found = ImagesByName(images)
    assert found.find("2.b", "x").id == 3
    assert found.find("Aves_1", "x").id == 1
    assert found.find("train_Insecta_1", "x").id == 2
    with pytest.raises(InputError, match="x: the annotations have several images named '1'"):
        found.find("1", "x")
    with pytest.raises(InputError, match="no image named '3'"):
        found.find("3", "x")


@pytest.mark.parametrize("piece", [1 << 22, 30, 7])
def test_lines_across_pieces(tmp_path, monkeypatch, piece):
    path = tmp_path / "x.txt"
    path.write_bytes(b"1 2\n\n  \n3 4\r\n5 6")
    monkeypatch.setattr(text, "_PIECE", piece)
    found = list(text.iterate_lines(str(path)))
    assert [n for lines in found for n in lines.numbers] == [1, 4, 5]
    values = [lines.floats() for lines in found if len(lines)]
    assert np.concatenate(values).tolist() == [[1, 2], [3, 4], [5, 6]]


def test_an_endless_line(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_PIECE", 8)
    path = tmp_path / "x.txt"
    path.write_bytes(b"1 2\n" + b"9" * 100)
    with pytest.raises(InputError, match="line 2: is longer than 8 bytes"):
        list(text.iterate_lines(str(path)))
