"""Results as other programs write them: read where they can be read in one way only, or named."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pytest

from inatdet.data.annotations import Image
from inatdet.data.categories import Category
from inatdet.data.formats.detections import read_detections
from inatdet.data.formats.recognizing import fault_of
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

SPECIES, GENERIC = Granularity.SPECIES, Granularity.GENERIC
TAXONOMY = Taxonomy.from_categories(
    [Category(1, "Corvus corax", "Aves"), Category(2, "Apis mellifera", "Insecta")], {1, 2}
)
IMAGES = [
    Image(1, "a/img_1.jpg", 200, 100),
    Image(2, "a/0007.JPG", 100, 100),
    Image(3, "b/0019.jpg", 100, 100),
    Image(4, "b/img_1.jpg", 100, 100),
]
RESULTS = [
    {"image_id": 1, "category_id": 2, "bbox": [1.0, 2.0, 3.0, 4.0], "score": 0.5},
    {"image_id": 3, "category_id": 1, "bbox": [5.0, 6.0, 7.0, 8.0], "score": 0.25},
]


def read(path, granularity=SPECIES, images=IMAGES):
    return read_detections(path, granularity, TAXONOMY, images)


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def assert_results(found):
    assert found.image_ids.tolist() == [1, 3]
    assert found.labels[SPECIES].tolist() == [2, 1]
    assert found.boxes.tolist() == [r["bbox"] for r in RESULTS]
    assert found.scores.tolist() == [0.5, 0.25]


LINES = "\n".join(map(json.dumps, RESULTS))


@pytest.mark.parametrize(
    "content",
    [
        RESULTS,
        LINES,
        f"\n{LINES}\n\n",
        "\ufeff" + LINES.replace("\n", "\r\n"),
        {"annotations": RESULTS},
        {"info": {}, "images": [{"id": 1}], "annotations": RESULTS},
        [r | {"score": str(r["score"])} for r in RESULTS],
        [r | {"bbox": list(map(str, r["bbox"]))} for r in RESULTS],
        [r | {"bbox": [r["bbox"]]} for r in RESULTS],
        [r | {"category_id": float(r["category_id"])} for r in RESULTS],
        [r | {"category_id": str(r["category_id"])} for r in RESULTS],
        [r | {"image_id": float(r["image_id"])} for r in RESULTS],
        [r | {"image_id": str(r["image_id"])} for r in RESULTS],
        {"annotations": [r | {"image_id": str(r["image_id"])} for r in RESULTS]},
        {"annotations": [r | {"bbox": [r["bbox"]]} for r in RESULTS]},
        [RESULTS[0], RESULTS[1] | {"image_id": "3"}],
    ],
)  # fmt: skip
@pytest.mark.parametrize("images", [IMAGES, []])
def test_what_can_be_read_in_one_way_only(tmp_path, content, images):
    found = read(write(tmp_path / "d.json", content), images=images)
    assert_results(found)
    assert found.notes == ()


@pytest.mark.parametrize(
    "ids",
    [
        ("a_img_1", "0019"),
        ("a/img_1", "0019.jpg"),
        ("a/img_1.jpg", "b_0019"),
        ("a/img_1.jpg", "b/0019.jpg"),
    ],
)
def test_images_by_file_name(tmp_path, ids):
    path = write(tmp_path / "d.json", [r | {"image_id": i} for r, i in zip(RESULTS, ids)])
    found = read(path)
    assert_results(found)
    (note,) = found.notes
    assert note == (
        f"{path}: its image ids are not those of the annotations but file names; 2 images were "
        "matched by name"
    )


def test_images_by_the_numbers_of_their_files(tmp_path):
    path = write(tmp_path / "d.json", [RESULTS[0] | {"image_id": i} for i in (19, 7, 19)])
    found = read(path)
    assert found.image_ids.tolist() == [3, 2, 3]
    assert len(found.notes) == 1
    path = write(tmp_path / "d.json", [RESULTS[0] | {"image_id": i} for i in ("0019", "0007")])
    assert read(path).image_ids.tolist() == [3, 2]
    for other in (
        [RESULTS[0] | {"image_id": i} for i in (1, 2)],  # ids of the annotations
        [RESULTS[0] | {"image_id": i} for i in (19, 1)],  # neither all ids nor all names
    ):
        found = read(write(tmp_path / "d.json", other))
        assert found.image_ids.tolist() == [r["image_id"] for r in other]
        assert found.notes == ()


def test_a_number_with_leading_zeros_is_no_id(tmp_path):
    images = [Image(7, "0019.jpg", 9, 9), Image(19, "0007.jpg", 9, 9)]
    path = write(tmp_path / "d.json", [RESULTS[0] | {"image_id": "0007"}])
    assert read(path, images=images).image_ids.tolist() == [19]
    path = write(tmp_path / "d.json", [RESULTS[0] | {"image_id": "7"}])
    assert read(path, images=images).image_ids.tolist() == [7]


@pytest.mark.parametrize(
    ("image_id", "message"),
    [
        ("img_1", "several images named 'img_1', a/img_1.jpg, b/img_1.jpg; .* as in 'a_img_1'"),
        ("img_9", "no image named 'img_9'; check that both"),
        ("A/IMG_1", "no image named 'A/IMG_1' but 'a_img_1'"),
        ("12345678901234567890123", "no image named '123"),
    ],
)
def test_names_of_no_image_or_several(tmp_path, image_id, message):
    path = write(tmp_path / "d.json", [RESULTS[0] | {"image_id": image_id}])
    with pytest.raises(InputError, match=message):
        read(path)


BOXES = {"boxes": [[1, 2, 3, 4]], "labels": [1], "scores": [0.5]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"image_id": 1, **BOXES}], "detection 1 has lists of boxes and scores, as torchvision"),
        ({"1": BOXES}, "has lists of boxes and scores, as torchvision"),
        (BOXES, "has lists of boxes and scores|neither"),
        ([{"image_id": 1, "instances": RESULTS}], "coco_instances_results.json"),
        ([{"file": "a.jpg", "detections": []}], "has its boxes in `detections`"),
        ([{"score": 1, "label": "x", "box": {"xmin": 1}}], "has a name and a box of corners"),
        ([{"image": "a.jpg", "predictions": []}], "has its boxes in `predictions`"),
        ([RESULTS[0], {"image_id": 1, "bbox": [0] * 4}], "detection 2 has no category_id and no s"),
        ([{"id": 1, "iscrowd": 0, "area": 4, **RESULTS[0], "score": None}], "number as its score"),
        ([{"x": 1}], "has no image_id and no category_id and no bbox and no score"),
        ([[1, 2, 3, 4, 0.5]], r"detection 1 is no object, but \[1, 2, 3, 4, 0.5\]"),
        ({"annotations": [{k: v for k, v in RESULTS[0].items() if k != "score"} | {"area": 1}]},
         "detection 1 has no score: these are annotations"),
        ([RESULTS[0] | {"category_id": "raven"}], "whole number as its category_id, but 'raven'"),
        ([RESULTS[0] | {"score": "nan"}], "has the score nan"),
        ([RESULTS[0] | {"score": [0.5]}], r"has no number as its score, but \[0.5\]"),
        ([RESULTS[0] | {"bbox": "[1,2,3,4]"}], "has no list of four numbers as its bbox"),
        (LINES + "\n{", "detection 3 is not valid JSON on one line"),
        (LINES.replace("}\n{", "}{"), "detection 1 is not valid JSON on one line"),
        (LINES.replace("0.25", "null"), "detection 2 has no number as its score"),
        ({"annotations": []}, None),
        ({}, "neither Parquet nor JSON with detections; write COCO results"),
        ({"a": 1}, "neither Parquet nor JSON with detections"),
        ("image_id,x,y\n1,2,3\n", "neither Parquet"),
        ("<html>", "is XML or a web page; write COCO results"),
        (" \n ", "neither Parquet"),
    ],
)  # fmt: skip
def test_what_is_named(tmp_path, content, message):
    path = write(tmp_path / "d.json", content)
    if message is None:
        assert len(read(path)) == 0
        return
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.pkl", pickle.dumps(RESULTS, 2), "is a pickle, which can run any program"),
        ("d.pth", b"PK\x03\x04rest", "is an archive, as torch.save"),
        ("d.json.gz", b"\x1f\x8b\x08rest", "is compressed by gzip: decompress it"),
        ("d.npy", b"\x93NUMPYrest", "is one array of NumPy's"),
        ("d.h5", b"\x89HDF\r\n", "is HDF5"),
        ("d.json", json.dumps(RESULTS).encode("utf-16"), "is text in UTF-16: save it as UTF-8"),
        ("d.csv", b"image_id,x\n1,2\n", "is a table of text; write COCO results"),
        ("d.json", b"", "is empty"),
    ],
)
def test_files_that_are_not_json(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)


def test_right_results_have_no_fault():
    assert [fault_of(result) for result in RESULTS] == ["", ""]


def megadetector(**changes):
    found = [
        {"category": "1", "conf": 0.9, "bbox": [0.5, 0.25, 0.25, 0.5]},
        {"category": "2", "conf": 0.8, "bbox": [0, 0, 1, 1]},
    ]
    return {
        "info": {"format_version": "1.3"},
        "images": [
            {"file": "a/img_1.jpg", "detections": found},
            {"file": "b\\0019.jpg", "detections": None, "failure": "image access"},
            {"file": "b\\0019.jpg", "detections": found[:1]},
        ],
        "detection_categories": {"1": "animal", "2": "person", "3": "vehicle"},
    } | changes


def test_megadetector(tmp_path):
    """Only its animals; its fractions are of the images' sizes."""
    path = write(tmp_path / "d.json", megadetector())
    found = read(path, GENERIC)
    assert found.image_ids.tolist() == [1, 3]
    assert found.boxes.tolist() == [[100, 25, 50, 50], [50, 25, 25, 50]]
    assert found.scores.tolist() == [0.9, 0.9]
    assert found.labels[GENERIC].tolist() == [1, 1]
    with pytest.raises(InputError, match="knows no species; give it as --detections=generic="):
        read(path)


