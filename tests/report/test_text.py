"""Names that mean something to Markdown, LaTeX, a spreadsheet, a terminal or Matplotlib."""

import csv
import dataclasses
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import inatdet
from inatdet.evaluation.super_classes import Curve
from inatdet.report import curves as drawing
from inatdet.report import figures
from inatdet.report.lines import Line
from inatdet.report.table import Table
from inatdet.report.text import as_utf8, in_latex, in_markdown, one_line, shortened, width
from tests.detection_files import BOXES, RIGHT, SPECIES, write_annotations, write_results

HOSTILE = [
    "$x_{",
    "_hidden",
    "a|b",
    "<script>alert(1)</script>",
    "two\nlines\r\n",
    "=1+1",
    "*bold* `code` [link](x)",
    "\x1b[31mred\x00",
    "\u202eturned",
    "\u660e\u866b \u05e9\u05dd \U0001f41b",
    "n" * 500,
    "\udcff half",
]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Corvus corax", "Corvus corax"),
        (" a \n b\t\u2028c ", "a b c"),
        ("\x1b[31mred\x00", "\ufffd[31mred\ufffd"),
        ("\u202eturned", "\ufffdturned"),
        ("family \U0001f469\u200d\U0001f467", "family \U0001f469\u200d\U0001f467"),
        ("caf\udce9.json", "caf\\udce9.json"),
        ("", ""),
    ],
)
def test_one_line(text, line):
    assert one_line(text) == line
    assert one_line(line) == line


def test_half_a_character_can_be_written():
    assert as_utf8("caf\udce9") == "caf\\udce9"
    assert as_utf8("caf\xe9") == "caf\xe9"


def test_shortened():
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde\u2026"


@pytest.mark.parametrize(
    ("text", "columns"), [("ab", 2), ("\u660e\u866b", 4), ("e\u0301", 1), ("\U0001f41b", 2)]
)
def test_width(text, columns):
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("super_class_2", "super_class_2"),
        ("_hidden_ x", r"\_hidden\_ x"),
        ("a|b", r"a\|b"),
        ("<b> &lt;", "&lt;b> &amp;lt;"),
        ("*a* `b` [c](d) ~e~ $f$ \\\\", r"\*a\* \`b\` \[c\](d) \~e\~ \$f\$ \\\\"),
        ("two\nlines", "two lines"),
    ],
)
def test_in_markdown(text, escaped):
    assert in_markdown(text) == escaped


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("50.0 \xb1 2.0", r"50.0 $\pm$ 2.0"),
        ("a_b & 5% #1 $x {y}", r"a\_b \& 5\% \#1 \$x \{y\}"),
        ("\\ ~ ^", r"\textbackslash{} \textasciitilde{} \textasciicircum{}"),
        ("[1pt] *", "{[}1pt] {*}"),  # after a line break these would be its argument
        ("<a|b>", r"\textless{}a\textbar{}b\textgreater{}"),
    ],
)
def test_in_latex(text, escaped):
    assert in_latex(text) == escaped


def test_formulas_are_text_in_csv():
    table = Table(("name", "AP"), (("=1+1", -1.5), ("+2", 0.0), ("-3", 1.0), ("@x", 2.0)))
    rows = list(csv.reader(table.to_csv().splitlines()))
    assert rows[1:] == [["'=1+1", "-1.5"], ["'+2", "0.0"], ["'-3", "1.0"], ["'@x", "2.0"]]


def test_columns_are_aligned_and_no_cell_is_endless():
    table = Table(("name", "AP"), (("\u660e\u866b", 1.0), ("n" * 500, 2.0)))
    lines = str(table).splitlines()
    assert len({width(line) for line in lines}) == 1
    assert width(lines[0]) < 80


def test_the_legend_has_every_name_as_it_is(tmp_path):
    curves = [Curve(name, np.full(101, 0.5)) for name in HOSTILE]
    figures.save_png(drawing.draw(curves), tmp_path / "curves.png")
    figure = drawing.draw(curves)
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts[:4] == [f"{name} (0.500)" for name in HOSTILE[:4]]
    assert texts[4] == "two lines (0.500)"
    assert not any(t.get_parse_math() for t in figure.axes[0].get_legend().get_texts())
    assert max(map(len, texts)) < 60
    lines = figure.axes[0].get_legend().get_lines()
    assert [line.get_color() for line in lines] == [
        Line("", "", (), index).color for index, _ in enumerate(HOSTILE)
    ]


