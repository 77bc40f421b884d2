"""The reliability diagrams: precision against score, one diagram per level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inatdet.data.granularity import Granularity
from inatdet.evaluation.calibration import CalibrationRow, ScoreBin
from inatdet.evaluation.granularities import Merge, Table6Row
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
from inatdet.report.ladder_lines import LONGEST_NAME, look_of
from inatdet.report.table import Table, printed
from inatdet.report.text import shortened

if TYPE_CHECKING:
    import matplotlib.figure

COLUMNS = (
    "trained_on", "evaluated_on", "merge", "score_from", "score_to", "detections", "mean_score",
    "precision",
)  # fmt: skip

HIGH = 50
"""From which score on, in percent, a detection is likely to be used."""

FEW = 10
"""With fewer detections than these, a bin's precision says little, and its marker is hollow."""

_ACROSS = 3  # diagrams beside each other
_X_LABEL = "mean score (percent)"
_Y_LABEL = "precision (percent)"

# The page's coordinates: the corners of the axes.
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 308, 30, 292


@dataclass(frozen=True)
class Line:
    """The bins of one model and merge rule at a level.

    Attributes:
        name: what the legend calls it.
        bins: those that have detections.
        color: of the model.
        marker: of the model, as Matplotlib calls it.
        style: of the rule, as Matplotlib calls it.
    """

    name: str
    bins: tuple[ScoreBin, ...]
    color: str
    marker: str
    style: str


def diagrams_of(rows: Sequence[CalibrationRow]) -> dict[Granularity, tuple[Line, ...]]:
    """The lines of each level that has detections, from fine to coarse."""
    models = list(dict.fromkeys(row.trained_on for row in rows))
    lines: dict[Granularity, list[Line]] = {}
    # The finest model has all levels.
    for row in rows:
        level = lines.setdefault(row.evaluated_on, [])
        if row.calibration.detections:
            level.append(
                Line(
                    f"{shortened(str(row.trained_on), LONGEST_NAME)}, {row.merge}",
                    tuple(each for each in row.calibration.bins if each.detections),
                    *look_of(models.index(row.trained_on), row.merge),
                )
            )
    return {level: tuple(found) for level, found in lines.items() if found}


def table_of(rows: Sequence[CalibrationRow]) -> Table[Any]:
    """The bins as a table, all of each row's."""
    return Table(
        COLUMNS,
        tuple(
            (
                *map(str, row.key),
                each.lower,
                each.upper,
                each.detections,
                each.mean_score,
                each.precision,
            )
            for row in rows
            for each in row.calibration.bins
        ),
    )


