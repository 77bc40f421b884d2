"""The program that counts a dataset."""

import json
import subprocess
import sys

import pytest

from inatdet.programs import running
from tests.dataset_files import write_dataset
from tests.detection_files import read_csv


@pytest.fixture
def statistics(tmp_path, monkeypatch):
    write_dataset(tmp_path)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "inatdet", "statistics", "--output_dir=out", *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


ALL = [
    f"--{split}_{name}={split}{end}.json"
    for split in ("train", "val")
    for name, end in (
        ("annotations", "_2017_bboxes"), ("labels", "2017"), ("observers", "2017_locations")
    )
]  # fmt: skip


def test_all_files(statistics, tmp_path):
    done = statistics(*ALL, "--genus_from_names", "--latex", "--strict")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Table 2: species, images and boxes, by super-class\n")
    assert done.stderr.splitlines()[-1] == "the statistics are in out"
    (aves, *_, total) = read_csv(tmp_path / "out" / "table2.csv")
    assert aves["super_class"] == "Aves"
    assert (total["train_images"], total["boxes"]) == ("6", "7")
    assert read_csv(tmp_path / "out" / "observers.csv")[-1]["observers"] == "3"
    assert (tmp_path / "out" / "table2.tex").is_file()
    record = json.loads((tmp_path / "out" / "statistics.json").read_text())
    assert record["command"].startswith("inatdet statistics --output_dir=out --train_ann")


def test_one_file_and_a_warning(statistics):
    done = statistics("--train_labels=val2017.json", "--val_labels=train2017.json")
    assert done.returncode == 0, done.stderr
    assert (
        "warning: train2017.json: shows 1 species without an image in val2017.json" in done.stderr
    )
    assert done.stderr.splitlines()[-1] == "the statistics are in out; see its 1 warning"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to count; give --train_annotations, --val_annotations, --train_labels or"),
        (["--val_labels=val2017.json", "--train_observers=x.json"], "--train_observers needs the"),
        (["--train_annotations=train2017.json"], "train2017.json: none of its 6 annotations has a"),
        (["--train_labels=val2017.json", "--output_dir=val2017.json"], "val2017.json: cannot be"),
    ],
)  # fmt: skip
def test_what_cannot_be_counted(statistics, tmp_path, arguments, words):
    done = statistics(*arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: {words}")
    assert not (tmp_path / "out").exists()


def test_it_is_listed():
    assert "statistics" in running.PROGRAMS
