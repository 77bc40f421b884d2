"""The lines of a ladder: a measure from fine levels to coarse, per model and rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from inatdet.data.granularity import Granularity
from inatdet.report.model_lines import ModelLine, look_of

_SHIFT = 0.08  # between lines, in levels, lest their intervals hide each other


@dataclass(frozen=True)
class Rung:
    """A number of a ladder.

    Attributes:
        model: the model.
        rule: the rule by which its labels became those of the level.
        level: the level.
        value: the measure, in percent; NaN where there is none.
        is_start: whether this is the model at its own level, where there is no rule yet.
    """

    model: str
    rule: str
    level: Granularity
    value: float
    is_start: bool


@dataclass(frozen=True)
class Point:
    """A number on a line.

    Attributes:
        x: in levels, from 0; beside a whole number, so that intervals stay apart.
        level: the level.
        value: the measure, in percent.
        is_own: whether it belongs to this line; else it is where the line comes from, the model at
            its own level.
    """

    x: float
    level: Granularity
    value: float
    is_own: bool = True


@dataclass(frozen=True)
class Line(ModelLine):
    """A model's measure at each level, by one rule.

    Attributes:
        points: from fine to coarse; levels without a number are left out.
    """

    points: tuple[Point, ...]


def lines_of(rungs: Sequence[Rung], rules: Sequence[str]) -> tuple[Line, ...]:
    """The lines that have a number, in the order of the rungs.

    Args:
        rungs: from fine to coarse; of each model, the first rule's come first.
        rules: all there are, each of which has its own style.
    """
    places = {level: place for place, level in enumerate(levels_of(rungs))}
    models = list(dict.fromkeys(rung.model for rung in rungs))
    groups: dict[tuple[str, str], list[Rung]] = {}
    for rung in rungs:
        if not math.isnan(rung.value):
            groups.setdefault((rung.model, rung.rule), []).append(rung)
    at_level: dict[Granularity, list[Rung]] = {}
    for rung in (rung for members in groups.values() for rung in members):
        at_level.setdefault(rung.level, []).append(rung)

    def point(rung: Rung) -> Point:
        others = at_level[rung.level]
        shift = (others.index(rung) - (len(others) - 1) / 2) * min(_SHIFT, 0.6 / len(others))
        return Point(places[rung.level] + shift, rung.level, rung.value)

    start: dict[str, Point] = {}
    lines = []
    for (model, rule), members in groups.items():
        points = [point(rung) for rung in members]
        if members[0].is_start:
            start[model] = points[0]
        elif rule != rules[0] and model in start:
            points.insert(0, replace(start[model], is_own=False))
        look = look_of(models.index(model), rules.index(rule))
        lines.append(Line(model, rule, *look, tuple(points)))
    return tuple(lines)


def levels_of(rungs: Sequence[Rung]) -> tuple[Granularity, ...]:
    """The levels of some rungs, from fine to coarse; the finest model has them all and is first."""
    return tuple(dict.fromkeys(rung.level for rung in rungs))
