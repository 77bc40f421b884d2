"""Warnings reach every form of a report, and with `strict` none is written."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import inatdet
from tests.detection_files import RIGHT, SPECIES, write_annotations, write_results

# Percentages instead of probabilities.
PERCENT = [(image, category, box, 100 * score) for image, category, box, score in SPECIES]


@pytest.fixture
def truth_path(tmp_path):
    return write_annotations(tmp_path / "val.json")


@pytest.fixture
def found_path(tmp_path):
    return write_results(tmp_path / "percent.json", PERCENT)


def inatdet_program(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "inatdet", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("undrawn")
def test_every_form_of_a_report_has_them(truth_path, found_path, tmp_path):
    truth = inatdet.read_annotations(truth_path)
    found = inatdet.read_detections(found_path, truth, granularity="species")
    told = []
    report = inatdet.evaluate(truth, [found], notify=told.append)
    (warning,) = report.warnings
    assert warning.kind == "scores"
    assert "scores range from 80 to 90" in warning.message
    assert told[0] == f"warning: {warning}", "before anything that takes long"
    report.save(tmp_path / "report")
    record = json.loads((tmp_path / "report/report.json").read_text())
    assert record["warnings"] == [{"kind": "scores", "message": warning.message}]
    assert f"## Warnings\n\n- {warning}\n" in (tmp_path / "report/report.md").read_text()
    assert f"<li>{warning}</li>" in (tmp_path / "report/report.html").read_text()


@pytest.mark.usefixtures("undrawn")
def test_without_any_a_report_does_not_mention_them(truth_path, tmp_path):
    truth = inatdet.read_annotations(truth_path)
    path = write_results(tmp_path / "right.json", SPECIES)
    report = inatdet.evaluate(truth, inatdet.read_detections(path, truth, granularity="species"))
    assert report.warnings == ()
    report.save(tmp_path / "report")
    assert json.loads((tmp_path / "report/report.json").read_text())["warnings"] == []
    assert "Warnings" not in (tmp_path / "report/report.md").read_text()
    assert "<li>" not in (tmp_path / "report/report.html").read_text()


def test_strict_refuses_from_python(truth_path, found_path):
    truth = inatdet.read_annotations(truth_path)
    found = inatdet.read_detections(found_path, truth, granularity="species")
    with pytest.raises(inatdet.InputError, match=r"scores range from 80 to 90 .* without --strict"):
        inatdet.evaluate(truth, [found], strict=True)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("program", "given", "written"),
    [
        ("evaluate", ["--detections=species={found}", "--output_dir={out}"], "report.json"),
        ("compare", ["species={found}", "species={other}", "--output_dir={out}"],
         "comparison.json"),
        ("gallery", ["--detections=species={found}", "--images_dir={images}",
                     "--choose=best", "--output_dir={out}"], "best-001-1.jpg"),
        ("convert", ["--detections=species={found}", "--output={out}/x.parquet"], "x.parquet"),
    ],
)  # fmt: skip
def test_the_programs_say_them(truth_path, found_path, tmp_path, program, given, written, strict):
    out = tmp_path / "out"
    other = write_results(tmp_path / "right.json", SPECIES)
    Image.new("RGB", (100, 80)).save(tmp_path / "1.jpg")
    Image.new("RGB", (100, 80)).save(tmp_path / "2.jpg")
    arguments = [
        text.format(found=found_path, other=other, out=out, images=tmp_path) for text in given
    ]
    ended = inatdet_program(
        program, f"--annotations={truth_path}", *arguments, *(["--strict"] if strict else [])
    )
    assert "scores range from 80 to 90" in ended.stderr
    assert ended.returncode == (2 if strict else 0), ended.stderr
    assert (out / written).exists() is not strict
    assert out.exists() is not strict, "no empty folder stays"
    if not strict:
        assert ended.stderr.count("warning: ") == 1
        listed = program in ("evaluate", "compare")
        assert ended.stderr.endswith("; see its 1 warning\n") is listed


def test_two_files_of_one_model(truth_path, tmp_path):
    truth = inatdet.read_annotations(truth_path)
    first = write_results(tmp_path / "first.json", SPECIES)
    second = write_results(tmp_path / "second.json", SPECIES)
    found = [inatdet.read_detections(p, truth, granularity="species") for p in (first, second)]
    (warning,) = inatdet.compare(truth, *found, resamples=2).warnings
    assert warning.kind == "models"
    assert warning.message.startswith(f"{second}: has the same boxes and scores as {first}")
    third = write_results(tmp_path / "third.json", [(1, 5, RIGHT, 0.9), (2, 0, RIGHT, 0.8)])
    other = inatdet.read_detections(third, truth, granularity="species")
    assert inatdet.compare(truth, found[0], other, resamples=2).warnings == ()


def test_two_files_of_one_model_in_another_order_and_precision(truth_path, tmp_path):
    truth = inatdet.read_annotations(truth_path)
    rows = [(i, c, [x + 1 / 3 for x in box], s / 3) for i, c, box, s in SPECIES if c != 3]
    first = write_results(tmp_path / "first.json", rows)
    found = inatdet.read_detections(first, truth, granularity="species")
    inatdet.write_detections(
        found.select(np.arange(len(found))[::-1]), tmp_path / "second.parquet", "species"
    )
    other = inatdet.read_detections(tmp_path / "second.parquet", truth)
    (warning,) = inatdet.compare(truth, found, other, resamples=2).warnings
    assert warning.kind == "models"
    moved = dataclasses.replace(other, boxes=other.boxes + [1, 0, 0, 0])
    assert inatdet.compare(truth, found, moved, resamples=2).warnings == ()


@pytest.mark.parametrize(
    ("all_images", "line"),
    [
        (False, "images: 3 of 5, those with exactly one box; left out: 1 without a box, 1 with"),
        (True, "images: all 5, with 5 boxes"),
    ],
)
def test_how_many_images_are_evaluated_is_told(truth_path, tmp_path, all_images, line):
    truth = inatdet.read_annotations(truth_path)
    path = write_results(tmp_path / "right.json", SPECIES)
    found = inatdet.read_detections(path, truth, granularity="species")
    for call in (
        lambda notify: inatdet.evaluate(truth, found, all_images=all_images, notify=notify),
        lambda notify: inatdet.compare(
            truth, found, found, all_images=all_images, resamples=2, notify=notify
        ),
    ):
        told = []
        call(told.append)
        assert any(text.startswith(line) for text in told)
