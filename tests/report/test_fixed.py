"""AP-Fixed and AP-Pool in a report: asked for, they are in all of its forms."""

import json
import os

import pytest

import inatdet
from inatdet.evaluation.resampling import Estimate
from tests.detection_files import RIGHT, SPECIES, read_csv, write_annotations, write_results

# The bird of image 1 is also called Pica, with more confidence than the Pica of image 3.
ROWS = [*SPECIES, (3, 9, RIGHT, 0.7)]


@pytest.fixture
def truth(tmp_path):
    return inatdet.read_annotations(write_annotations(tmp_path / "val.json"))


@pytest.fixture
def found(truth, tmp_path):
    path = write_results(tmp_path / "species.json", ROWS)
    return inatdet.read_detections(path, truth, granularity="species")


@pytest.mark.usefixtures("undrawn")
def test_every_form_has_them(truth, found, tmp_path):
    report = inatdet.evaluate(truth, found, most_per_class=10_000, resamples=8)
    row = report.fixed["species", "species", "none"]
    assert isinstance(row.AP_pool, Estimate)
    # Corvus and Apis are found, and Pica after a wrong one.
    assert row.AP_fixed == pytest.approx(100 * (1 + 1 + 1 / 2) / 3)
    assert row.AP_fixed == pytest.approx(row.AP)
    # One ranking: right twice with .9, wrong with .8, right with .7. Detections without a species
    # label are left out, as is the image with two boxes.
    assert row.AP_pool == pytest.approx((67 + 34 * 3 / 4) / 1.01)
    assert (row.detections, row.per_class, row.full_classes) == (4, 1, 0)
    assert len(report.fixed) == len(report.table6)
    generic = report.fixed["species", "generic", "nms"]
    assert generic.AP_pool == pytest.approx(generic.AP_fixed)
    assert generic.AP_fixed == pytest.approx(generic.AP)
    assert report.fixed.columns[-1] == "full_classes"
    assert "AP-Fixed and AP-Pool: without a limit per image (percent)" in str(report)
    report.save(tmp_path / "report")
    files = read_csv(tmp_path / "report/fixed.csv")
    assert [float(line["AP_pool"]) for line in files] == [r.AP_pool for r in report.fixed.records]
    intervals = read_csv(tmp_path / "report/intervals.csv")
    assert {line["measure"] for line in intervals if line["table"] == "fixed"} == {
        "AP_fixed", "AP50_fixed", "AP_pool", "AP50_pool",
    }  # fmt: skip
    protocol = dict(report.protocol())
    assert protocol["AP-Fixed and AP-Pool"].startswith("the 10,000 best detections of each species")
    text = (tmp_path / "report/report.md").read_text()
    assert "## AP-Fixed and AP-Pool: without a limit per image" in text
    assert 'id="fixed"' in (tmp_path / "report/report.html").read_text()
    results = json.loads((tmp_path / "report/report.json").read_text())["results"]
    assert results["most_per_class"] == 10_000
    assert results["fixed"][0]["full_classes"] == 0


@pytest.mark.usefixtures("undrawn")
def test_who_does_not_ask_gets_neither(truth, found, tmp_path):
    report = inatdet.evaluate(truth, found)
    assert not report.fixed.rows
    assert "AP-Fixed and AP-Pool" not in dict(report.protocol())
    report.save(tmp_path / "report")
    assert "fixed.csv" not in os.listdir(tmp_path / "report")
    assert "AP-Fixed" not in (tmp_path / "report/report.md").read_text()


def test_merging_keeps_more_of_an_image_than_coco_counts(tmp_path):
    """120 birds of which none overlaps another, and only the last is right."""
    truth = inatdet.read_annotations(write_annotations(tmp_path / "val.json"))
    boxes = [[x, y, 4, 4] for x in range(0, 96, 5) for y in range(50, 75, 4)][:120]
    rows = [(1, 5 if n % 2 else 9, box, 0.9 - n / 1000) for n, box in enumerate(boxes)]
    path = write_results(tmp_path / "many.json", [*rows, (1, 5, RIGHT, 0.1)])
    found = inatdet.read_detections(path, truth, granularity="species")
    report = inatdet.evaluate(truth, found, most_per_class=1000)
    plain = inatdet.evaluate(truth, found)
    assert str(plain.table6) == str(report.table6), "Table 6 does not change"
    row = report.fixed["species", "generic", "nms"]
    assert row.detections == 121
    assert row.AP == 0
    assert row.AP_fixed == pytest.approx(100 / 121 * 34 / 101)
