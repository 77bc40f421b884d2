"""Tables in another layout than that of the rows they are made from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from inatdet.evaluation.average_precision import METRICS
from inatdet.evaluation.error_kinds import ErrorRow
from inatdet.evaluation.fixed import FIXED_MEASURES
from inatdet.evaluation.frequency import FrequencyRow
from inatdet.evaluation.granularities import Table6Row
from inatdet.evaluation.results import Results
from inatdet.evaluation.tide import KINDS
from inatdet.evaluation.unseen import UnseenRow
from inatdet.report.intervals import Named, intervals_of
from inatdet.report.table import Table


def table6_matrix(rows: Sequence[Table6Row]) -> Table[Any]:
    """Table 6 as in the paper: AP, one row per model, one column per granularity."""
    by_key = {row.key: row.values[METRICS.index("AP")] for row in rows}
    levels = list(dict.fromkeys(row.evaluated_on for row in rows))  # the first model has them all
    lines = dict.fromkeys((row.trained_on, row.merge) for row in rows)
    return Table(
        ("trained_on", "merge", *(f"on_{level}" for level in levels)),
        tuple(
            (
                str(trained_on),
                str(merge),
                *(by_key.get((trained_on, level, merge), math.nan) for level in levels),
            )
            for trained_on, merge in lines
        ),
    )


def cost_table(rows: Sequence[ErrorRow]) -> Table[Any]:
    """Only the cost of each kind of error."""
    columns = ("trained_on", "evaluated_on", "super_class", "images", "AP50", *KINDS)
    return Table(columns, tuple(row.cells()[: len(columns)] for row in rows))


def frequency_table(rows: Sequence[FrequencyRow]) -> Table[Any]:
    """Of COCO's measures, only AP and AP50; all else."""
    left_out = {"AP75", "AR1", "AR10"}
    shown = [place for place, name in enumerate(FrequencyRow.columns) if name not in left_out]
    return Table(
        tuple(FrequencyRow.columns[place] for place in shown),
        tuple(tuple(row.cells()[place] for place in shown) for row in rows),
    )


def interval_table(results: Results) -> Table[Any]:
    """The 95% interval of each number that has one."""
    return intervals_of(_measured(results))


def _measured(results: Results) -> Iterator[Named]:
    yield from (("table5", row.key, METRICS, row.values) for row in results.table5)
    yield from (("table6", row.key, METRICS, row.values) for row in results.table6)
    yield from (("ladder", row.key, METRICS, row.values) for row in _only_in_ladder(results))
    yield from (
        ("calibration", row.key, ("precision", "ECE"), (row.calibration.precision, row.ECE))
        for row in results.calibration
    )
    yield from (("frequency", row.key, METRICS, row.values) for row in results.frequency)
    yield from (
        ("frequency", row.key, ("precision", "ECE"), (given.precision, given.ece))
        for row in results.frequency
        if (given := row.calibration)
    )
    yield from (("gap", row.key, ("gap_closed",), (row.closed,)) for row in results.gaps)
    yield from (("fixed", row.key, FIXED_MEASURES, row.values) for row in results.fixed)
    yield from (
        ("proposals", row.key, ("AR50", "AR"), (row.AR50, row.AR)) for row in results.proposals
    )


def _only_in_ladder(results: Results) -> Iterator[Table6Row]:
    """The rows of the ladder that Table 6 does not have."""
    shown = {row.key for row in results.table6}
    return (row for row in results.ladder if row.key not in shown)


def unseen_table(rows: Sequence[UnseenRow]) -> Table[Any]:
    """The measures of unseen species, with the score, which is no percentage, as it is."""
    place = UnseenRow.columns.index("score")
    return Table(
        UnseenRow.columns,
        tuple(
            (
                *cells[:place],
                "-" if math.isnan(row.score) else f"{row.score:.3f}",
                *cells[place + 1 :],
            )
            for row in rows
            for cells in (row.cells(),)
        ),
    )
