"""The paper's Figure 6: precision against recall at IoU .5, one curve per super-class.

A super-class's curve is the mean over its fine classes of COCO's 101-point interpolated precision,
so the area under it is the super-class's AP50.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inatdet.evaluation.average_precision import RECALLS
from inatdet.evaluation.super_classes import Curve
from inatdet.files import atomic_path
from inatdet.report.table import Table
from inatdet.report.text import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

_LONGEST_NAME = 40  # characters of a name in the legend
_FONT = "DejaVu Sans"  # comes with Matplotlib

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
    by_area = sorted(curves, key=lambda curve: -curve.auc)
    lines = []
    for curve in by_area:
        color, style = styles[curve.super_class]
        lines += axes.plot(RECALLS, curve.precision, linewidth=1.8, color=color, linestyle=style)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Recall", ylabel="Precision")
    axes.set_title("IoU 0.5, mean over the fine classes of each super-class", fontsize=10)
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    if curves:
        # The names come later: Matplotlib leaves out labels that begin with an underscore.
        legend = axes.legend(
            lines,
            [str(index) for index, _ in enumerate(lines)],
            title="Super-class (AUC)",
            fontsize=9,
            frameon=False,
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
        )
        names = [shortened(curve.super_class, _LONGEST_NAME) for curve in by_area]
        labels = [f"{name} ({curve.auc:.3f})" for name, curve in zip(names, by_area)]
        _write(legend.get_texts(), labels)
    return figure


def _write(places: Sequence[Text], texts: Sequence[str]) -> None:
    """Writes texts as they are, in fonts that have their characters where there are any."""
    from matplotlib import font_manager

    def characters_of(path: str) -> set[int]:
        return set(font_manager.get_font(path).get_charmap())

    missing = set(map(ord, "".join(texts)))
    missing -= characters_of(font_manager.findfont(_FONT))
    families = [_FONT]
    for font in sorted(font_manager.fontManager.ttflist, key=lambda font: font.name):
        if not missing:
            break
        with contextlib.suppress(OSError, RuntimeError):  # fonts may be removed or damaged
            if found := missing & characters_of(font.fname):
                missing -= found
                families.append(font.name)
    unknown = dict.fromkeys(missing, "\N{REPLACEMENT CHARACTER}")
    for place, text in zip(places, texts):
        place.set_parse_math(False)
        place.set_fontfamily(families)
        place.set_text(text.translate(unknown))


def save_png(curves: Sequence[Curve], path: str | os.PathLike[str]) -> None:
    """Writes the drawing as PNG."""
    figure = draw(curves)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
