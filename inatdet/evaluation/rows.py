"""What every row of a table has: columns, cells, and a key to find it by."""

from __future__ import annotations

import abc
import math
from typing import ClassVar

from inatdet.evaluation.resampling import Estimate

Cell = str | int | float
"""What a table's cell holds; a float is a measure, and may be an `Estimate`."""


class Row(abc.ABC):
    """A row of one of the report's tables.

    Attributes:
        columns: the names of the table's columns. They are public: CSV files have them.
    """

    columns: ClassVar[tuple[str, ...]]

    @property
    @abc.abstractmethod
    def key(self) -> tuple[str, ...]:
        """What the row is about, unique in its table."""

    @abc.abstractmethod
    def cells(self) -> tuple[Cell, ...]:
        """One cell for each of `columns`."""


class MeasuredRow(Row):
    """A row with COCO's five measures, which are attributes as well.

    Attributes:
        values: the measures, in percent, in the order of `average_precision.METRICS`; NaN where
            there is nothing to measure.
    """

    values: tuple[float, ...]

    @property
    def AP(self) -> Estimate:  # noqa: N802
        """Average precision over IoU .50:.05:.95, in percent."""
        return self._estimate(0)

    @property
    def AP50(self) -> Estimate:  # noqa: N802
        """Average precision at IoU .5, in percent."""
        return self._estimate(1)

    @property
    def AP75(self) -> Estimate:  # noqa: N802
        """Average precision at IoU .75, in percent."""
        return self._estimate(2)

    @property
    def AR1(self) -> Estimate:  # noqa: N802
        """Average recall with one detection per image and class, in percent."""
        return self._estimate(3)

    @property
    def AR10(self) -> Estimate:  # noqa: N802
        """Average recall with ten detections per image and class, in percent."""
        return self._estimate(4)

    def _estimate(self, index: int) -> Estimate:
        """A measure; its standard error is NaN unless halves of the images were counted."""
        value = self.values[index]
        return value if isinstance(value, Estimate) else Estimate(value, math.nan)
