import os

import pytest

from inatdet.files import matching


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a [1]/x-*", ["a [1]/x-1", "a [1]/x-2"]),
        ("a [1]/x-[2]", ["a [1]/x-2"]),
        ("a [1]/*/y", ["a [1]/deep/y"]),
        ("a [1]/**/y", ["a [1]/deep/y"]),
        ("a ?1]/x-1", ["a [1]/x-1"]),
        ("b[12]/y", ["b1/y"]),
        ("b1/y", ["b1/y"]),
        ("b1", ["b1"]),
        ("*/none", []),
        ("none/y", []),
    ],
)
@pytest.mark.parametrize("absolute", [False, True])
def test_folders_that_exist_are_taken_literally(tmp_path, monkeypatch, pattern, found, absolute):
    monkeypatch.chdir(tmp_path)
    for name in ("a [1]/x-1", "a [1]/x-2", "a [1]/deep/y", "b1/y"):
        os.makedirs(os.path.dirname(name), exist_ok=True)
        open(name, "w").close()
    start = f"{tmp_path}/" if absolute else ""
    assert matching(start + pattern) == [start + name for name in found]


def test_nothing_matches_nothing():
    assert matching("") == []
