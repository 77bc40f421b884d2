"""Likely errors of annotations in every form of the report, and in the file for FiftyOne."""

import io
import json

import numpy as np
import pytest
from PIL import Image as PILImage

import inatdet
from inatdet.report import gallery, label_pictures
from inatdet.report.label_pictures import ANNOTATED, NAMED
from tests.detection_files import read_csv
from tests.evaluation import scenes

HERE, BESIDE, THERE = [10, 20, 40, 40], [30, 20, 40, 40], [70, 70, 20, 20]
# Every species has two boxes, so that there is a usual score; 40 and 7 are birds, 0 and 3 insects.
BOXES = [(0, 40), (1, 40), (2, 7), (3, 7), (4, 40), (5, 40), (6, 7)]
FOUND = [
    *((image, 40, 0.8, HERE) for image in (0, 1)),
    *((image, 7, 0.6, HERE) for image in (2, 3)),
    (0, 7, 0.01, THERE),
    (4, 7, 0.7, HERE),  # image 4 is likely of 7
    (4, 40, 0.1, HERE),
    (5, 7, 0.9, HERE),  # and so is image 5, of which nothing says 40
    (6, 7, 0.95, BESIDE),  # image 6 is likely misplaced,
    (6, 40, 0.99, THERE),  # and has a box too few
]
NAMES = ["likely_wrong_labels", "likely_misplaced_boxes", "likely_missing_boxes"]

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def truth():
    return scenes.annotations_of(range(7), [(i, c, HERE) for i, c in BOXES])


@pytest.fixture
def images_dir(tmp_path, truth):
    folder = tmp_path / "images"
    folder.mkdir()
    for image in truth.images:
        # Twice as large as the annotations say: boxes are scaled to what is there.
        PILImage.new("RGB", (200, 200), "gray").save(folder / image.file_name, quality=95)
    return folder


def report_of(truth, rows=FOUND, **options):
    found = scenes.detections_of(*zip(*rows), truth.taxonomy)
    return inatdet.evaluate(truth, found, errors=False, **options)


def test_every_form_of_the_report_has_the_lists(truth, tmp_path):
    report = report_of(truth)
    report.save(tmp_path)
    wrong, misplaced, missing = (read_csv(tmp_path / f"{name}.csv") for name in NAMES)
    # Without a label at all comes before with a low score.
    assert [(row["image"], row["annotated"], row["named"]) for row in wrong] == [
        ("5", "a", "c"),
        ("4", "a", "c"),
    ]
    usual = (0.8 + 0.8 + 0.1 + 0) / 4
    assert [float(row["doubt"]) for row in wrong] == [100, pytest.approx(100 * (1 - 0.1 / usual))]
    first = {name: wrong[0][name] for name in ("file_name", "annotation", "level", "shared_level")}
    assert first == {
        "file_name": "5.jpg",
        "annotation": "6",
        "level": "species",
        "shared_level": "super",
    }
    assert [wrong[0][side] for side in ("x", "y", "width", "height")] == ["10.0", "20.0", "40.0",
                                                                         "40.0"]  # fmt: skip
    assert [(row["annotation"], row["found_x"]) for row in misplaced] == [("7", "30.0")]
    assert [(row["image"], row["named"], row["x"]) for row in missing] == [("6", "a", "70.0")]
    text = (tmp_path / "report.md").read_text()
    assert "**The species model gives 2 of 7 boxes another label.**" in text
    assert "| 5 | 6 | a | c | 100.0 | 0.90 | 0.00 | 1.00 | super |" in text
    assert "**The species model finds 1 of 7 animals beside their boxes.**" in text
    assert "**The species model finds 1 animal where no box is near.**" in text
    page = (tmp_path / "report.html").read_text()
    assert all(f'<h2 id="{name}">' in page for name in NAMES)
    record = json.loads((tmp_path / "report.json").read_text())["results"]["label_errors"]
    assert record["found"] == [2, 1, 1]
    assert record["labels"][0]["image"]["file_name"] == "5.jpg"


