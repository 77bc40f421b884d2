"""Numbers of records, counted without reading these."""

import glob
import os

import pytest
import tensorflow as tf

from inatdet.tfrecords import sizes
from inatdet.tfrecords.frames import lengths
from inatdet.tfrecords.sizes import records_in
from inatdet.tfrecords.writing import convert


@pytest.fixture
def file(tmp_path):
    """Records of 0, 10, ..., 40 bytes."""
    path = tmp_path / "some.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for length in range(0, 50, 10):
            writer.write(b"x" * length)
    return path


def test_lengths(file):
    with open(file, "rb") as opened:
        assert list(lengths(opened, file.stat().st_size)) == [0, 10, 20, 30, 40]
    assert records_in([str(file)] * 2) == [5, 5]


@pytest.mark.parametrize(("size", "count"), [(0, 0), (16, 1), (17, 2), (30, 2), (42, 2), (43, 3)])
def test_a_file_that_is_cut_off(file, size, count):
    """The record in which it ends counts, so that reading it fails."""
    file.write_bytes(file.read_bytes()[:size])
    assert records_in([str(file)]) == [count]


def test_damaged_lengths(file):
    content = bytearray(file.read_bytes())
    content[16] ^= 1  # of the second record
    file.write_bytes(content)
    assert records_in([str(file)]) == [2]
    file.write_text("no record at all")
    assert records_in([str(file)]) == [1]


def test_what_the_manifest_says_is_not_counted(dataset, monkeypatch):
    convert(dataset)
    files = sorted(glob.glob(f"{dataset.output_dir}/train-*"))
    expected = [sum(1 for _ in tf.data.TFRecordDataset(file)) for file in files]
    counted = []
    count = sizes._counted
    monkeypatch.setattr(sizes, "_counted", lambda path: counted.append(path) or count(path))
    assert records_in(files) == expected
    assert counted == []
    with open(files[2], "ab") as longer:  # than the manifest says
        longer.write(b"x")
    assert records_in(files[1:]) == [expected[1], expected[2] + 1, expected[3]]
    assert counted == [files[2]]
    os.remove(f"{dataset.output_dir}/train.json")
    assert records_in(files[:2]) == expected[:2]