def test_megadetector_s_format_with_species(tmp_path):
    names = {"1": "Corvus corax", "2": "Apis mellifera"}
    found = read(write(tmp_path / "d.json", megadetector(detection_categories=names)))
    assert found.labels[SPECIES].tolist() == [1, 2, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detection_categories": {"1": "animal"}}, "has the category '2', which is not in"),
        ({"detection_categories": [1]}, "its detection_categories are not"),
        ({"images": [{"file": "z.jpg", "detections": [{}]}]}, "image 1 is malformed"),
        ({"images": [{"file": "z.jpg"}, 3]}, "image 2 is malformed"),
        ({"images": [{"file": "z", "detections": [
            {"category": "1", "conf": 1, "bbox": [0, 0, 1, 1]}]}]}, "no image named 'z'"),
        ({"images": [{"file": "0007", "detections": [
            {"category": "1", "conf": 1, "bbox": [0, 0, 50, 50]}]}]}, "not made of fractions"),
    ],
)  # fmt: skip
def test_bad_files_of_megadetector(tmp_path, changes, message):
    path = write(tmp_path / "d.json", megadetector(**changes))
    with pytest.raises(InputError, match=message) as caught:
        read(path, GENERIC)
    assert str(caught.value).startswith(f"{path}")


def yolo(folder, **files):
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def test_lists_of_names_and_hidden_files_among_yolo_s_results_are_skipped(tmp_path):
    folder = yolo(
        tmp_path / "labels",
        **{"a_img_1": "1 .5 .5 .5 .5 .9", "classes": "raven\nbee", "README": "x", "._0007": "\0"},
    )
    (folder / "data.yaml").write_text("names: [raven, bee]")
    assert read(folder).image_ids.tolist() == [1]
    images = [*IMAGES, Image(9, "classes.jpg", 10, 10)]
    with pytest.raises(InputError, match=r"classes\.txt, line 1: has 1 fields"):
        read(folder, images=images)


