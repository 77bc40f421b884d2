"""Tables of classification in another layout than that of the rows they are made from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from inatdet.data.rows import known
from inatdet.evaluation.classification.comparison import ComparisonRow
from inatdet.evaluation.classification.confusions import ConfusionRow
from inatdet.evaluation.classification.mistakes import MistakeRow
from inatdet.evaluation.classification.results import Results
from inatdet.evaluation.resampling import Estimate
from inatdet.evaluation.rows import Cell, Row
from inatdet.report.intervals import Named, intervals_of
from inatdet.report.table import Table

SHOWN_CONFUSIONS = 20
"""How many confusions of each model are shown."""

_HEIGHTS = ("severity", "distance1", "distance5", "distance20")

COMPARISON_COLUMNS = (
    "split", "evaluated_on", "measure", "first", "second", "first_value", "second_value",
    "difference", "std_err", "lower", "upper", "first_alone", "second_alone", "p_value",
)  # fmt: skip


def comparison_table(rows: Sequence[ComparisonRow]) -> Table[Any]:
    """Paired tests in full, with the ends of the intervals."""
    return Table(
        COMPARISON_COLUMNS,
        tuple(
            (
                row.split,
                str(row.evaluated_on),
                row.measure,
                row.first,
                row.second,
                float(row.first_value),
                float(row.second_value),
                float(row.change),
                row.change.std_err,
                row.change - row.change.margin,
                row.change + row.change.margin,
                *_alone(row),
                row.p_value,
            )
            for row in rows
        ),
    )


def short_comparison_table(rows: Sequence[ComparisonRow]) -> Table[Any]:
    """Paired tests for reading: differences with their margins, p-values as text."""
    return Table(
        (
            *("split", "measure", "first", "second", "first_value", "second_value", "difference"),
            *("p", "first_alone", "second_alone"),
        ),
        tuple(
            (
                row.split,
                row.measure,
                row.first,
                row.second,
                float(row.first_value),
                float(row.second_value),
                row.change,
                "-" if math.isnan(row.p_value) else f"{row.p_value:.2g}",
                *_alone(row),
            )
            for row in rows
        ),
    )


def _alone(row: ComparisonRow) -> tuple[Cell, Cell]:
    return known(row.first_alone), known(row.second_alone)


def first_confusions(rows: Sequence[ConfusionRow]) -> Table[ConfusionRow]:
    """The most frequent confusions of each model."""
    shown: dict[str, int] = {}
    first = []
    for row in rows:
        shown[row.model] = shown.get(row.model, 0) + 1
        if shown[row.model] <= SHOWN_CONFUSIONS:
            first.append(row)
    return Table.of(ConfusionRow, first)


def mistake_table(rows: Sequence[MistakeRow]) -> Table[Any]:
    """Heights with two decimals, as they are small numbers."""
    places = [MistakeRow.columns.index(name) for name in _HEIGHTS]

    def shown(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
        return tuple(
            _height(cell) if place in places and not isinstance(cell, str) else cell
            for place, cell in enumerate(cells)
        )

    return Table(MistakeRow.columns, tuple(shown(row.cells()) for row in rows))


def _height(value: float) -> str:
    if math.isnan(value):
        return "-"
    if isinstance(value, Estimate) and not math.isnan(value.margin):
        return f"{float(value):.2f} ± {value.margin:.2f}"
    return f"{float(value):.2f}"


def interval_table(results: Results) -> Table[Any]:
    """The 95% interval of each number that has one."""
    return intervals_of(_measured(results))


def _measured(results: Results) -> Iterator[Named]:
    """The numbers that may have an interval, table by table."""
    tables: list[tuple[str, Sequence[Row], tuple[str, ...]]] = [
        ("table3", results.table3, ("top1", "top3", "top5", "class_top1", "class_top5")),
        ("table4", results.table4, ("top1", "top5")),
        ("frequency", results.frequency, ("top1", "top5")),
        ("ladder", results.ladder, ("top1", "gain")),
        ("mistakes", results.mistakes, _HEIGHTS),
    ]
    for name, rows, measures in tables:
        for row in rows:
            yield name, row.key, measures, [getattr(row, measure) for measure in measures]
    for row in results.calibration:
        found = row.calibration
        yield "calibration", row.key, ("top1", "ECE"), (found.precision, found.ece)
