"""`inatdet check --records`, as it is run."""

import csv
import os
import subprocess
import sys

from inatdet.tfrecords.writing import convert
from tests.tfrecords.conversions import dataset_in


def check(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "inatdet", "check", *arguments], capture_output=True, text=True
    )


def test_a_broken_record_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = dataset_in(tmp_path)
    convert(dataset)
    done = check("--records=records/train-*.tfrecord", "--decode", "--images_dir=data")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "4 shards with 18 records: 0 problems, 0 remarks\n"
    with open("records/train-00002-of-00004.tfrecord", "r+b") as file:
        file.seek(200)
        file.write(b"\0\1\2\3")
    os.remove("records/train-00000-of-00004.tfrecord")
    done = check("--records=records/train-*.tfrecord")
    assert done.returncode == 1, done.stderr
    assert "train-00002-of-00004.tfrecord (record 1 at byte 0, image 1" in done.stdout
    assert done.stdout.splitlines()[-1] == "3 shards with 13 records: 3 problems, 0 remarks"
    with open("checked/problems.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["shard"], row["record"], row["offset"], row["kind"]) for row in rows] == [
        ("train-00000-of-00004.tfrecord", "", "", "shard is missing"),
        ("train-00002-of-00004.tfrecord", "", "", "shard is not as it was written"),
        ("train-00002-of-00004.tfrecord", "1", "0", "record is damaged"),
    ]
    assert all(row["what_is_wrong"] and row["what_to_do"] for row in rows)


def test_there_must_be_something_to_check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = check("--annotations=x.json")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: --annotations needs --images_dir")