def draw(rows: Sequence[CalibrationRow]) -> matplotlib.figure.Figure:
    """Draws the diagrams; without any row, the axes of one are empty."""
    diagrams: dict[str, tuple[Line, ...]] = {
        f"on {shortened(str(level), LONGEST_NAME)}": lines
        for level, lines in diagrams_of(rows).items()
    }
    diagrams = diagrams or {"": ()}
    across = min(_ACROSS, len(diagrams))
    down = -(-len(diagrams) // across)
    figure = blank(3.1 * across + 2.2, 3.1 * down + 0.3)
    drawn: dict[str, Any] = {}
    for place, (title, lines) in enumerate(diagrams.items(), 1):
        axes = figure.add_subplot(down, across, place)
        axes.plot([0, 100], [0, 100], color="0.6", linewidth=1, linestyle="--")
        for line in lines:
            look: dict[str, Any] = {"color": line.color, "linestyle": line.style}
            bars = axes.errorbar(
                [each.mean_score for each in line.bins],
                [each.precision for each in line.bins],
                yerr=list(zip(*(_bar(each.precision) for each in line.bins))),
                marker=line.marker,
                markersize=4,
                linewidth=1.4,
                elinewidth=0.8,
                **look,
            )
            few = [each for each in line.bins if each.detections < FEW]
            axes.plot(
                [each.mean_score for each in few],
                [each.precision for each in few],
                marker=line.marker,
                markersize=4,
                linestyle="",
                color=line.color,
                markerfacecolor="white",
            )
            drawn.setdefault(line.name, bars)
        axes.set(xlim=(-2, 102), ylim=(-2, 102), xlabel=_X_LABEL, ylabel=_Y_LABEL)
        axes.set_box_aspect(1)
        axes.set_title(title, fontsize=10)
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    legend_beside(
        figure,
        list(drawn.values()),
        list(drawn),
        "Model, merge rule",
        handlelength=4,
        loc="outside right upper",
    )
    return figure


def _bar(value: float) -> tuple[float, float]:
    """How far the 95% interval of a share goes down and up, within 0 to 100."""
    return min(margin(value), value), min(margin(value), 100 - value)


def in_words(results: Results) -> str:
    """What the scores of each model are worth at its own level, and which models are left out."""
    sentences = []
    for row in results.calibration:
        if row.trained_on is row.evaluated_on:
            high = [each for each in row.calibration.bins if each.detections and each.lower >= HIGH]
            count = sum(each.detections for each in high)
            scores, right = (
                sum(each.detections * value for each, value in zip(high, values)) / max(count, 1)
                for values in ([b.mean_score for b in high], [b.precision for b in high])
            )
            sentences.append(
                f"Of {count:,} detections of the {row.trained_on} model with scores of {HIGH}% or "
                f"more, {right:.0f}% are right; their mean score is {scores:.0f}%."
                if count
                else f"No detection of the {row.trained_on} model has a score of {HIGH}% or more."
            )
    return " ".join([*sentences, left_out(results)]).strip()


def left_out(results: Results) -> str:
    """Which models have no calibration, and why, in a sentence; empty where all have one."""
    known = {row.key for row in results.calibration}
    models = dict.fromkeys(
        f"{row.trained_on} model{_summed(row)}"
        for row in results.ladder or results.table6
        if row.key not in known
    )
    if not models:
        return ""
    return (
        f"Calibration is left out for the {' and the '.join(models)}: scores below 0 or above 1 "
        "are no probabilities."
    )


def _summed(row: Table6Row) -> str:
    return f" summed for {row.evaluated_on}" if row.merge is Merge.MARGINAL else ""


def _on_page(results: Results) -> dict[str, Any]:
    diagrams = diagrams_of(results.calibration)
    samples = {line.name: line for lines in diagrams.values() for line in lines}
    names = list(samples)
    return {
        "axes": {"left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM},
        "ticks": [
            {"x": _x(value), "y": _y(value), "text": str(value)} for value in range(0, 101, 20)
        ],
        "x_label": _X_LABEL,
        "y_label": _Y_LABEL,
        "legend": [
            {
                "name": line.name,
                "color": page_color(line.color),
                "dashes": page_dashes(line.style),
                "sample": page_marker(line.marker, 20, 6),
            }
            for line in samples.values()
        ],
        "diagrams": [
            {
                "name": str(level),
                "lines": [_line(line, names.index(line.name) + 1) for line in lines],
            }
            for level, lines in diagrams.items()
        ],
        "margins": any(
            margin(each.precision)
            for lines in diagrams.values()
            for line in lines
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


RELIABILITY = Figure(
    name="reliability",
    heading="Reliability diagrams",
    link="",
    note=(
        "One diagram per level, one point per bin of scores: how often its detections are right "
        "against their mean score. On the dashed line, scores are probabilities; below it, the "
        "model is over-confident, above it under-confident. Bars are 95% intervals, where there "
        f"are any; hollow points stand for fewer than {FEW} detections. reliability.csv has the "
        "number of detections of each point; on the page it is shown when the point is pointed at."
    ),
    alt="Precision against mean score, one diagram per level, one line per model and merge rule",
    image_file="reliability.png",
    exists=lambda results: bool(diagrams_of(results.calibration)),
    draw=lambda results: draw(results.calibration),
    on_page=_on_page,
    page_part="calibration.html",
    table_file="reliability.csv",
    table=lambda results: table_of(results.calibration),
)
