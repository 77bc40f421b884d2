"""Tests of reading other programs' detections, on files that they wrote (tests/foreign)."""

import json

import numpy as np
import pytest

import inatdet
from inatdet.data.formats.annotations import Options, read_annotations
from inatdet.data.formats.coco import write_coco_annotations
from inatdet.data.formats.detections import read_detections
from inatdet.data.formats.voc import Corners
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from tests.foreign import FOREIGN, SUPER_CATEGORIES

NAMES = ["Corvus corax", "Apis mellifera", "Pica pica"]
# What the detector found: image, name, score, edges.
FOUND = [
    ("a", "Corvus corax", 0.9, (10.25, 20.5, 70, 80.125)),
    ("a", "Corvus corax", 0.25, (1, 2, 31.5, 40)),
    ("a", "Pica pica", 0.5, (1, 2, 31.5, 40)),
    ("b", "Apis mellifera", 0.8, (4.4, 51.1, 63.3, 99.9)),
]


@pytest.fixture
def truth(tmp_path):
    """LVIS' annotations as ours, in which the three categories are 1, 2, 3."""
    (tmp_path / "super.json").write_text(json.dumps(SUPER_CATEGORIES))
    options = Options(super_categories_path=str(tmp_path / "super.json"))
    return read_annotations(FOREIGN / "lvis.json", options)


@pytest.mark.parametrize(
    ("kind", "tolerance"),
    # Six digits of a fraction; one digit of a pixel; all digits.
    [("yolo_results/labels", 1e-3), ("voc_results", 0.1), ("lvis_results.json", 1e-12)],
)
def test_real_files(truth, kind, tolerance):
    taxonomy = truth.taxonomy
    found = read_detections(
        FOREIGN / kind, Granularity.SPECIES, taxonomy, truth.images, names=NAMES
    )
    stem_of = {image.id: image.file_name[-5:-4] for image in truth.images}
    rows = sorted(
        (stem_of[i], taxonomy.species[label - 1].name, round(score, 3), box)
        for i, label, score, box in zip(
            found.image_ids.tolist(),
            found.labels[Granularity.SPECIES].tolist(),
            found.scores.tolist(),
            found.boxes.tolist(),
        )
    )
    assert [row[:3] for row in rows] == [row[:3] for row in sorted(FOUND)]
    edges = np.array([edges for *_, edges in sorted(FOUND)])
    boxes = np.concatenate([edges[:, :2], edges[:, 2:] - edges[:, :2]], axis=1)
    np.testing.assert_allclose([row[3] for row in rows], boxes, atol=tolerance)
    expected = [1 if name == "Apis mellifera" else 2 for _, name, *_ in FOUND]  # Insecta, Aves
    assert sorted(found.labels[Granularity.SUPER].tolist()) == sorted(expected)


def test_yolo_classes_are_labels_by_default(truth):
    path = FOREIGN / "yolo_results" / "labels"
    taxonomy = truth.taxonomy
    found = read_detections(path, Granularity.SPECIES, taxonomy, truth.images)
    assert found.labels[Granularity.SPECIES].tolist() == [1, 3, 1, 2]
    with pytest.raises(InputError, match="line 2: has the class 2, but classes with a true box go"):
        read_detections(path, Granularity.SUPER, taxonomy, truth.images)
    swapped = [NAMES[1], NAMES[0], NAMES[2]]
    found = read_detections(path, Granularity.SPECIES, taxonomy, truth.images, names=swapped)
    assert found.labels[Granularity.SPECIES].tolist() == [2, 3, 2, 1]
    with pytest.raises(InputError, match="has detections of 'x', but none of"):
        read_detections(path, Granularity.SPECIES, taxonomy, truth.images, names=["x", "y", "z"])


