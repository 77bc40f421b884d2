"""The ladder as a figure: AP from fine levels to coarse, one line per model and merge rule."""

from __future__ import annotations

from collections.abc import Sequence

from inatdet.data.granularity import Granularity
from inatdet.evaluation.average_precision import METRICS
from inatdet.evaluation.granularities import Merge, Table6Row
from inatdet.evaluation.results import Results
from inatdet.report import ladder_lines
from inatdet.report.figures import Figure
from inatdet.report.ladder_chart import PAGE_PART, Ladder, draw, on_page
from inatdet.report.ladder_lines import Line, Rung

AP = METRICS.index("AP")


def levels_of(rows: Sequence[Table6Row]) -> tuple[Granularity, ...]:
    """The levels of some rows of a ladder, from fine to coarse; the finest model has them all."""
    return ladder_lines.levels_of(_rungs(rows))


def lines_of(rows: Sequence[Table6Row]) -> tuple[Line, ...]:
    """The lines that have a number, in the order of the rows."""
    return ladder_lines.lines_of(_rungs(rows), [str(merge) for merge in Merge])


def _rungs(rows: Sequence[Table6Row]) -> list[Rung]:
    return [
        Rung(
            str(row.trained_on),
            str(row.merge),
            row.evaluated_on,
            row.values[AP],
            row.merge is Merge.NONE and row.evaluated_on is row.trained_on,
        )
        for row in rows
    ]


def _ladder(results: Results) -> Ladder:
    rows = results.ladder
    return Ladder(
        levels_of(rows), lines_of(rows), results.counts.classes, "AP", "Model, merge rule"
    )


LADDER: Figure[Results] = Figure(
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
    draw=lambda results: draw(_ladder(results)),
    on_page=lambda results: on_page(_ladder(results)),
    page_part=PAGE_PART,
)
