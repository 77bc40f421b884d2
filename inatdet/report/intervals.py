"""The 95% intervals of a report's numbers, as one table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from inatdet.evaluation.resampling import Estimate
from inatdet.report.table import Table

Named = tuple[str, tuple[str, ...], Sequence[str], Sequence[float | None]]
"""A table, the key of a row of it, and that row's measures: their names and their values."""

_COLUMNS = ("table", "row", "measure", "value", "std_err", "lower", "upper")


def intervals_of(measured: Iterable[Named]) -> Table[Any]:
    """One row for each value that has an interval.

    Args:
        measured: all values.
    """
    return Table(
        _COLUMNS,
        tuple(
            (
                table,
                " ".join(map(str, key)),
                measure,
                float(value),
                value.std_err,
                value - value.margin,
                value + value.margin,
            )
            for table, key, measures, values in measured
            for measure, value in zip(measures, values)
            if isinstance(value, Estimate)
        ),
    )
