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
from inatdet.report import lines
from inatdet.report.figures import Figure
from inatdet.report.lines import Axis, Line
from inatdet.report.table import Table

if TYPE_CHECKING:
    import matplotlib.figure

_TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)
_RECALL, _PRECISION = Axis("Recall", _TICKS), Axis("Precision", _TICKS)

COLUMNS = ("super_class", "recall", "precision")


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
    by_area = sorted(zip(_lines(curves), curves), key=lambda pair: -pair[1].auc)
    return lines.draw(
        [line for line, _ in by_area],
        _RECALL,
        _PRECISION,
        "IoU 0.5, mean over the fine classes of each super-class",
        "Super-class (AUC)",
    )


def _lines(curves: Sequence[Curve]) -> list[Line]:
    return [
        Line(
            curve.super_class,
            f"{curve.auc:.3f}",
            list(zip(RECALLS.tolist(), curve.precision.tolist())),
            index,
        )
        for index, curve in enumerate(curves)
    ]


def _on_page(results: Results) -> dict[str, Any]:
    return lines.on_page(_lines(results.curves), _RECALL, _PRECISION, "Precision against recall")


CURVES: Figure[Results] = Figure(
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
    page_part=lines.PAGE_PART,
    table_file="pr_curves.csv",
    table=lambda results: table_of(results.curves),
)
