"""What every row of a table has: columns, cells, and a key to find it by."""

from __future__ import annotations

import abc
import math
from typing import ClassVar

Cell = str | int | float
"""What a table's cell holds; a float is a measure, and NaN what does not exist."""


TOTAL = "Total"
"""The name of a row that sums up the others."""


class Row(abc.ABC):
    """A row of a table.

    Attributes:
        columns: the names of the table's columns. They are public: CSV files have them.
    """

    columns: ClassVar[tuple[str, ...]]

    @property
    @abc.abstractmethod
    def key(self) -> tuple[str, ...]:
        """What the row is about, unique in its table."""

    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`; if a row says nothing else, the attributes so named."""
        return tuple(known(getattr(self, name)) for name in self.columns)


def known(value: Cell | None) -> Cell:
    """A value as a cell: what is not known, None, is NaN there."""
    return math.nan if value is None else value