@pytest.mark.parametrize("kind", ["lvis_results.json", "yolo_results/labels", "voc_results"])
def test_the_measures_are_those_of_lvis(truth, tmp_path, kind):
    """Its own evaluation says AP 0.933, AP50 1, AP75 1, AR 0.933 (tests/foreign/README.md)."""
    annotations = tmp_path / "truth.json"
    write_coco_annotations(annotations, truth, truth.taxonomy)
    written = inatdet.read_annotations(annotations)
    names = FOREIGN / "yolo_labels" / "data.yaml"
    found = inatdet.read_detections(FOREIGN / kind, written, granularity="species", names=names)
    report = inatdet.evaluate(written, found, all_images=True, errors=False)
    values = report.results.table6[0].values
    np.testing.assert_allclose([values[i] for i in (0, 1, 2, 4)], [93.3, 100, 100, 93.3], atol=0.05)


def test_voc_results_of_super_classes(truth, tmp_path):
    with pytest.raises(InputError, match="has detections of 'Apis mellifera'"):
        read_detections(FOREIGN / "voc_results", Granularity.SUPER, truth.taxonomy, truth.images)
    (tmp_path / "comp4_0af-1_det_val_Aves.txt").write_text("a 0.5 1 1 1 1\n")
    (tmp_path / "comp4_0af-1_det_val_Insecta.txt").write_text("")
    taxonomy = truth.taxonomy
    found = read_detections(tmp_path, Granularity.SUPER, taxonomy, truth.images)
    assert found.labels[Granularity.SUPER].tolist() == [2]
    assert found.boxes.tolist() == [[0, 0, 1, 1]]
    found = read_detections(tmp_path, Granularity.GENERIC, taxonomy, truth.images)
    assert found.labels[Granularity.GENERIC].tolist() == [1]
    found = read_detections(
        tmp_path, Granularity.SUPER, taxonomy, truth.images, corners=Corners.EDGES
    )
    assert found.boxes.tolist() == [[1, 1, 0, 0]]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.txt",
            "0 .5 .5 .5 .5",
            r"a\.txt, line 1: has 5 fields, so no confidence",
        ),
        ("a.txt", "0 .5 .5 .5 .5 .9\n\n0 .5 .5 .5 .5 x", r"a\.txt, line 3: has 'x'"),
        ("a.txt", "0 .5 .5 .5 .5 1e999", "has '1e999' instead of a finite number"),
        ("a.txt", "0 50 50 10 10 .5", "not made of fractions"),
        ("a.txt", b"\xff 1 1 1 1 1", "line 1: has"),
        ("z.txt", "0 .5 .5 .5 .5 .9", r"z\.txt: the annotations have no image named 'z'"),
        ("c4_det_t_Pica pica.txt", "a .5 1 1 5", "has 5 fields; .* image score xmin ymin xmax"),
        ("c4_det_t_Pica pica.txt", "a .5 9 1 5 5", "line 1: has the corners .* in reverse"),
        ("c4_det_t_Pica pica.txt", "z .5 1 1 5 5", "no image named 'z'"),
        ("c4_det_t_Pica pica.txt", "a high 1 1 5 5", "has 'high'"),
        ("c4_det_t_Pika.txt", "a .5 1 1 5 5", "has detections of 'Pika', but none of"),
    ],
)
def test_bad_text_files(truth, tmp_path, name, text, message):
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message) as caught:
        read_detections(folder, Granularity.SPECIES, truth.taxonomy, truth.images)
    assert str(folder) in str(caught.value)


def test_unclear_kinds(truth, tmp_path):
    def read(path):
        read_detections(path, Granularity.SPECIES, truth.taxonomy, truth.images)

    (tmp_path / "comp3_det_val_Pica pica.txt").write_text("")
    (tmp_path / "comp3_det_test_Pica pica.txt").write_text("")
    with pytest.raises(InputError, match="has two files of 'Pica pica', comp3_det_test"):
        read(tmp_path)
    (tmp_path / "run" / "labels").mkdir(parents=True)
    with pytest.raises(InputError, match=r"has no .txt files .*perhaps it is .*labels"):
        read(tmp_path / "run")
    with pytest.raises(InputError, match="give the folder"):
        read(FOREIGN / "yolo_results" / "labels" / "a.txt")
    with pytest.raises(InputError, match="has no score: these are annotations"):
        read(FOREIGN / "lvis.json")
