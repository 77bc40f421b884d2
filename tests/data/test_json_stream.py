"""Tests of the reader of long lists, against `json.load`."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inatdet.data.formats.json_stream import iterate_lists
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
        ('{"a" []}', "not valid JSON"),
        ('{"a": [' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_errors(tmp_path, text, words, window):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        list(iterate_lists(path, ["a"], window=window))
    assert str(path) in str(caught.value)


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