def test_lists_for_python(truth):
    report = report_of(truth)
    assert report.likely_wrong_labels["6"].named == "c"
    assert report.likely_misplaced_boxes["7"].found == tuple(BESIDE)
    assert [row.score for row in report.likely_missing_boxes.records] == [0.99]
    assert report.results.label_errors.level is inatdet.Granularity("species")


def test_of_several_models_the_finest_one_is_asked(truth):
    found = scenes.detections_of(*zip(*FOUND), truth.taxonomy)
    boxes, ids = np.array([HERE] * 7), range(7)
    coarse = inatdet.Detections.from_arrays(
        ids, [1] * 7, [0.9] * 7, boxes, "super", taxonomy=truth.taxonomy
    )
    both = inatdet.evaluate(truth, [coarse, found], errors=False).results.label_errors
    assert both == report_of(truth).results.label_errors
    alone = inatdet.evaluate(truth, coarse, errors=False).results.label_errors
    assert (alone.level, alone.boxes, alone.found) == ("super", 7, (0, 0, 0))


def test_lists_may_be_short_or_left_out(truth, tmp_path):
    short = report_of(truth, label_errors=1)
    assert len(short.likely_wrong_labels) == 1
    assert "another label. The file lists the first 1." in short.markdown()
    assert "beside their boxes. The" not in short.markdown()
    without = report_of(truth, label_errors=0)
    assert without.results.label_errors is None
    assert not {section.name for section, _ in without.filled} & set(NAMES)
    without.save(tmp_path, fiftyone=True)
    assert not (tmp_path / "fiftyone.json").exists()


def color_at(picture, x, y):
    pixels = np.asarray(PILImage.open(io.BytesIO(picture.jpeg)), int)
    return pixels[y - 1 : y + 2, x].mean(axis=0)


def rgb(code):
    return [int(code[i : i + 2], 16) for i in (1, 3, 5)]


def test_pictures_of_wrong_labels(truth, images_dir, tmp_path):
    rows = [(5, 7, 0.9, [14, 24, 40, 40]) if row[0] == 5 else row for row in FOUND]
    report = report_of(truth, rows, images_dir=images_dir)
    assert [picture.row.box_id for picture in report.label_gallery] == [6, 5]
    picture = report.label_gallery[0]
    # The left edges, at twice their place: the true box at 10, the detection at 14.
    assert color_at(picture, 21, 90) == pytest.approx(rgb(ANNOTATED), abs=40)
    assert color_at(picture, 29, 90) == pytest.approx(rgb(NAMED), abs=40)
    # What was annotated stands on the lower edge, so that neither caption hides the other.
    assert color_at(picture, 23, 130) == pytest.approx(rgb(ANNOTATED), abs=40)
    report.save(tmp_path / "report")
    page = (tmp_path / "report/report.html").read_text()
    assert "<bdi>a</bdi>, or <bdi>c</bdi> (0.90)? Shared level: super. Image 5" in page
    assert report_of(truth, rows).label_gallery == ()


def test_pictures_that_cannot_be_drawn(truth, images_dir, monkeypatch):
    (images_dir / "5.jpg").write_bytes(b"no picture")
    # The gallery, which comes first, does not show image 5.
    monkeypatch.setattr("inatdet.report.report.PICTURES", 1)
    rows = [row for row in FOUND if row[0] != 6]
    rows = [(i, c, 0.99 if (i, c) == (4, 7) else s, b) for i, c, s, b in rows]
    told = []
    for strict in (False, True):
        report = report_of(truth, rows, images_dir=images_dir, notify=told.append, strict=strict)
        assert [picture.row.image.id for picture in report.label_gallery] == [4]
        (warning,) = report.warnings
        assert warning.message.startswith("1 picture could not be drawn: ")
        assert f"warning: {warning}" in told
    unreadable = {str(i): "" for i in range(gallery.MOST_UNREADABLE)}
    rows = report.results.label_errors.labels
    assert label_pictures.label_pictures(rows, images_dir, 9, unreadable) == ()


