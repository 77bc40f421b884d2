"""A ladder, drawn: a measure from fine levels to coarse, one line per model and rule."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inatdet.data.granularity import Granularity
from inatdet.report.figures import (
    blank,
    legend_beside,
    margin,
    page_bars,
    page_color,
    page_dashes,
    page_marker,
)
from inatdet.report.ladder_lines import Line
from inatdet.report.model_lines import LONGEST_NAME
from inatdet.report.table import printed
from inatdet.report.text import shortened

if TYPE_CHECKING:
    import matplotlib.figure

PAGE_PART = "ladder.html"
"""The template among the assets that shows `on_page`."""

_MOST_LEVEL = 4  # more names than these are turned, to have room beside each other

# The page's coordinates: the corners of the axes.
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 630, 12, 330
_TURNED = 7  # how far a character of a turned name goes to the left and down, at most


@dataclass(frozen=True)
class Ladder:
    """What is drawn.

    Attributes:
        levels: from fine to coarse.
        lines: in the order of the legend.
        labels: how many labels each level has.
        measure: the name of the numbers.
        legend: the title of the legend.
    """

    levels: tuple[Granularity, ...]
    lines: tuple[Line, ...]
    labels: Mapping[Granularity, int]
    measure: str
    legend: str

    @property
    def values(self) -> list[float]:
        """All numbers, in percent."""
        return [point.value for line in self.lines for point in line.points if point.is_own]


def draw(ladder: Ladder) -> matplotlib.figure.Figure:
    """Draws a ladder; without any line, the axes are empty."""
    levels, lines, labels = ladder.levels, ladder.lines, ladder.labels
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
    low, high, _ = _scale(ladder.values)
    axes.set(xlim=(-0.5, max(len(levels), 1) - 0.5), ylim=(low, high))
    axes.set_ylabel(f"{ladder.measure} (percent)")
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
        ladder.legend,
        handlelength=4,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
    )
    return figure


def _under_axis(level: Granularity, labels: Mapping[Granularity, int]) -> str:
    return f"{shortened(str(level), LONGEST_NAME)} ({labels[level]:,})"


def _scale(values: Sequence[float]) -> tuple[int, int, int]:
    """Where the axis begins and ends, and the distance of its ticks, in percent."""
    ends = [(value - margin(value), value + margin(value)) for value in values] or [(0.0, 0.0)]
    low = max(0, 10 * math.floor(min(end[0] for end in ends) / 10))
    high = min(100, 10 * math.ceil(max(end[1] for end in ends) / 10))
    if high <= low:
        low, high = min(low, 90), min(low, 90) + 10
    return low, high, 5 if high - low <= 20 else 10 if high - low <= 60 else 20


def on_page(ladder: Ladder) -> dict[str, Any]:
    """What the page's template shows, as plain values."""
    levels, labels = ladder.levels, ladder.labels
    low, high, step = _scale(ladder.values)
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
        "lines": [line(each) for each in ladder.lines],
        "margins": any(map(margin, ladder.values)),
        "measure": ladder.measure,
    }
