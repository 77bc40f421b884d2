"""Tests of reading long lists of COCO results piece by piece, against `json.loads`."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inatdet.data import detections
from inatdet.data.categories import Category
from inatdet.data.formats import coco_results, json_list
from inatdet.data.formats.detections import read_detections
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

TAXONOMY = Taxonomy.from_categories([Category(i, f"s{i}", "Aves") for i in range(4)], range(4))
_TEXT = st.text(alphabet='},{"[]:\\ aé\n', max_size=8)
_EXTRA = st.recursive(
    _TEXT | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)
_SIZE = st.floats(0, 1e6, allow_nan=False)
_RESULTS = st.lists(
    st.fixed_dictionaries(
        {
            "image_id": st.integers(0, 2**40),
            "bbox": st.lists(_SIZE, min_size=4, max_size=4),
            "score": st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 1),
            "category_id": st.integers(0, 3),
        },
        # What other programs add: masks, names, attributes, in any nesting.
        optional={"segmentation": _EXTRA, "a": _EXTRA},
    ),
    max_size=8,
)


def read(path):
    return read_detections(path, Granularity.SPECIES, TAXONOMY)


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    results=_RESULTS,
    piece=st.integers(1, 60),
    indent=st.sampled_from([None, 2]),
    separators=st.sampled_from([None, (",", ":"), (" , ", " : ")]),
    ascii_only=st.booleans(),
    block=st.integers(4, 30),
)
def test_same_as_json_loads(
    tmp_path, monkeypatch, results, piece, indent, separators, ascii_only, block
):
    """Wherever the text is cut, and whatever else it contains."""
    monkeypatch.setattr(json_list, "_PIECE", piece)
    monkeypatch.setattr(json_list, "_SCANNED_AT_ONCE", block)
    monkeypatch.setattr(json_list, "_MANY_BLANKS", block)
    text = json.dumps(results, indent=indent, separators=separators, ensure_ascii=ascii_only)
    path = tmp_path / "d.json"
    path.write_text(text, encoding="utf-8")
    found = read(path)
    assert found.image_ids.tolist() == [r["image_id"] for r in results]
    assert found.labels[Granularity.SPECIES].tolist() == [r["category_id"] + 1 for r in results]
    assert found.scores.tolist() == [r["score"] for r in results]
    assert found.boxes.tolist() == [r["bbox"] for r in results]


BACKSLASH, QUOTE = "\\", '\\"'
ONE = '{"image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1], "score": 0.5}'


@pytest.mark.parametrize("piece", [1, 7, 100, 1 << 20])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"[{ONE}, {ONE}", "truncated, at byte"),
        (f"[{ONE}, {ONE},]", "not valid JSON"),
        (f"[{ONE},, {ONE}]", "not valid JSON"),
        (f"[,{ONE}]", "not valid JSON"),
        (f"[{ONE} {ONE}]", "not valid JSON"),
        (f"[{ONE}] {ONE}", "not valid JSON"),
        (f"[{ONE}], {ONE}]", "not valid JSON"),
        (f"[{ONE}, {ONE[:-1]}, 'x': 1}}, {ONE}]", "not valid JSON"),
        (f"[{ONE}, {ONE.replace('0.5', 'NaN')}, {ONE}]", "not valid JSON"),
        (f"[{ONE}, [], {ONE}]", "detection 2 is no object"),
        (f"[{ONE}, {ONE.replace('0.5', 'null')}, {ONE}]", "detection 2 has no number as its score"),
        (
            f"[{ONE}, {ONE.replace(', 1]', ']')}, {ONE}]",
            "detection 2 has no list of four numbers as its bbox",
        ),
        ("[" * 100_000, "nested too deeply|is no object"),
        (f'[{ONE[:-1]}, "a": {"[" * 100_000}', "nested too deeply"),
        (f'[{ONE}, {{"image_id": 1, "a": "{"x" * 3000}', "does not end within|truncated"),
    ],
)
def test_errors(tmp_path, monkeypatch, text, message, piece):
    """They do not depend on where the text is cut."""
    if len(text) > 10_000 and piece < 100:
        pytest.skip("the same text would be parsed 100,000 times")
    monkeypatch.setattr(json_list, "_PIECE", piece)
    monkeypatch.setattr(json_list, "_LONGEST_ELEMENT", 2000 if len(text) < 10_000 else 1 << 20)
    path = tmp_path / "d.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


MANY = 3_000_000


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (" " * MANY + f"[{ONE}]", 1),
        (f"[{ONE},{' ' * MANY}{ONE}{' ' * MANY},{ONE}]", 3),
        (f"[{ONE[:-1]}{' ' * MANY}}}]" + " " * MANY, 1),
        (f'[{ONE[:-1]}, "a": "{BACKSLASH * MANY}"}}, {ONE}]', 2),
        (f'[{ONE[:-1]}, "a": "{QUOTE * (MANY // 2)}"}}, {ONE}]', 2),
        (f'[{ONE[:-1]}, "a": "{"}," * (MANY // 2)}"}}, {ONE}]', 2),
    ],
    ids=["blanks first", "blanks between", "blanks last", "backslashes", "quotes", "brackets"],
)
def test_memory_is_in_proportion_to_the_file(tmp_path, monkeypatch, text, count):
    monkeypatch.setattr(json_list, "_PIECE", 1 << 18)
    monkeypatch.setattr(json_list, "_MANY_BLANKS", 1 << 16)
    monkeypatch.setattr(json_list, "_SCANNED_AT_ONCE", 1 << 16)
    path = tmp_path / "d.json"
    path.write_text(text)
    tracemalloc.start()
    try:
        assert len(read(path)) == count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * MANY


@pytest.mark.parametrize("blanks", ["1" + " " * 50 + "2", "0.5" + " " * 50 + "5"])
def test_blanks_inside_a_number_are_no_number(tmp_path, monkeypatch, blanks):
    monkeypatch.setattr(json_list, "_PIECE", 10)
    monkeypatch.setattr(json_list, "_MANY_BLANKS", 5)
    path = tmp_path / "d.json"
    path.write_text(f"[{ONE.replace('0.5', blanks)}]")
    with pytest.raises(InputError, match="not valid JSON"):
        read(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("9" * 5000, "detection 1 has a number that is too large|is malformed"),
        ("1e400", "detection 1 has a number that is too large"),
        ("-1e400", "detection 1 has a number that is too large"),
        ('"' + "9" * 5000 + '"', "detection 1 has"),
        ('"1e400"', "detection 1 has no number as its score"),
        ("NaN", "not valid JSON"),
        ('"\\ud800"', "not valid JSON|truncated"),
    ],
)
def test_numbers_that_are_none(tmp_path, value, message):
    path = tmp_path / "d.json"
    for text in (f"[{ONE.replace('0.5', value)}]", ONE.replace("0.5", value)):
        path.write_text(text)
        with pytest.raises(InputError, match=f"{message}|not valid JSON on one line"):
            read(path)


@pytest.mark.parametrize("score", ["-0.0", "0.5e0", "1E-400", "1e-320"])
def test_unusual_numbers(tmp_path, score):
    path = tmp_path / "d.json"
    path.write_text(f"[{ONE.replace('0.5', score)}]")
    assert read(path).scores.tolist() == [float(score)]


def test_the_position_of_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(json_list, "_PIECE", 50)
    text = f"\ufeff [{', '.join([ONE] * 20)}, {ONE.replace('0.5', '0.5.')}, {ONE}]"
    path = tmp_path / "d.json"
    path.write_text(text, encoding="utf-8")
    place = text.encode().index(b"0.5.") + 3
    with pytest.raises(InputError, match=f"at byte {place} "):
        read(path)


def test_too_many_detections(tmp_path, monkeypatch):
    monkeypatch.setattr(detections, "MOST_DETECTIONS", 3)
    path = tmp_path / "d.json"
    path.write_text(f"[{', '.join([ONE] * 3)}]")
    assert len(read(path)) == 3
    path.write_text(f"[{', '.join([ONE] * 4)}]")
    with pytest.raises(InputError, match="has 4 detections, more than the 3 allowed"):
        read(path)


def test_coarser_detections_are_written_by_label(tmp_path):
    path = tmp_path / "d.json"
    path.write_text(f"[{ONE}]")
    coco_results.write_coco_detections(tmp_path / "s.json", read(path), TAXONOMY, Granularity.SUPER)
    (written,) = json.loads((tmp_path / "s.json").read_text())
    assert written == {"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}


def test_many_blocks_are_written_as_one_list(tmp_path, monkeypatch):
    monkeypatch.setattr(coco_results, "_ROWS_AT_ONCE", 2)
    path = tmp_path / "d.json"
    path.write_text(f"[{', '.join([ONE] * 5)}]")
    found = read(path)
    coco_results.write_coco_detections(tmp_path / "a.json", found, TAXONOMY)
    assert json.loads((tmp_path / "a.json").read_text()) == json.loads(path.read_text())
    nothing = found.select(np.zeros(5, bool))
    coco_results.write_coco_detections(tmp_path / "b.json", nothing, TAXONOMY)
    assert json.loads((tmp_path / "b.json").read_text()) == []
