"""The lines of the ladder's figure: AP from fine levels to coarse, per model and merge rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from inatdet.data.granularity import Granularity
from inatdet.evaluation.average_precision import METRICS
from inatdet.evaluation.granularities import Merge, Table6Row
from inatdet.report.figures import COLORS, STYLES
from inatdet.report.text import shortened

AP = METRICS.index("AP")
LONGEST_NAME = 20
"""Characters of a level's name in the figure."""

_SHIFT = 0.08  # between lines, in levels, lest their intervals hide each other
_MARKERS = ("o", "s", "^", "D", "v", "X", "P")
_STYLE_OF = dict(zip(Merge, STYLES))


@dataclass(frozen=True)
class Point:
    """A number on a line.

    Attributes:
        x: in levels, from 0; beside a whole number, so that intervals stay apart.
        level: the level.
        value: AP in percent.
        is_own: whether it belongs to this line; else it is where the line comes from, the model at
            its own level, where there is nothing to merge.
    """

    x: float
    level: Granularity
    value: float
    is_own: bool = True


@dataclass(frozen=True)
class ModelLine:
    """What a line is about, a model with one merge rule, and how it looks; see `look_of`.

    Attributes:
        trained_on: the model's level.
        merge: the rule.
        color: of the model.
        marker: of the model, as Matplotlib calls it.
        style: of the rule, as Matplotlib calls it.
    """

    trained_on: Granularity
    merge: Merge
    color: str
    marker: str
    style: str

    @property
    def name(self) -> str:
        """What the legend calls it."""
        return f"{shortened(str(self.trained_on), LONGEST_NAME)}, {self.merge}"


@dataclass(frozen=True)
class Line(ModelLine):
    """A model's AP at each level, with one merge rule.

    Attributes:
        points: from fine to coarse; levels without a number are left out.
    """

    points: tuple[Point, ...]


def levels_of(rows: Sequence[Table6Row]) -> tuple[Granularity, ...]:
    """The levels of some rows of a ladder, from fine to coarse; the finest model has them all."""
    return tuple(dict.fromkeys(row.evaluated_on for row in rows))


def lines_of(rows: Sequence[Table6Row]) -> tuple[Line, ...]:
    """The lines that have a number, in the order of the rows."""
    places = {level: place for place, level in enumerate(levels_of(rows))}
    models = list(dict.fromkeys(row.trained_on for row in rows))
    groups: dict[tuple[Granularity, Merge], list[Table6Row]] = {}
    for row in rows:
        if not math.isnan(row.values[AP]):
            groups.setdefault((row.trained_on, row.merge), []).append(row)
    at_level: dict[Granularity, list[Table6Row]] = {}
    for row in (row for members in groups.values() for row in members):
        at_level.setdefault(row.evaluated_on, []).append(row)

    def point(row: Table6Row) -> Point:
        others = at_level[row.evaluated_on]
        shift = (others.index(row) - (len(others) - 1) / 2) * min(_SHIFT, 0.6 / len(others))
        return Point(places[row.evaluated_on] + shift, row.evaluated_on, row.values[AP])

    start: dict[Granularity, Point] = {}
    lines = []
    for (trained_on, merge), members in groups.items():
        points = [point(row) for row in members]
        if merge is not Merge.NONE and trained_on in start:
            points.insert(0, replace(start[trained_on], is_own=False))
        elif members[0].evaluated_on is trained_on:
            start[trained_on] = points[0]
        look = look_of(models.index(trained_on), merge)
        lines.append(Line(trained_on, merge, *look, tuple(points)))
    return tuple(lines)


def look_of(model: int, merge: Merge) -> tuple[str, str, str]:
    """How a line looks: its color, its marker and its style, as Matplotlib calls them.

    Args:
        model: the place of its model among all models.
        merge: its merge rule.
    """
    return (
        COLORS[model % len(COLORS)],
        # After as many models as there are colors, these come with other markers.
        _MARKERS[(model + model // len(COLORS)) % len(_MARKERS)],
        _STYLE_OF[merge],
    )