def test_characters_without_a_font_are_replaced():
    unassigned = "\U0003ffff"
    figure = drawing.draw([Curve(f"a{unassigned}", np.full(101, 0.5))])
    (text,) = figure.axes[0].get_legend().get_texts()
    figure.canvas.draw()  # a missing character would be a warning, and that an error
    assert text.get_text().startswith("a")


@pytest.fixture
def hostile(tmp_path):
    """Ground truth and detections whose classes have hostile names, some of which no file has."""
    number = len(HOSTILE)
    categories = [{"id": i, "name": f"{i}", "supercategory": f"{i // 2}"} for i in range(number)]
    boxes = [{"id": i, "image_id": i + 1, "category_id": i, "bbox": RIGHT} for i in range(number)]
    images = [
        {"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 80} for i in range(1, number + 1)
    ]
    changes = {"categories": categories, "annotations": boxes, "images": images}
    truth = inatdet.read_annotations(write_annotations(tmp_path / "val.json", **changes))
    named = [
        dataclasses.replace(c, name=HOSTILE[c.id], supercategory=HOSTILE[c.id // 2])
        for c in truth.categories
    ]
    truth = dataclasses.replace(truth, categories=tuple(named))
    rows = [(i + 1, i, RIGHT, 0.9 - i / 100) for i in range(number)]
    # Some are mistaken for the next one, for the table of confusions.
    rows += [(i + 1, (i + 1) % number, RIGHT, 0.95) for i in range(0, number, 2)]
    path = write_results(tmp_path / "found.json", rows)
    return truth, inatdet.read_detections(path, truth, granularity="species")


def test_every_file_of_a_report(hostile, tmp_path):
    truth, found = hostile
    out = tmp_path / "out"
    inatdet.evaluate(truth, found, command="inatdet 'a\n\udcff'").save(out, latex=True)
    for path in out.iterdir():
        if path.suffix in (".png", ".json"):  # JSON keeps names as they are
            continue
        text = path.read_bytes().decode("utf-8")
        assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e]", text), path.name
        if path.suffix == ".csv":
            rows = list(csv.reader(text.splitlines()))
            assert len({len(row) for row in rows}) == 1
            assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)
    markdown = (out / "report.md").read_text("utf-8")
    assert "<script" not in markdown
    tables = [re.sub(r"\\.", "", line) for line in markdown.splitlines() if line[:1] == "|"]
    heights = re.findall(r"^\|[-:| ]+\|$", markdown, re.MULTILINE)
    assert {line.count("|") for line in tables} == {line.count("|") for line in heights}
    page = (out / "report.html").read_text("utf-8")
    assert page.count("<script>") == 1
    record = json.loads((out / "report.json").read_text("utf-8"), parse_constant=pytest.fail)
    assert record["command"] == "inatdet 'a\n\\udcff'"


@pytest.mark.parametrize(
    "settings",
    [{"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
def test_files_are_utf8_whatever_the_terminal_shows(tmp_path, settings):
    categories = [
        {"id": c, "name": f"V\xf6gel {c}", "supercategory": "V\xf6gel"}
        for c in sorted({c for _, c in BOXES})
    ]
    truth = write_annotations(tmp_path / "val.json", categories=categories)
    found = write_results(tmp_path / "found.json", [row for row in SPECIES if row[1] != 3])
    out = os.fsencode(tmp_path) + b"/a, b \xff"
    ended = subprocess.run(
        [sys.executable, "-m", "inatdet", "evaluate", f"--annotations={truth}",
         f"--detections=species={found}", b"--output_dir=" + out],
        env=os.environ | {"LC_ALL": "C"} | settings, capture_output=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert b"V?gel" in ended.stdout
    with open(out + b"/table5.csv", encoding="utf-8") as file:
        assert "V\xf6gel,3" in file.read()
    with open(out + b"/report.json", encoding="utf-8") as file:
        assert "udcff" in json.load(file)["command"]
