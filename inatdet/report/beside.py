"""Numbers of a report beside the paper's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from inatdet.data.rows import Cell, known
from inatdet.report.table import Table

Numbers = Sequence[Cell | None]
"""One number per measure; None where it is not known."""


def beside_paper(
    keys: Sequence[str],
    measures: Sequence[str],
    rows: Iterable[tuple[Sequence[Cell], Numbers | None, Numbers | None]],
) -> Table[Any]:
    """A table in which each measure is followed by the paper's, whose column begins with paper_.

    Args:
        keys: the names of the columns that say what a row is about.
        measures: the names of the others.
        rows: of each row the cells of `keys`, the measures here and the paper's; None where there
            is no such row.
    """
    nothing = (None,) * len(measures)
    columns = (*keys, *(name for each in measures for name in (each, f"paper_{each}")))
    return Table(
        columns,
        tuple(
            (
                *about,
                *(
                    known(number)
                    for pair in zip(here or nothing, paper or nothing, strict=True)
                    for number in pair
                ),
            )
            for about, here, paper in rows
        ),
    )
