import os

import pytest

from inatdet.errors import InputError
from inatdet.outputs import check_file, check_folder


def test_what_can_be_written_is_left_as_it_is(tmp_path):
    (tmp_path / "there").write_text("x")
    for path in ("there", "new", "new/folder/file", "new/"):
        check_file(tmp_path / path)
    for path in (".", "new", "new/folder/folder"):
        check_folder(tmp_path / path)
    assert os.listdir(tmp_path) == ["there"]
    assert (tmp_path / "there").read_text() == "x"


def test_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("x", "./x", "x/y", "../x"):
        check_file(path)
        check_folder(path)


@pytest.mark.parametrize("check", [check_file, check_folder])
@pytest.mark.parametrize("path", ["file/x", "file/x/y", "link/x", "dangling/x"])
def test_something_in_the_way_of_the_folder(check, path, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    way = tmp_path / path.partition("/")[0]
    with pytest.raises(InputError, match=f"cannot be written, because {way} is not a folder"):
        check(tmp_path / path)


def test_a_file_instead_of_a_folder_and_the_reverse(tmp_path):
    with pytest.raises(InputError, match="this is a folder; name a file"):
        check_file(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"because .*file is not a folder"):
        check_folder(tmp_path / "file")


def test_a_device_is_not_replaced_by_a_file():
    with pytest.raises(InputError, match="/dev/null: this is no ordinary file"):
        check_file("/dev/null")


@pytest.mark.parametrize("check", [check_file, check_folder])
def test_where_nobody_can_write(check):
    with pytest.raises(InputError, match="/proc/x: cannot be written "):
        check("/proc/x")


@pytest.mark.parametrize("check", [check_file, check_folder])
def test_a_name_that_is_too_long(check, tmp_path):
    check(tmp_path / ("x" * 255))
    with pytest.raises(InputError, match="File name too long"):
        check(tmp_path / ("x" * 256))


def test_a_full_disk(tmp_path, monkeypatch):
    def full(**_):
        return open("/dev/full", "wb")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(InputError, match="No space left on device"):
        check_file(tmp_path / "x")
