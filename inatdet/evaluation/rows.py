"""What the rows of an evaluation's tables have: `Row` and `Cell`, and rows of COCO's measures."""

from __future__ import annotations

import math

from inatdet.data.rows import Cell, Row
from inatdet.evaluation.resampling import Estimate

__all__ = ["Cell", "MeasuredRow", "Row"]


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
