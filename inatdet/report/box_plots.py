"""Box plots, drawn twice from one description: by Matplotlib, and as SVG on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inatdet.report.figures import blank, write_texts
from inatdet.report.table import printed
from inatdet.report.text import shortened

if TYPE_CHECKING:
    import matplotlib.figure
    from matplotlib.axes import Axes

PAGE_PART = "boxes.html"
"""The template among the assets that shows `on_page`."""

_TICKS = range(0, 101, 20)
_ABOVE = 8  # percent above 100, for numbers on boxes that reach it
_LONGEST_TITLE = 60
_WIDTH, _HEIGHT = 7.4, 3.6  # of one chart, in inches
_FILL, _EDGE, _MEDIAN = "#56B4E9", "#0072B2", "#D55E00"

# The page's coordinates: the corners of the axes, and half the width of a box at most.
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 630, 34, 300
_HALF = 24


@dataclass(frozen=True)
class Box:
    """One box, from the lower to the upper quartile, with whiskers.

    Attributes:
        name: what stands below it.
        count: how many values it stands for, which is written on it.
        low: where the lower whisker ends.
        lower: the lower quartile.
        median: the line in the box.
        upper: the upper quartile.
        high: where the upper whisker ends.
        mean: the point.
    """

    name: str
    count: int
    low: float
    lower: float
    median: float
    upper: float
    high: float
    mean: float

    def in_words(self, of: str) -> str:
        """All its numbers; `of` says what is counted."""
        return (
            f"{self.name}: {self.count:,} {of}, median {printed(self.median)}, quartiles "
            f"{printed(self.lower)} and {printed(self.upper)}, mean {printed(self.mean)}"
        )


@dataclass(frozen=True)
class Chart:
    """Boxes beside each other.

    Attributes:
        title: what stands above them.
        boxes: from left to right; values are percentages.
    """

    title: str
    boxes: Sequence[Box]


@dataclass(frozen=True)
class Words:
    """What the boxes show, in words.

    Attributes:
        x: the title of the horizontal axis.
        y: that of the vertical one.
        of: what is counted.
    """

    x: str
    y: str
    of: str


def draw(charts: Sequence[Chart], words: Words) -> matplotlib.figure.Figure:
    """Draws charts below each other; without any, the axes of one are empty."""
    figure = blank(_WIDTH, _HEIGHT * max(len(charts), 1))
    all_axes = figure.subplots(max(len(charts), 1), squeeze=False)[:, 0]
    for axes in all_axes:
        axes.set(xlabel=words.x, ylabel=words.y, ylim=(-2, 100 + _ABOVE), yticks=_TICKS)
        axes.grid(color="0.9", axis="y")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    for axes, chart in zip(all_axes, charts):
        _draw_chart(axes, chart)
    return figure


def _draw_chart(axes: Axes, chart: Chart) -> None:
    title = axes.set_title("title", fontsize=10)
    write_texts([title], [shortened(chart.title, _LONGEST_TITLE)])
    axes.bxp(
        [
            {
                "label": box.name,
                "whislo": box.low,
                "q1": box.lower,
                "med": box.median,
                "q3": box.upper,
                "whishi": box.high,
                "mean": box.mean,
                "fliers": [],
            }
            for box in chart.boxes
        ],
        widths=0.6,
        patch_artist=True,
        showmeans=True,
        boxprops={"facecolor": _FILL, "edgecolor": _EDGE},
        medianprops={"color": _MEDIAN, "linewidth": 2},
        meanprops={"marker": "o", "markersize": 4, "markerfacecolor": "black"}
        | {"markeredgecolor": "black"},
    )
    for place, box in enumerate(chart.boxes, 1):
        axes.annotate(
            f"{box.count:,}",
            (place, box.high),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )


def on_page(charts: Sequence[Chart], words: Words) -> dict[str, Any]:
    """What the page's template shows, as plain values."""
    return {
        "axes": {"left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM},
        "ticks": [{"y": _y(tick), "text": str(tick)} for tick in _TICKS],
        "x_label": words.x,
        "y_label": words.y,
        "charts": [
            {
                "title": shortened(chart.title, _LONGEST_TITLE),
                "boxes": list(_boxes_on_page(chart.boxes, words.of)),
            }
            for chart in charts
        ],
    }


def _boxes_on_page(boxes: Sequence[Box], of: str) -> list[dict[str, Any]]:
    room = (_RIGHT - _LEFT) / max(len(boxes), 1)
    half = min(_HALF, 0.35 * room)
    shown = []
    for place, box in enumerate(boxes):
        x = round(_LEFT + room * (place + 0.5), 1)
        low, lower, upper, high = map(_y, (box.low, box.lower, box.upper, box.high))
        cap = half / 2
        shown.append(
            {
                "x": x,
                "left": round(x - half, 1),
                "width": round(2 * half, 1),
                "top": upper,
                "height": round(lower - upper, 1),
                "median": _y(box.median),
                "mean": _y(box.mean),
                "whiskers": f"M{x} {lower}V{low}M{x} {upper}V{high}"
                f"M{x - cap} {low}h{2 * cap}M{x - cap} {high}h{2 * cap}",
                "above": round(high - 6, 1),
                "name": box.name,
                "count": f"{box.count:,}",
                "text": box.in_words(of),
            }
        )
    return shown


def _y(value: float) -> float:
    return round(_BOTTOM - (_BOTTOM - _TOP) * min(max(value, 0.0), 100.0) / 100, 1)
