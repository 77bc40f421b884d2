"""Which files have bare numbers for their classes, so that an order of labels must be assumed."""

import json

import pytest

import inatdet
from tests.foreign import FOREIGN, SUPER_CATEGORIES

NAMES = ["Corvus corax", "Apis mellifera", "Pica pica"]


@pytest.fixture
def truth(tmp_path):
    path = tmp_path / "super.json"
    path.write_text(json.dumps(SUPER_CATEGORIES))
    return inatdet.read_annotations(FOREIGN / "lvis.json", super_categories=path)


@pytest.mark.parametrize(
    ("file", "names", "numbered"),
    [
        ("lvis_results.json", None, False),  # category ids
        ("yolo_results/labels", None, True),
        ("yolo_results/labels", NAMES, False),
        ("voc_results", None, False),
    ],
)
def test_species(truth, file, names, numbered):
    found = inatdet.read_detections(FOREIGN / file, truth, granularity="species", names=names)
    assert found.numbered is numbered


def test_super_classes(truth, tmp_path):
    found = inatdet.read_detections(FOREIGN / "voc_results", truth, granularity="species")
    for name, numbered in (("x.json", True), ("x.parquet", False)):
        inatdet.write_detections(found, tmp_path / name, "super")
        again = inatdet.read_detections(tmp_path / name, truth, granularity="super")
        assert again.numbered is numbered
