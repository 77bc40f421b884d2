"""Tests of the reader of long lists, against `json.load`."""

from __future__ import annotations

import itertools
import json
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inatdet.data.formats import json_stream
from inatdet.data.formats.json_stream import iterate_beginnings, iterate_lists
from inatdet.errors import InputError

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lists=st.fixed_dictionaries({"a": st.lists(_VALUES), "b": st.lists(_VALUES)}),
    other=_VALUES,
    first=st.booleans(),
    window=st.integers(1, 40),
    indent=st.sampled_from([None, 2]),
    ascii_only=st.booleans(),
)
def test_same_as_json_load(tmp_path, lists, other, first, window, indent, ascii_only):
    """However small the window, and wherever it ends."""
    record = {"other": other, **lists} if first else {**lists, "other": other}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(record, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    found = {"a": [], "b": []}
    for key, value in iterate_lists(path, ["a", "b"], window=window):
        found[key].append(value)
    assert found == lists


@pytest.mark.parametrize("window", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("[]", "not one JSON object"),
        ("17", "not one JSON object"),
        ("{}", "has no 'a'"),
        ('{"b": []}', "has no 'a'"),
        ('{"a": 3}', "no list as its 'a'"),
        ('{"a": {}}', "no list as its 'a'"),
        ('{"a": [], "a": []}', "'a' twice"),
        ('{"a": []} x', "continues after"),
        ('{"a": []', "ends too early"),
        ('{"a": [1, {"b": 2}', "ends too early"),
        ('{"a": [1, {"b":', "ends too early"),
        ('{"a": [1, {"b": "long str', "ends too early"),
        ('{"a": [1, ', "ends too early"),
        ('{"a"', "ends too early"),
        ('{"a": [1,]}', "not valid JSON"),
        ('{"a": [1 2]}', "not valid JSON"),
        ('{"a": [{1: 2}]}', "not valid JSON"),
        ("{a: []}", "not valid JSON"),
        ('{"b": [1, 2, x, 3, 4], "a": []}', "not valid JSON"),
        ('{"b": [{"c": 1}, {"c": 2}, {"c": }, {}], "a": []}', "not valid JSON"),
        ('{"b": [1, 2,, 3], "a": []}', "not valid JSON"),
        ('{"b": [1, 2,], "a": []}', "not valid JSON"),
        ('{"a" []}', "not valid JSON"),
        ('{"a": [' + "[" * 100_000, "nested too deeply"),
        ('{"a": [' + "9" * 5000 + "]}", "thousands of digits"),
        ('{"a": ["x\\ud800"]}', "half of a surrogate pair"),
        ('{"\\ud800": [], "a": []}', "half of a surrogate pair"),
    ],
)
def test_errors(tmp_path, text, words, window):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        list(iterate_lists(path, ["a"], window=window))
    assert str(path) in str(caught.value)


def test_pairs_of_surrogates_are_characters(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"a": ["\\ud83d\\ude00", "\\\\ud800"]}')
    assert [value for _, value in iterate_lists(path, ["a"])] == ["\U0001f600", "\\ud800"]


def test_work_is_in_proportion_to_the_file(tmp_path, monkeypatch):
    """An early mistake is told at once, and a value may not be endless."""
    wrong, long = tmp_path / "wrong.json", tmp_path / "long.json"
    wrong.write_text('{"a": [1, x' + " " * 5_000_000)
    long.write_text('{"b": [' + "[1.5, 2], " * 20_000 + '1], "a": [2]}')
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="not valid JSON"):
            list(iterate_lists(wrong, ["a"], window=1 << 12))
        assert list(iterate_lists(long, ["a"], window=1 << 12)) == [("a", 2)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000
    path = tmp_path / "x.json"
    monkeypatch.setattr(json_stream, "_LONGEST_VALUE", 1000)
    path.write_text('{"a": ["' + "x" * 5000 + '"]}')
    with pytest.raises(InputError, match="has a value of more than 1,000 characters"):
        list(iterate_lists(path, ["a"], window=100))


def test_the_beginnings_of_an_object(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"a": [1, 2], "b": {"c": [3]}, "d": [], "e": [4], "f')
    beginnings = iterate_beginnings(path)
    assert list(itertools.islice(beginnings, 4)) == [
        ("a", 1), ("b", {"c": [3]}), ("d", None), ("e", 4)
    ]  # fmt: skip
    with pytest.raises(InputError, match="ends too early"):
        next(beginnings)


def test_files_that_are_not_text(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b'{"a": ["\xff\xfe"]}')
    with pytest.raises(InputError, match="UTF-8"):
        list(iterate_lists(path, ["a"]))
    with pytest.raises(InputError, match="cannot be read"):
        list(iterate_lists(tmp_path / "absent.json", ["a"]))
    with pytest.raises(InputError, match="cannot be read"):
        list(iterate_lists(tmp_path, ["a"]))


def test_byte_order_mark(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": [1]}')
    assert list(iterate_lists(path, ["a"])) == [("a", 1)]
