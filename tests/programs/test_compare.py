"""Tests of the program that tests two models against each other."""

import json
import subprocess
import sys

import pytest

import inatdet
from inatdet.data.granularity import Granularity
from inatdet.errors import InputError
from tests.detection_files import RIGHT, SPECIES, read_csv, write_annotations, write_results


@pytest.fixture
def truth(tmp_path):
    return write_annotations(tmp_path / "val.json")


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "inatdet", "compare", *arguments],
        capture_output=True,
        text=True,
    )


def test_two_models_against_each_other(truth, tmp_path):
    first = write_results(tmp_path / "first.json", SPECIES[:2])
    second = write_results(tmp_path / "second.json", SPECIES)
    ended = command(
        f"--annotations={truth}", f"species={first}", f"species={second}",
        f"--output_dir={tmp_path}/r", "--resamples=40",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    rows = {row["measure"]: row for row in read_csv(tmp_path / "r" / "comparison.csv")}
    # Corvus is found by both, Apis by the second, Pica by neither.
    assert float(rows["AP"]["first"]) == pytest.approx(100 / 3)
    assert float(rows["AP"]["second"]) == pytest.approx(200 / 3)
    assert float(rows["AP"]["difference"]) == pytest.approx(100 / 3)
    assert 0 <= float(rows["AP"]["p_value"]) <= 1
    assert "40 random halves" in ended.stdout
    record = json.loads((tmp_path / "r" / "comparison.json").read_text())
    assert record["protocol"]["evaluated on"] == "species, merge none, 3 images"
    assert record["command"].startswith("inatdet compare --annotations=")
    assert [d["path"] for d in record["detections"]] == [first, second]


def compared(truth, *sides, **options):
    annotations = inatdet.read_annotations(truth)
    found = [inatdet.read_detections(path, annotations, granularity=g) for g, path in sides]
    return inatdet.compare(annotations, *found, **options)


def test_models_of_two_granularities_meet_at_the_coarser(truth, tmp_path):
    species = write_results(tmp_path / "species.json", SPECIES)
    coarse = write_results(tmp_path / "super.json", [(1, 2, RIGHT, 0.9)])
    found = compared(truth, ("super", coarse), ("species", species), resamples=20).results
    assert found.evaluated_on is Granularity.SUPER
    aves = 100 * 51 / 101  # one of two birds
    assert found.rows[0].first == pytest.approx(aves / 2)
    assert found.rows[0].second == pytest.approx(100)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["species=a"], "compare takes two sets of detections, not 1"),
        (["species=a", "b"], "error: b: must be species=PATH"),
        (["species=a", "species=b", "stray"], "unexpected argument 'stray'"),
    ],
)
def test_bad_ways_to_call(truth, tmp_path, arguments, message):
    ended = command(f"--annotations={truth}", f"--output_dir={tmp_path}/r", *arguments)
    assert ended.returncode == 2
    assert message in ended.stderr.splitlines()[-1]


def test_a_test_needs_two_images(tmp_path):
    box = {"id": 1, "image_id": 1, "category_id": 5, "bbox": RIGHT, "iscrowd": 0}
    truth = write_annotations(tmp_path / "val.json", annotations=[box])
    found = write_results(tmp_path / "species.json", SPECIES[:1])
    with pytest.raises(InputError, match="has one image to evaluate"):
        compared(truth, ("species", found), ("species", found))
