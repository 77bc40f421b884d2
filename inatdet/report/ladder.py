"""The ladder as a figure: AP from fine levels to coarse, one line per model and merge rule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from inatdet.data.granularity import Granularity
from inatdet.evaluation.average_precision import METRICS
from inatdet.evaluation.granularities import Merge, Table6Row
from inatdet.evaluation.results import Results
from inatdet.report.figures import (
    COLORS,
    STYLES,
    Figure,
    blank,
    margin,
    page_color,
    page_dashes,
    write_texts,
)
from inatdet.report.table import printed
from inatdet.report.text import shortened

if TYPE_CHECKING:
    import matplotlib.figure

AP = METRICS.index("AP")

_SHIFT = 0.08  # between lines, in levels, lest their intervals hide each other
_LONGEST_NAME = 20  # characters of a level's name under the axis
_MOST_LEVEL = 4  # more names than these are turned, to have room beside each other
_MARKERS = ("o", "s", "^", "D", "v", "X", "P")
_STYLE_OF = dict(zip(Merge, STYLES))

# The page's coordinates: the corners of the axes.
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 630, 12, 330
_SIZE = 4.5  # of a marker


@dataclass(frozen=True)
class Point:
    """A number on a line.

    Attributes:
        x: in levels, from 0; beside a whole number, so that intervals stay apart.
        level: the level.
        value: AP in percent.
        is_own: whether it belongs to this line; else it is where the line comes from, the model at
            its own level, where there is nothing to merge.
    """

    x: float
    level: Granularity
    value: float
    is_own: bool = True


@dataclass(frozen=True)
class Line:
    """A model's AP at each level, with one merge rule.

    Attributes:
        trained_on: the model's level.
        merge: the rule.
        points: from fine to coarse; levels without a number are left out.
        color: of the model.
        marker: of the model, as Matplotlib calls it.
        style: of the rule, as Matplotlib calls it.
    """

    trained_on: Granularity
    merge: Merge
    points: tuple[Point, ...]
    color: str
    marker: str
    style: str

    @property
    def name(self) -> str:
        """What the legend calls it."""
        return f"{self.trained_on}, {self.merge}"


def levels_of(rows: Sequence[Table6Row]) -> tuple[Granularity, ...]:
    """The levels of some rows of a ladder, from fine to coarse; the finest model has them all."""
    return tuple(dict.fromkeys(row.evaluated_on for row in rows))


def lines_of(rows: Sequence[Table6Row]) -> tuple[Line, ...]:
    """The lines that have a number, in the order of the rows."""
    places = {level: place for place, level in enumerate(levels_of(rows))}
    models = list(dict.fromkeys(row.trained_on for row in rows))
    groups: dict[tuple[Granularity, Merge], list[Table6Row]] = {}
    for row in rows:
        if not math.isnan(row.values[AP]):
            groups.setdefault((row.trained_on, row.merge), []).append(row)
    at_level: dict[Granularity, list[Table6Row]] = {}
    for row in (row for members in groups.values() for row in members):
        at_level.setdefault(row.evaluated_on, []).append(row)

    def point(row: Table6Row) -> Point:
        others = at_level[row.evaluated_on]
        shift = (others.index(row) - (len(others) - 1) / 2) * min(_SHIFT, 0.6 / len(others))
        return Point(places[row.evaluated_on] + shift, row.evaluated_on, row.values[AP])

    start: dict[Granularity, Point] = {}
    lines = []
    for (trained_on, merge), members in groups.items():
        points = [point(row) for row in members]
        if merge is not Merge.NONE and trained_on in start:
            points.insert(0, replace(start[trained_on], is_own=False))
        elif members[0].evaluated_on is trained_on:
            start[trained_on] = points[0]
        model = models.index(trained_on)
        lines.append(
            Line(
                trained_on,
                merge,
                tuple(points),
                COLORS[model % len(COLORS)],
                _MARKERS[model % len(_MARKERS)],
                _STYLE_OF[merge],
            )
        )
    return tuple(lines)


def draw(rows: Sequence[Table6Row], labels: Mapping[Granularity, int]) -> matplotlib.figure.Figure:
    """Draws the ladder.

    Args:
        rows: of the ladder; without any, the axes are empty.
        labels: how many labels each level has.
    """
    figure = blank(8.4, 4.8)
    axes = figure.add_subplot()
    drawn = []
    for line in lines_of(rows):
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
    levels = levels_of(rows)
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
    if drawn:
        legend = axes.legend(
            drawn,
            [str(index) for index, _ in enumerate(drawn)],
            title="Model, merge rule",
            fontsize=9,
            handlelength=4,
            frameon=False,
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
        )
        write_texts(legend.get_texts(), [line.name for line in lines_of(rows)])
    return figure


def _under_axis(level: Granularity, labels: Mapping[Granularity, int]) -> str:
    return f"{shortened(str(level), _LONGEST_NAME)} ({labels[level]:,})"


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
            "sample": _marker(line.marker, 20, 6),
            "points": " ".join(f"{x(point.x)},{y(point.value)}" for point in line.points),
            "bars": "".join(_bars((x(p.x), p.value, margin(p.value)), y) for p in own),
            "markers": [
                {
                    "path": _marker(line.marker, x(point.x), y(point.value)),
                    "text": f"{line.name}, on {point.level}: {printed(point.value)}",
                }
                for point in own
            ],
        }

    names = [_under_axis(level, labels) for level in levels]
    is_turned = len(levels) > _MOST_LEVEL
    room = 12 + 7 * max(map(len, names)) if is_turned else 24
    return {
        "axes": {"left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM},
        "height": _BOTTOM + room + 26,
        "turned": is_turned,
        "levels": [{"x": x(place), "name": name} for place, name in enumerate(names)],
        "ticks": [{"y": y(tick), "text": str(tick)} for tick in range(low, high + 1, step)],
        "lines": [line(each) for each in lines_of(rows)],
        "margins": any(margin(row.values[AP]) for row in rows),
    }


def _bars(at: tuple[float, float, float], y: Any) -> str:
    """The path of an interval; empty without one."""
    x, value, half = at
    if not half:
        return ""
    low, high = y(value - half), y(value + half)
    return f"M{x} {low}V{high}M{x - 3} {low}h6M{x - 3} {high}h6"


def _marker(kind: str, x: float, y: float) -> str:
    """The path of one of `_MARKERS` around a point."""
    size = _SIZE
    if kind == "o":
        return (
            f"M{x - size} {y}a{size} {size} 0 1 0 {2 * size} 0a{size} {size} 0 1 0 {-2 * size} 0Z"
        )
    return (
        "M" + "L".join(f"{x + size * dx:.1f} {y + size * dy:.1f}" for dx, dy in _shape(kind)) + "Z"
    )


def _shape(kind: str) -> Iterator[tuple[float, float]]:
    """The corners of a marker, around 0, in its size."""
    plus = ((-.4, -1), (.4, -1), (.4, -.4), (1, -.4), (1, .4), (.4, .4), (.4, 1), (-.4, 1),
            (-.4, .4), (-1, .4), (-1, -.4), (-.4, -.4))  # fmt: skip
    shapes: dict[str, Sequence[tuple[float, float]]] = {
        "s": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        "^": ((0, -1.1), (1.1, 0.9), (-1.1, 0.9)),
        "v": ((0, 1.1), (1.1, -0.9), (-1.1, -0.9)),
        "D": ((0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)),
        "P": plus,
        "X": [((a - b) * 0.8, (a + b) * 0.8) for a, b in plus],
    }
    yield from shapes[kind]


LADDER = Figure(
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
