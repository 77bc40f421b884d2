import os

import pytest

from inatdet.errors import InputError
from inatdet.files import atomic_path, check_version


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
