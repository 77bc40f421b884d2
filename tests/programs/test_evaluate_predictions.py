"""Tests of the programs that evaluate predictions and test classifiers against each other."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import inatdet
from inatdet.errors import InputError
from inatdet.programs.predictions import (
    Source,
    paths_of_labels,
    read_predictions_of,
    sources_of,
    two_models,
)
from tests.detection_files import read_csv, write_results
from tests.prediction_files import labels_of, predictions_of, write_labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Labels of two splits whose image ids are the same, and files of two models."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    val, test = labels_of(rng.integers(0, 12, 40)), labels_of(rng.integers(0, 12, 30))
    write_labels(folder / "val.json", val)
    write_labels(folder / "test.json", test, boxes=False)
    inatdet.write_predictions(predictions_of(rng, val), folder / "a.parquet")
    inatdet.write_predictions(predictions_of(rng, test), folder / "a_test.parquet")
    ids = val.category_ids.tolist()
    rows = [f"{image.id},{ids[n]} 0 3" for n, image in enumerate(val.images) if ids[n] > 3]
    (folder / "b.csv").write_text("id,predicted\n" + "\n".join(rows) + "\n")
    box = [5, 5, 20, 20]
    found = [(image.id, ids[n], box, 0.9) for n, image in enumerate(val.images)]
    write_results(folder / "found.json", found)
    return folder


def run(program, folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "inatdet", program, *arguments],
        capture_output=True, text=True, cwd=folder, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip


def test_detections_and_predictions_in_one_call(folder, tmp_path):
    ended = run(
        "evaluate", folder, "--annotations=val.json", "--detections=species=found.json",
        "--predictions=net=a.parquet", f"--output_dir={tmp_path}", "--train_labels=val.json",
        "--genus_from_names", "--label_errors=0", "--noerrors",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    names = {path.name for path in tmp_path.iterdir()}
    assert {
        "report.html",
        "classification.html",
        "table3.csv",
        "table5.csv",
        "figure5.png",
    } <= names
    assert '<a href="classification.html">' in (tmp_path / "report.html").read_text()
    assert '<a href="report.html">' in (tmp_path / "classification.html").read_text()
    assert "Table 5" in ended.stdout
    assert "Table 3" in ended.stdout
    assert ended.stderr.splitlines()[-1].startswith(f"the reports are in {tmp_path}")
    record = json.loads((tmp_path / "classification.json").read_text())
    assert record["command"].startswith("inatdet evaluate --annotations=val.json")
    assert record["labels"][0]["split"] == "val"
    assert len(record["labels"][0]["sha256"]) == len(record["predictions"][0]["sha256"]) == 64


def test_two_models_on_splits_with_the_same_image_ids(folder, tmp_path):
    ended = run(
        "evaluate", folder, "--labels=val=val.json", "--labels=public_test=test.json",
        "--predictions=net=a.parquet", "--predictions=net@public_test=a_test.parquet",
        "--predictions=kaggle@val=b.csv", f"--output_dir={tmp_path}", "--resamples=5", "--latex",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    rows = {(row["model"], row["split"]): row for row in read_csv(tmp_path / "table3.csv")}
    assert set(rows) == {("net", "val"), ("kaggle", "val"), ("net", "public_test")}
    assert rows["net", "public_test"]["images"] == "30"
    assert "b.csv" in ended.stderr
    assert "have no prediction and count as wrong" in ended.stderr
    assert (tmp_path / "table3_paper.tex").exists()
    assert not (tmp_path / "report.html").exists()


def test_two_classifiers_tested_against_each_other(folder, tmp_path):
    ended = run(
        "compare", folder, "--labels=val.json", "net=a.parquet", "kaggle=b.csv",
        f"--output_dir={tmp_path}", "--resamples=20",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    rows = {row["measure"]: row for row in read_csv(tmp_path / "comparison.csv")}
    assert set(rows) == {"top1", "top3", "class_top1"}
    assert float(rows["top1"]["difference"]) == pytest.approx(
        float(rows["top1"]["second_value"]) - float(rows["top1"]["first_value"])
    )
    assert "20 random halves" in ended.stdout
    record = json.loads((tmp_path / "comparison.json").read_text())
    assert record["protocol"]["evaluated on"] == "species, 40 images"
    assert [one["model"] for one in record["predictions"]] == ["net", "kaggle"]


@pytest.mark.parametrize(
    ("program", "arguments", "message"),
    [
        (
            "evaluate",
            ["--labels=val.json", "--predictions=net=found.json"],
            "found.json: is JSON, as detections are, which are given as --detections",
        ),
        ("compare", ["species=a", "super=b"], "the ground truth is missing; give --annotations"),
    ],
)
def test_bad_input_ends_with_one_sentence_and_code_2(folder, tmp_path, program, arguments, message):
    ended = run(program, folder, *arguments, f"--output_dir={tmp_path}/r")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert message in ended.stderr.splitlines()[-1]
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("items", "paths"),
    [
        ([], {}),
        (["a.json"], {"val": "a.json"}),
        (["x/y=1/a.json"], {"val": "x/y=1/a.json"}),
        (["val=a.json", "test=b=c.json"], {"val": "a.json", "test": "b=c.json"}),
    ],
)
def test_paths_of_labels(items, paths):
    assert paths_of_labels(items) == paths


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["a.json", "b.json"], "give each the name of its split"),
        (["val=a", "val=b"], "val is given twice"),
        (["val="], "--labels=val=: must be"),
    ],
)
def test_bad_labels(items, message):
    with pytest.raises(InputError, match=message):
        paths_of_labels(items)


def test_sources():
    assert sources_of(["a=p", "a@val=q=1"], ["val"]) == [
        Source("a", "", "p"),
        Source("a", "val", "q=1"),
    ]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["a"], "--predictions=a: must be --predictions=MODEL=PATH"),
        (["=a"], "must be --predictions=MODEL=PATH"),
        (["a@=p"], "must be --predictions=MODEL=PATH"),
        (["a@test=p"], "there are no labels of a split test; the splits are val"),
        (["a=p", "a=p"], "is given twice"),
        (["a@val=p", "a@val=q"], "is given twice"),
    ],
)
def test_bad_sources(items, message):
    with pytest.raises(InputError, match=message):
        sources_of(items, ["val"])


def test_two_models():
    assert two_models(["a=p", "b=q=r"]) == {"a": "p", "b": "q=r"}
    with pytest.raises(InputError, match="both models are called a"):
        two_models(["a=p", "a=q"])
    with pytest.raises(InputError, match="b: must be MODEL=PATH"):
        two_models(["a=p", "b"])


def test_files_of_one_model_find_their_splits(folder, capsys):
    rng = np.random.default_rng(1)
    truths = {"val": labels_of([1, 2, 3]), "test": labels_of([4, 5], 100, "test.json")}
    taxonomy = truths["val"].full_taxonomy
    for split, truth in truths.items():
        inatdet.write_predictions(predictions_of(rng, truth), folder / f"of_{split}.parquet")
    sources = [Source("net", "", str(folder / f"of_{split}.parquet")) for split in ("test", "val")]
    found = read_predictions_of(sources, truths, taxonomy)
    assert {split: len(one) for split, one in found["net"].items()} == {"val": 3, "test": 2}
    assert capsys.readouterr().err.count("reading") == 2
