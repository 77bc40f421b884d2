"""The files of a run replace an earlier one's all at once, or not at all."""

import errno
import os

import pytest

from inatdet.errors import InputError
from inatdet.locks import only_writer
from inatdet.result_folder import files_of_one_run


def write(folder, names, known=("a", "b", "c")):
    with files_of_one_run(folder, known) as files:
        for name in names:
            (files / name).write_text(f"{name} of {len(names)}")


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_what_is_not_written_again_is_removed(tmp_path):
    write(tmp_path / "new", ["a", "b"])
    (tmp_path / "new" / "mine").write_text("notes")
    write(tmp_path / "new", ["c"])
    assert contents(tmp_path / "new") == {"c": "c of 1", "mine": "notes"}


def test_a_failure_leaves_the_earlier_files(tmp_path):
    write(tmp_path, ["a", "b"])

    def fail():
        with files_of_one_run(tmp_path) as files:
            (files / "a").write_text("new")
            raise OSError(errno.ENOSPC, "full", str(files / "b"))

    with pytest.raises(OSError, match="full") as caught:
        fail()
    assert contents(tmp_path) == {"a": "a of 2", "b": "b of 2"}
    assert caught.value.filename == str(tmp_path / "b")


def test_a_folder_in_the_way_is_found_before_anything_moves(tmp_path):
    write(tmp_path, ["a"])
    (tmp_path / "b").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write(tmp_path, ["a", "b"])
    assert caught.value.filename == str(tmp_path / "b")
    assert (tmp_path / "a").read_text() == "a of 1"


def test_what_a_killed_process_left_is_removed(tmp_path):
    left = tmp_path / ".unfinished" / "files"
    left.mkdir(parents=True)
    (left / "x").write_text("half")
    write(tmp_path, ["a"])
    assert contents(tmp_path) == {"a": "a of 1"}


def test_two_at_once(tmp_path):
    with (
        only_writer(tmp_path / ".unfinished"),
        pytest.raises(InputError, match="is writing there"),
    ):
        write(tmp_path, ["a"])
    assert os.listdir(tmp_path) == []
    write(tmp_path, ["a"])
    assert os.listdir(tmp_path) == ["a"]