def test_notes_among_voc_s_results_are_skipped(tmp_path):
    folder = yolo(
        tmp_path / "results", **{"c4_det_t_Corvus corax": "0019 .5 1 1 5 5", "readme": ""}
    )
    assert read(folder).image_ids.tolist() == [3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 .5 .5 .5 .5", "has 5 fields, so no confidence; detect again with save_conf=True"),
        ("0 .1 .1 .3 .1 .3 .4 .1 .4 .9", "has 10 fields, as polygons and key points have"),
        ("0 .5", "has 2 fields; each line must have these 6"),
        ("4 .5 .5 .5 .5 .9", "classes with a true box go from 0 to 1; give the model's own"),
    ],
)
def test_lines_of_yolo_s_that_are_no_detections(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(yolo(tmp_path / "labels", a_img_1=text))


def test_a_name_in_other_letters_is_recognized(tmp_path):
    folder = yolo(tmp_path / "labels", a_img_1="0 .5 .5 .5 .5 .9")
    with pytest.raises(InputError, match="have that name, perhaps 'Corvus corax' is meant"):
        read_detections(folder, SPECIES, TAXONOMY, IMAGES, names=["corvus_corax"])
    with pytest.raises(InputError, match="super-classes, perhaps 'Aves' is meant"):
        read_detections(folder, Granularity.SUPER, TAXONOMY, IMAGES, names=["aves"])
    with pytest.raises(InputError, match="have that name; check"):
        read_detections(folder, SPECIES, TAXONOMY, IMAGES, names=["Corvus"])


def test_corners_subtracted_twice(tmp_path):
    path = write(tmp_path / "d.json", [r | {"bbox": [9, 9, -1, 5]} for r in RESULTS])
    with pytest.raises(InputError, match=r"negative size; 2 detections are like this; .* once"):
        read(path)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_ids_that_floats_cannot_tell_apart(tmp_path, dtype):
    import pyarrow.parquet as pq

    from inatdet.data.formats.detections import DetectionsWriter

    path = tmp_path / "d.parquet"
    with DetectionsWriter(path, SPECIES, TAXONOMY) as writer:
        writer.append(np.ones(2), np.ones(2), np.ones(2), np.ones((2, 4)))
    table = pq.read_table(path)
    assert len(read(path, images=[])) == 2
    pq.write_table(table.set_column(0, "image_id", pa.array(np.array([1, 2], dtype))), path)
    assert read(path, images=[]).image_ids.tolist() == [1, 2]
    if dtype is np.float32:
        large = pa.array(np.array([1, 2**24], dtype))
        pq.write_table(table.set_column(0, "image_id", large), path)
        with pytest.raises(InputError, match="cannot tell ids as large as 16777216 apart"):
            read(path, images=[])
