"""By what records are recognized that a model was applied to before."""

import json
import os
import shutil

import pytest

from inatdet.errors import InputError
from inatdet.training.applying import stamp_of


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    for number in range(2):
        (folder / f"val-0000{number}-of-00002.tfrecord").write_bytes(b"x" * (number + 1))
    return folder


def summarize(folder, *checksums):
    names = sorted(path.name for path in folder.glob("*.tfrecord"))
    files = [{"file": name, "crc32c": crc} for name, crc in zip(names, checksums)]
    (folder / "val.json").write_text(json.dumps({"version": 2, "files": files}))


def of(folder):
    return stamp_of(f"{folder}/val-*")


def touch(folder):
    """As copying does without keeping times."""
    for path in folder.glob("*.tfrecord"):
        os.utime(path, ns=(1, 1))


def test_with_a_summary_checksums_count_and_times_do_not(folder):
    summarize(folder, "00000001", "00000002")
    before = of(folder)
    touch(folder)
    assert of(folder) == before
    moved = shutil.move(folder, folder.with_name("elsewhere"))
    assert of(moved) == before
    summarize(moved, "00000001", "00000003")
    assert of(moved) != before


def test_without_a_summary_times_count(folder):
    before = of(folder)
    assert of(folder) == before
    touch(folder)
    assert of(folder) != before


def test_names_sizes_and_order_count(folder):
    summarize(folder, "00000001", "00000001")
    stamps = {of(folder)}
    first, second = sorted(folder.glob("*.tfrecord"))
    second.write_bytes(b"xyz")
    stamps.add(of(folder))
    os.replace(second, folder / "val-00002-of-00003.tfrecord")
    stamps.add(of(folder))
    os.remove(first)
    stamps.add(of(folder))
    assert len(stamps) == 4


def test_no_records(tmp_path):
    with pytest.raises(InputError, match="no file matches"):
        stamp_of(f"{tmp_path}/val-*")
