"""Reliability diagrams: how often answers are right against their scores, one per level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inatdet.data.granularity import Granularity
from inatdet.evaluation.calibration import FEW, Calibration, ScoreBin
from inatdet.report.figures import (
    blank,
    legend_beside,
    margin,
    page_bars,
    page_color,
    page_dashes,
    page_marker,
)
from inatdet.report.model_lines import LONGEST_NAME, ModelLine, look_of
from inatdet.report.table import Table, printed
from inatdet.report.text import shortened

if TYPE_CHECKING:
    import matplotlib.figure
    from matplotlib.axes import Axes

PAGE_PART = "calibration.html"
"""The template among the assets that shows `on_page`."""

_TICKS = range(0, 101, 25)
_ACROSS = 3  # diagrams beside each other

# In inches: the place of a diagram, its axes' side and what is beside and above these; the legend.
_PLACE, _SIDE, _BESIDE, _ABOVE = 3.1, 2.3, 0.6, 0.3
_LEGEND = 2.6

# The page's coordinates: the corners of the axes.
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 308, 30, 292


@dataclass(frozen=True)
class Words:
    """What is measured, in words.

    Attributes:
        score: what answers have, such as `mean score`.
        share: how many of them are right, such as `precision`.
        legend: the title of the legend.
    """

    score: str
    share: str
    legend: str


@dataclass(frozen=True)
class Line(ModelLine):
    """The bins of one model and rule at a level.

    Attributes:
        bins: those that have answers.
    """

    bins: tuple[ScoreBin, ...]


@dataclass(frozen=True)
class Diagram:
    """The lines at one level.

    Attributes:
        level: the level.
        lines: in the order of the rows.
    """

    level: Granularity
    lines: tuple[Line, ...]

    @property
    def title(self) -> str:
        """What stands above it."""
        return f"on {shortened(str(self.level), LONGEST_NAME)}"


def diagrams_of(
    calibrations: Sequence[tuple[str, str, Granularity, Calibration]], rules: Sequence[str]
) -> tuple[Diagram, ...]:
    """The diagram of each level that has answers, from fine to coarse.

    Args:
        calibrations: each with its model, its rule and its level. The finest model comes first, and
            has all levels.
        rules: all there are, each of which has its own style.
    """
    models = list(dict.fromkeys(model for model, *_ in calibrations))
    lines: dict[Granularity, list[Line]] = {level: [] for _, _, level, _ in calibrations}
    for model, rule, level, found in calibrations:
        if found.detections:
            look = look_of(models.index(model), rules.index(rule))
            bins = tuple(each for each in found.bins if each.detections)
            lines[level].append(Line(model, rule, *look, bins))
    return tuple(Diagram(level, tuple(found)) for level, found in lines.items() if found)


def _legend(diagrams: Sequence[Diagram]) -> dict[tuple[str, str], Line]:
    """One line of each model and rule."""
    return {(line.model, line.rule): line for each in diagrams for line in each.lines}


def bins_table(
    columns: Sequence[str], calibrations: Iterable[tuple[Sequence[str], Calibration]]
) -> Table[Any]:
    """All bins as a table.

    Args:
        columns: those of the keys, then the bin's lower and upper score, its number of answers,
            their mean score and how many of them are right.
        calibrations: each with its key.
    """
    return Table(
        tuple(columns),
        tuple(
            (*key, each.lower, each.upper, each.detections, each.mean_score, each.precision)
            for key, found in calibrations
            for each in found.bins
        ),
    )


def draw(diagrams: Sequence[Diagram], words: Words) -> matplotlib.figure.Figure:
    """Draws the diagrams; without any, the axes of one are empty."""
    across = min(_ACROSS, max(len(diagrams), 1))
    down = max(-(-len(diagrams) // across), 1)
    legend = _legend(diagrams)
    width = _PLACE * across + _LEGEND
    height = max(_PLACE * down, 0.8 + 0.2 * len(legend))
    figure = blank(width, height)
    figure.set_layout_engine("none")  # to find the places costs as much time as the drawing
    drawn: dict[tuple[str, str], Any] = {}
    for place in range(max(len(diagrams), 1)):
        row, column = divmod(place, across)
        corner = _PLACE * column + _BESIDE, height - _PLACE * row - _ABOVE - _SIDE
        axes = figure.add_axes(
            (corner[0] / width, corner[1] / height, _SIDE / width, _SIDE / height)
        )
        axes.plot([0, 100], [0, 100], color="0.6", linewidth=1, linestyle="--")
        for diagram in diagrams[place : place + 1]:
            axes.set_title(diagram.title, fontsize=10)
            for line in diagram.lines:
                drawn[line.model, line.rule] = _draw_line(axes, line)
        axes.set(xlim=(-2, 102), ylim=(-2, 102))
        axes.set(xlabel=_in_percent(words.score), ylabel=_in_percent(words.share))
        axes.set(xticks=_TICKS, yticks=_TICKS)
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    legend_beside(
        figure,
        [drawn[key] for key in legend],
        [line.name for line in legend.values()],
        words.legend,
        handlelength=4,
        loc="upper left",
        bbox_to_anchor=(_PLACE * across / width, 1 - _ABOVE / 2 / height),
    )
    return figure


def _draw_line(axes: Axes, line: Line) -> Any:
    """Draws a line; what it returns stands for it in a legend."""
    look: dict[str, Any] = {"marker": line.marker, "markersize": 4, "color": line.color}
    bars = axes.errorbar(
        [each.mean_score for each in line.bins],
        [each.precision for each in line.bins],
        yerr=list(zip(*(_bar(each.precision) for each in line.bins))),
        linestyle=line.style,
        linewidth=1.4,
        elinewidth=0.8,
        **look,
    )
    few = [each for each in line.bins if each.detections < FEW]
    axes.plot(
        [each.mean_score for each in few],
        [each.precision for each in few],
        linestyle="",
        markerfacecolor="white",
        zorder=3,
        **look,
    )
    return bars


def _bar(value: float) -> tuple[float, float]:
    """How far the 95% interval of a share goes down and up, within 0 to 100."""
    return min(margin(value), value), min(margin(value), 100 - value)


def _in_percent(name: str) -> str:
    return f"{name} (percent)"


def on_page(diagrams: Sequence[Diagram], words: Words) -> dict[str, Any]:
    """What the page's template shows, as plain values."""
    legend = _legend(diagrams)
    numbers = {key: number for number, key in enumerate(legend, 1)}
    return {
        "axes": {"left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM},
        "ticks": [{"x": _x(value), "y": _y(value), "text": str(value)} for value in _TICKS],
        "label": f"{words.share.capitalize()} against {words.score}",
        "x_label": _in_percent(words.score),
        "y_label": _in_percent(words.share),
        "legend": [
            {
                "name": line.name,
                "color": page_color(line.color),
                "dashes": page_dashes(line.style),
                "sample": page_marker(line.marker, 20, 6),
            }
            for line in legend.values()
        ],
        "diagrams": [
            {
                "title": each.title,
                "lines": [_line(line, numbers[line.model, line.rule]) for line in each.lines],
            }
            for each in diagrams
        ],
        "margins": any(
            margin(each.precision)
            for diagram in diagrams
            for line in diagram.lines
            for each in line.bins
        ),
    }


def _line(line: Line, number: int) -> dict[str, Any]:
    at = [(_x(each.mean_score), _y(each.precision)) for each in line.bins]
    return {
        "number": number,
        "name": line.name,
        "color": page_color(line.color),
        "dashes": page_dashes(line.style),
        "points": " ".join(f"{x},{y}" for x, y in at),
        "bars": "".join(page_bars(x, each.precision, _y) for each, (x, _) in zip(line.bins, at)),
        "markers": [
            {
                "path": page_marker(line.marker, x, y),
                "text": f"{line.name}: {_in_words(each)}",
                "is_hollow": each.detections < FEW,
            }
            for each, (x, y) in zip(line.bins, at)
        ],
    }


def _in_words(each: ScoreBin) -> str:
    return (
        f"{each.detections:,} with scores of {each.lower:.0f} to {each.upper:.0f}%, "
        f"{printed(each.mean_score)}% on average; {printed(each.precision)}% of them are right"
    )


def _x(value: float) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * value / 100, 1)


def _y(value: float) -> float:
    return round(_BOTTOM - (_BOTTOM - _TOP) * min(max(value, 0.0), 100.0) / 100, 1)
