"""The paper's Figure 6: precision against recall at IoU .5, one curve per super-class.

A super-class's curve is the mean over its fine classes of COCO's 101-point interpolated precision,
so the area under it is the super-class's AP50.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inatdet.evaluation.average_precision import RECALLS
from inatdet.evaluation.super_classes import Curve
from inatdet.files import atomic_path
from inatdet.report.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("super_class", "recall", "precision")

# Okabe and Ito's colors, which color-blind readers can tell apart, with line styles for print.
BLACK = "#000000"
_COLORS = (BLACK, "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
_STYLES = ("-", "--", "-.", ":")


def line_style(index: int) -> tuple[str, str]:
    """The color and Matplotlib line style of a curve, by its position among the curves."""
    return _COLORS[index % len(_COLORS)], _STYLES[index // len(_COLORS) % len(_STYLES)]


def save_csv(curves: Sequence[Curve], path: str | os.PathLike[str]) -> None:
    """Writes the curves as CSV, 101 rows each, in full precision."""
    rows = tuple(
        (curve.super_class, round(recall, 2), precision)
        for curve in curves
        for recall, precision in zip(RECALLS.tolist(), curve.precision.tolist())
    )
    table: Table[Any] = Table(COLUMNS, rows)
    table.to_csv(path)


def draw(curves: Sequence[Curve]) -> Figure:
    """Draws the curves, with their areas in the legend, largest first.

    Returns:
        A Matplotlib figure that belongs to no window, so no screen is needed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, 4.6), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    styles = {curve.super_class: line_style(index) for index, curve in enumerate(curves)}
    for curve in sorted(curves, key=lambda curve: -curve.auc):
        color, style = styles[curve.super_class]
        axes.plot(
            RECALLS,
            curve.precision,
            linewidth=1.8,
            label=f"{curve.super_class} ({curve.auc:.3f})",
            color=color,
            linestyle=style,
        )
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Recall", ylabel="Precision")
    axes.set_title("IoU 0.5, mean over the fine classes of each super-class", fontsize=10)
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    if curves:
        axes.legend(title="Super-class (AUC)", fontsize=9, frameon=False, loc="center left",
                    bbox_to_anchor=(1.0, 0.5))  # fmt: skip
    return figure


def save_png(curves: Sequence[Curve], path: str | os.PathLike[str]) -> None:
    """Writes the drawing as PNG."""
    figure = draw(curves)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
