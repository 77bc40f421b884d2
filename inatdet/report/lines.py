"""A chart of lines, drawn twice from one description: by Matplotlib, and as SVG on the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inatdet.report.figures import (
    COLORS,
    STYLES,
    blank,
    legend_beside,
    page_color,
    page_dashes,
)
from inatdet.report.text import shortened

if TYPE_CHECKING:
    import matplotlib.figure

PAGE_PART = "lines.html"
"""The template among the assets that shows `on_page`."""

_LONGEST_NAME = 40  # characters of a name in the legend
_LONGEST_ON_PAGE = 60
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 630, 10, 400  # of the page's axes
_MOST_TICKS = 6
_MOST_DECADES = 4  # with ticks at 2 and 5


@dataclass(frozen=True)
class Axis:
    """One of two axes.

    Attributes:
        title: what it shows.
        ticks: where it has numbers, the first at its beginning and the last at its end.
        is_log: whether equal distances are equal factors.
    """

    title: str
    ticks: Sequence[float]
    is_log: bool = False

    def place(self, value: float) -> float:
        """Where a value stands, 0 at the beginning and 1 at the end; beyond, it stays there."""
        low, high, at = (
            self.ticks[0],
            self.ticks[-1],
            min(max(value, self.ticks[0]), self.ticks[-1]),
        )
        if self.is_log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low)


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        name: as the legend has it.
        number: what follows the name in parentheses; may be empty.
        points: pairs of values.
        index: which color and style it has.
    """

    name: str
    number: str
    points: Sequence[tuple[float, float]]
    index: int = 0

    @property
    def color(self) -> str:
        """Its color."""
        return COLORS[self.index % len(COLORS)]

    @property
    def style(self) -> str:
        """Its style, as Matplotlib calls it."""
        return STYLES[self.index // len(COLORS) % len(STYLES)]

    def label(self, most: int) -> str:
        """The name, with at most so many characters of it, and the number."""
        name = shortened(self.name, most)
        return f"{name} ({self.number})" if self.number else name


def ticks_up_to(value: float) -> list[float]:
    """Round numbers from 0 to one that is at least `value`, six at most."""
    value = max(value, 1e-9)
    power = 10.0 ** math.floor(math.log10(value / _MOST_TICKS))
    steps = (factor * power for factor in (1, 2, 5, 10, 20))
    step = next(s for s in steps if math.ceil(value / s) < _MOST_TICKS)
    return [round(i * step, 10) for i in range(math.ceil(value / step) + 1)]


def ticks_of_log(low: float, high: float) -> list[float]:
    """Round numbers for a logarithmic axis, from one that is at most `low` to one above `high`.

    Args:
        low: above 0.
        high: not less.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if last - first > _MOST_DECADES:
        return [10.0**power for power in range(first, last + 1)]
    every = [factor * 10.0**power for power in range(first, last + 1) for factor in (1, 2, 5)]
    start = max(tick for tick in every if tick <= low)
    end = min(tick for tick in every if tick > high)
    return [tick for tick in every if start <= tick <= end]


def draw(
    lines: Sequence[Line], x: Axis, y: Axis, title: str, legend: str = ""
) -> matplotlib.figure.Figure:
    """Draws lines with Matplotlib.

    Args:
        lines: in the order of the legend.
        x: the horizontal axis.
        y: the vertical axis.
        title: what stands above the chart.
        legend: the title of the legend; without it there is none.
    """
    figure = blank(7.4, 4.6)
    axes = figure.add_subplot()
    drawn = []
    for line in lines:
        drawn += axes.plot(
            [point[0] for point in line.points],
            [point[1] for point in line.points],
            linewidth=1.8,
            color=line.color,
            linestyle=line.style,
        )
    for axis, set_scale, set_ticks, set_limits in (
        (x, axes.set_xscale, axes.set_xticks, axes.set_xlim),
        (y, axes.set_yscale, axes.set_yticks, axes.set_ylim),
    ):
        if axis.is_log:
            set_scale("log")
        set_ticks(axis.ticks, [_text(tick) for tick in axis.ticks])
        set_limits(axis.ticks[0], axis.ticks[-1])
    if not y.is_log:  # half of a line at the top is not to be cut off
        axes.set_ylim(y.ticks[0], y.ticks[-1] * 1.02)
    axes.set(xlabel=x.title, ylabel=y.title)
    axes.set_title(title, fontsize=10)
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    if legend:
        names = [line.label(_LONGEST_NAME) for line in lines]
        legend_beside(axes, drawn, names, legend, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def on_page(lines: Sequence[Line], x: Axis, y: Axis, label: str) -> dict[str, Any]:
    """What the page's template shows, as plain values.

    Args:
        lines: in the order of the legend.
        x: the horizontal axis.
        y: the vertical axis.
        label: what the chart shows, for those who cannot see it.
    """

    def across(value: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * x.place(value), 1)

    def up(value: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * y.place(value), 1)

    return {
        "label": label,
        "x": {"title": x.title, "ticks": [{"at": across(t), "text": _text(t)} for t in x.ticks]},
        "y": {"title": y.title, "ticks": [{"at": up(t), "text": _text(t)} for t in y.ticks]},
        "lines": [
            {
                "name": shortened(line.name, _LONGEST_ON_PAGE),
                "number": line.number,
                "color": page_color(line.color),
                "dashes": page_dashes(line.style),
                "points": " ".join(f"{across(a)},{up(b)}" for a, b in line.points),
            }
            for line in lines
        ],
    }


def _text(tick: float) -> str:
    return f"{tick:,.10g}"
