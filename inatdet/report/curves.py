"""The paper's Figure 6: precision against recall at IoU .5, one curve per super-class.

A super-class's curve is the mean over its fine classes of COCO's 101-point interpolated precision,
so the area under it is the super-class's AP50.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inatdet.evaluation.average_precision import RECALLS
from inatdet.evaluation.results import Results
from inatdet.evaluation.super_classes import Curve
from inatdet.report.figures import (
    COLORS,
    STYLES,
    Figure,
    blank,
    legend_beside,
    page_color,
    page_dashes,
)
from inatdet.report.table import Table
from inatdet.report.text import shortened

if TYPE_CHECKING:
    import matplotlib.figure

_LONGEST_NAME = 40  # characters of a name in the legend
_LONGEST_ON_PAGE = 60

COLUMNS = ("super_class", "recall", "precision")


def line_style(index: int) -> tuple[str, str]:
    """The color and Matplotlib line style of a curve, by its position among the curves."""
    return COLORS[index % len(COLORS)], STYLES[index // len(COLORS) % len(STYLES)]


def table_of(curves: Sequence[Curve]) -> Table[Any]:
    """The curves as a table, 101 rows each."""
    rows = tuple(
        (curve.super_class, round(recall, 2), precision)
        for curve in curves
        for recall, precision in zip(RECALLS.tolist(), curve.precision.tolist())
    )
    return Table(COLUMNS, rows)


def draw(curves: Sequence[Curve]) -> matplotlib.figure.Figure:
    """Draws the curves, with their areas in the legend, largest first."""
    figure = blank(7.4, 4.6)
    axes = figure.add_subplot()
    styles = {curve.super_class: line_style(index) for index, curve in enumerate(curves)}
    by_area = sorted(curves, key=lambda curve: -curve.auc)
    lines = []
    for curve in by_area:
        color, style = styles[curve.super_class]
        lines += axes.plot(RECALLS, curve.precision, linewidth=1.8, color=color, linestyle=style)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Recall", ylabel="Precision")
    axes.set_title("IoU 0.5, mean over the fine classes of each super-class", fontsize=10)
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    names = [shortened(curve.super_class, _LONGEST_NAME) for curve in by_area]
    legend_beside(
        axes,
        lines,
        [f"{name} ({curve.auc:.3f})" for name, curve in zip(names, by_area)],
        "Super-class (AUC)",
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
    )
    return figure


def _on_page(results: Results) -> dict[str, Any]:
    return {"curves": [_curve(index, curve) for index, curve in enumerate(results.curves)]}


def _curve(index: int, curve: Curve) -> dict[str, str]:
    color, style = line_style(index)
    points = zip(RECALLS.tolist(), curve.precision.tolist())
    return {
        "name": shortened(curve.super_class, _LONGEST_ON_PAGE),
        "auc": f"{curve.auc:.3f}",
        "color": page_color(color),
        "dashes": page_dashes(style),
        "points": " ".join(f"{50 + 580 * r:.1f},{400 - 390 * p:.1f}" for r, p in points),
    }


CURVES = Figure(
    name="curves",
    heading="Figure 6: precision and recall at IoU 0.5",
    link="Curves",
    note=(
        "One curve per super-class: the mean over its fine classes. In parentheses the area under "
        "the curve, which is AP50."
    ),
    alt="One curve per super-class",
    image_file="pr_curves.png",
    exists=lambda results: bool(results.curves),
    draw=lambda results: draw(results.curves),
    on_page=_on_page,
    page_part="curves.html",
    table_file="pr_curves.csv",
    table=lambda results: table_of(results.curves),
)