def test_the_file_for_fiftyone(truth, tmp_path):
    report_of(truth).save(tmp_path, fiftyone=True)
    content = json.loads((tmp_path / "fiftyone.json").read_text())
    assert (content["name"], content["media_type"]) == ("inatdet species labels", "image")
    samples = {sample["filepath"]: sample for sample in content["samples"]}
    assert list(samples) == ["5.jpg", "4.jpg", "6.jpg"]
    sample = samples["5.jpg"]
    assert (sample["image_id"], sample["doubt"]) == (5, 100)
    assert sample["tags"] == ["likely wrong label"]
    assert sample["metadata"] == {"_cls": "ImageMetadata", "width": 100, "height": 100}
    assert sample["ground_truth"] == {
        "_cls": "Detections",
        "detections": [
            {"_cls": "Detection", "label": "a", "bounding_box": [0.1, 0.2, 0.4, 0.4],
             "annotation_id": 6, "iscrowd": False, "tags": ["likely wrong label"], "doubt": 100,
             "named": "c", "shared_level": "super"}
        ],
    }  # fmt: skip
    assert sample["predictions"]["detections"] == [
        {"_cls": "Detection", "label": "c", "bounding_box": [0.1, 0.2, 0.4, 0.4],
         "confidence": 0.9, "tags": ["likely wrong label"]}
    ]  # fmt: skip
    # Those in the lists first, then the best of the others.
    tags = [box["tags"] for box in samples["4.jpg"]["predictions"]["detections"]]
    assert tags == [["likely wrong label"], []]
    sample = samples["6.jpg"]
    assert sample["tags"] == ["likely misplaced box", "likely missing box"]
    assert [box["tags"] for box in sample["ground_truth"]["detections"]] == [
        ["likely misplaced box"]
    ]
    assert {box["label"]: box["tags"] for box in sample["predictions"]["detections"]} == {
        "c": ["likely misplaced box"],
        "a": ["likely missing box"],
    }
    # Every field that FiftyOne does not have by itself is declared.
    declared = set(content["sample_fields"])
    assert {"image_id", "doubt", "ground_truth.detections.annotation_id"} <= declared
    # The next report without it does not leave it there.
    report_of(truth).save(tmp_path)
    assert not (tmp_path / "fiftyone.json").exists()


def test_fiftyone_gets_the_best_detections_and_every_box(tmp_path):
    """Crowds, boxes without a label, and more detections than are written."""
    rows = [*((i, c, HERE) for i, c in BOXES), (7, 40, HERE), (7, 3, THERE), (7, 0, HERE, True)]
    truth = scenes.annotations_of(range(8), rows)
    known = inatdet.Taxonomy.from_categories(truth.categories, [40, 7, 0])
    truth = truth.with_taxonomy(known)
    found = [*FOUND, (7, 7, 0.65, HERE), *((7, 7, 0.5 + i / 1000, THERE) for i in range(30))]
    found = [(i, c, s, b) for i, c, s, b in found if i == 7 or i < 4]
    report = report_of(truth, found, all_images=True)
    report.save(tmp_path, fiftyone=True)
    samples = json.loads((tmp_path / "fiftyone.json").read_text())["samples"]
    (sample,) = (sample for sample in samples if sample["image_id"] == 7)
    boxes = sample["ground_truth"]["detections"]
    assert [(box["label"], box["iscrowd"]) for box in boxes] == [
        ("a", False), ("d", False), ("b", True),
    ]  # fmt: skip
    scores = [box["confidence"] for box in sample["predictions"]["detections"]]
    assert scores == [0.65, *(0.5 + i / 1000 for i in range(29, 20, -1))]
