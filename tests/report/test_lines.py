"""Charts of lines: their scales, and the two ways of drawing them."""

import numpy as np
import pytest

from inatdet.report import lines
from inatdet.report.lines import Axis, Line, ticks_of_log, ticks_up_to


@pytest.mark.parametrize("value", [0, 1e-3, 0.7, 1, 5, 6, 9.99, 10, 23, 101, 4999.5, 5089, 10**7])
def test_ticks_from_zero(value):
    ticks = ticks_up_to(value)
    assert ticks[0] == 0
    assert ticks[-1] >= value
    assert 2 <= len(ticks) <= 6
    steps = np.diff(ticks)
    assert steps == pytest.approx([steps[0]] * len(steps))
    assert f"{steps[0]:e}"[0] in "125"


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (8, 64, [5, 10, 20, 50, 100]),
        (1, 1, [1, 2]),
        (10, 10, [10, 20]),
        (1, 1000, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000]),
        (3, 400_000, [1, 10, 100, 1000, 10_000, 100_000, 1_000_000]),
    ],
)
def test_ticks_of_a_logarithmic_scale(low, high, ticks):
    assert ticks_of_log(low, high) == ticks


def test_places_on_axes():
    assert [Axis("x", (0, 50, 100)).place(v) for v in (-1, 0, 25, 200)] == [0, 0, 0.25, 1]
    axis = Axis("x", (1, 10, 100), is_log=True)
    assert [axis.place(v) for v in (1, 10, 100)] == pytest.approx([0, 0.5, 1])


def test_both_drawings_have_the_same_lines():
    chart = [Line("one", "0.5", [(0, 1), (1, 10)]), Line("two", "", [(0, 10), (1, 1)], 8)]
    axes = Axis("x", (0, 1)), Axis("y", (1, 10), is_log=True)
    drawn = lines.draw(chart, *axes, "title", "legend").axes[0]
    assert [line.get_xydata().tolist() for line in drawn.lines] == [
        [list(point) for point in line.points] for line in chart
    ]
    assert [text.get_text() for text in drawn.get_legend().get_texts()] == ["one (0.5)", "two"]
    assert (drawn.get_yscale(), drawn.get_xscale()) == ("log", "linear")
    page = lines.on_page(chart, *axes, "label")
    assert [line["points"] for line in page["lines"]] == [
        "50.0,400.0 630.0,10.0",
        "50.0,10.0 630.0,400.0",
    ]
    assert [line["color"] for line in page["lines"]] == ["currentColor", drawn.lines[1].get_color()]
    assert [tick["text"] for tick in page["y"]["ticks"]] == ["1", "10"]


def test_one_line_needs_no_legend():
    drawn = lines.draw([Line("a", "", [(0, 1)])], Axis("x", (0, 1)), Axis("y", (0, 1)), "t").axes[0]
    assert drawn.get_legend() is None
