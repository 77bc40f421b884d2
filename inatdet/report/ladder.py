"""The ladder as a figure: AP from fine levels to coarse, one line per model and merge rule."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inatdet.data.granularity import Granularity
from inatdet.evaluation.granularities import Table6Row
from inatdet.evaluation.results import Results
from inatdet.report.figures import (
    Figure,
    blank,
    legend_beside,
    margin,
    page_bars,
    page_color,
    page_dashes,
    page_marker,
)
from inatdet.report.ladder_lines import AP, LONGEST_NAME, Line, levels_of, lines_of
from inatdet.report.table import printed
from inatdet.report.text import shortened

if TYPE_CHECKING:
    import matplotlib.figure

_MOST_LEVEL = 4  # more names than these are turned, to have room beside each other

# The page's coordinates: the corners of the axes.
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 630, 12, 330
_TURNED = 7  # how far a character of a turned name goes to the left and down, at most


def draw(rows: Sequence[Table6Row], labels: Mapping[Granularity, int]) -> matplotlib.figure.Figure:
    """Draws the ladder.

    Args:
        rows: of the ladder; without any, the axes are empty.
        labels: how many labels each level has.
    """
    levels, lines = levels_of(rows), lines_of(rows)
    figure = blank(max(8.4, 4.2 + 0.6 * len(levels)), max(4.8, 0.8 + 0.2 * len(lines)))
    axes = figure.add_subplot()
    drawn = []
    for line in lines:
        look: dict[str, Any] = {"color": line.color, "linewidth": 1.6, "markersize": 5}
        look |= {"linestyle": line.style, "marker": line.marker}
        markers = [place for place, point in enumerate(line.points) if point.is_own]
        x, y = [point.x for point in line.points], [point.value for point in line.points]
        drawn += axes.plot(x, y, markevery=markers, **look)
        own = [point for point in line.points if point.is_own]
        if any(margin(point.value) for point in own):
            axes.errorbar(
                [point.x for point in own],
                [point.value for point in own],
                yerr=[margin(point.value) for point in own],
                fmt="none",
                ecolor=line.color,
                elinewidth=1,
                capsize=2.5,
            )
    low, high, _ = _scale(rows)
    axes.set(xlim=(-0.5, max(len(levels), 1) - 0.5), ylim=(low, high), ylabel="AP (percent)")
    axes.set_xlabel("level (number of labels), from fine to coarse")
    turned: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(
        range(len(levels)),
        [_under_axis(level, labels) for level in levels],
        **(turned if len(levels) > _MOST_LEVEL else {}),
    )
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    legend_beside(
        axes,
        drawn,
        [line.name for line in lines],
        "Model, merge rule",
        handlelength=4,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
    )
    return figure


def _under_axis(level: Granularity, labels: Mapping[Granularity, int]) -> str:
    return f"{shortened(str(level), LONGEST_NAME)} ({labels[level]:,})"


def _scale(rows: Sequence[Table6Row]) -> tuple[int, int, int]:
    """Where the axis of AP begins and ends, and the distance of its ticks, in percent."""
    ends = [
        (value - margin(value), value + margin(value))
        for row in rows
        if not math.isnan(value := row.values[AP])
    ] or [(0.0, 0.0)]
    low = max(0, 10 * math.floor(min(end[0] for end in ends) / 10))
    high = min(100, 10 * math.ceil(max(end[1] for end in ends) / 10))
    if high <= low:
        low, high = min(low, 90), min(low, 90) + 10
    return low, high, 5 if high - low <= 20 else 10 if high - low <= 60 else 20


def _on_page(results: Results) -> dict[str, Any]:
    rows, labels = results.ladder, results.counts.classes
    levels = levels_of(rows)
    low, high, step = _scale(rows)
    width = (_RIGHT - _LEFT) / len(levels)

    def x(place: float) -> float:
        return round(_LEFT + width * (place + 0.5), 1)

    def y(value: float) -> float:
        inside = min(max(value, low), high)
        return round(_BOTTOM - (_BOTTOM - _TOP) * (inside - low) / (high - low), 1)

    def line(line: Line) -> dict[str, Any]:
        own = [point for point in line.points if point.is_own]
        return {
            "name": line.name,
            "color": page_color(line.color),
            "dashes": page_dashes(line.style),
            "sample": page_marker(line.marker, 20, 6),
            "points": " ".join(f"{x(point.x)},{y(point.value)}" for point in line.points),
            "bars": "".join(page_bars(x(p.x), p.value, y) for p in own),
            "markers": [
                {
                    "path": page_marker(line.marker, x(point.x), y(point.value)),
                    "text": f"{line.name}, on {point.level}: {printed(point.value)}",
                }
                for point in own
            ],
        }

    names = [_under_axis(level, labels) for level in levels]
    is_turned = len(levels) > _MOST_LEVEL
    room = 12 + _TURNED * max(map(len, names)) if is_turned else 24
    cut = max(_TURNED * len(name) - x(place) for place, name in enumerate(names))
    return {
        "axes": {"left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM},
        "height": _BOTTOM + room + 26,
        "beyond": max(0, round(cut)) if is_turned else 0,
        "turned": is_turned,
        "levels": [{"x": x(place), "name": name} for place, name in enumerate(names)],
        "ticks": [{"y": y(tick), "text": str(tick)} for tick in range(low, high + 1, step)],
        "lines": [line(each) for each in lines_of(rows)],
        "margins": any(margin(row.values[AP]) for row in rows),
    }


LADDER: Figure[Results] = Figure(
    name="ladder_figure",
    heading="AP at every rank, drawn",
    link="",
    note=(
        "One line per model and merge rule, from fine levels to coarse ones; in parentheses the "
        "number of labels of each level. A line begins at the model's own level, where there is "
        "nothing to merge. Bars are 95% intervals, where there are any; points stand a little "
        "beside their level so that these do not hide each other."
    ),
    alt="AP against level, one line per model and merge rule",
    image_file="ladder.png",
    exists=lambda results: bool(lines_of(results.ladder)),
    draw=lambda results: draw(results.ladder, results.counts.classes),
    on_page=_on_page,
    page_part="ladder.html",
)
