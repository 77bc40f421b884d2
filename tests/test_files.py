import errno
import os

import pytest

from inatdet.errors import InputError, cannot_read
from inatdet.files import atomic_folder, atomic_path, check_version, digest_of, open_regular


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_path(path) as temporary:
        with open(temporary, "w") as file:
            file.write("all")
        assert not path.exists()
    assert path.read_text() == "all"
    assert os.listdir(path.parent) == ["a.txt"]


def test_failure_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def interrupted():
        with atomic_path(path) as temporary:
            with open(temporary, "w") as file:
                file.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("name", ["n" * 251 + ".txt", "é" * 125 + ".txt"])
def test_names_as_long_as_they_may_be(tmp_path, name):
    with atomic_path(tmp_path / name) as temporary, open(temporary, "w") as file:
        file.write("all")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("named", [False, True])
def test_a_full_disk_is_named(tmp_path, named):
    path = tmp_path / "a.txt"

    def write():
        with atomic_path(path) as temporary:
            names = (temporary,) if named else ()
            raise OSError(errno.ENOSPC, "No space left on device", *names)

    with pytest.raises(OSError, match="No space left") as raised:
        write()
    assert raised.value.filename == str(path)
    assert os.listdir(tmp_path) == []


def test_an_error_that_is_not_the_system_s_keeps_its_words(tmp_path):
    def write():
        with atomic_path(tmp_path / "a.txt"):
            raise OSError("broken data")

    with pytest.raises(OSError, match=r"^broken data$"):
        write()


def test_an_error_about_another_file_is_left_alone(tmp_path):
    def write():
        with atomic_path(tmp_path / "a.txt"):
            os.remove(tmp_path / "missing")

    with pytest.raises(FileNotFoundError) as raised:
        write()
    assert os.fspath(raised.value.filename) == str(tmp_path / "missing")


def test_a_folder_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "folder"
    with atomic_folder(path) as temporary:
        open(os.path.join(temporary, "a.txt"), "w").close()
        assert not path.exists()
    assert os.listdir(path) == ["a.txt"]
    assert os.listdir(path.parent) == ["folder"]
    assert path.stat().st_mode == path.parent.stat().st_mode


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    def interrupted():
        with atomic_folder(tmp_path / "folder") as temporary:
            open(os.path.join(temporary, "a.txt"), "w").close()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("version", [None, 1, 2])
def test_known_versions(version):
    check_version("a.json", version, 2, "make it again")


@pytest.mark.parametrize("version", [3, 0, -1, True, "1", 1.0, [1], "x" * 1000])
def test_unknown_versions(version):
    with pytest.raises(InputError) as caught:
        check_version("a.json", version, 2, "make it again")
    message = str(caught.value)
    assert message.startswith("a.json: has format version ") and len(message) < 200
    assert message.endswith("reads versions up to 2; update inatdet, or make it again")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize("read", [open_regular, lambda path: digest_of(str(path), "md5")])
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe: is a pipe or a device, not a file"):
        read(tmp_path / "pipe")


def test_regular_files_are_opened_as_usual(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffé\n".encode())
    with open_regular(path) as file:
        assert file.read() == path.read_bytes()
    with open_regular(path, "r", encoding="utf-8-sig") as file:
        assert file.read() == "é\n"
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "b.txt")
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)


def test_a_home_folder_that_the_shell_left(tmp_path):
    error = cannot_read("~/val.json", FileNotFoundError(errno.ENOENT, "No such file"))
    assert str(error).endswith("so write $HOME or the whole path")
