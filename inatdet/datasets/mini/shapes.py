"""Outlines and marks that animals are composed of.

Coordinates are the animal's own: its length is about one, x points to its head, and y points down
in side views and to the animal's right in top views.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

Color = tuple[int, int, int]
"""Red, green and blue, 0..255."""

Point = Sequence[float] | np.ndarray
"""x and y."""

Path = Sequence[Point] | np.ndarray
"""Points, `[points, 2]`."""


@dataclass(frozen=True)
class Mark:
    """A pattern on a part: outlines of one color, visible only inside the part."""

    outlines: tuple[np.ndarray, ...]
    color: Color


@dataclass(frozen=True)
class Part:
    """A part of an animal; later parts are drawn over earlier ones.

    Attributes:
        outline: `[points, 2]`, a closed polygon.
        color: red, green, blue.
        height: 0..255, towards the viewer; edges between heights are shaded.
        marks: the pattern on it.
    """

    outline: np.ndarray
    color: Color
    height: int = 150
    marks: tuple[Mark, ...] = ()


def as_color(channels: Iterable[float]) -> Color:
    """A color from three numbers, whose fractions are cut off."""
    red, green, blue = (int(channel) for channel in channels)
    return red, green, blue


def polar(angle: float, length: float = 1.0) -> np.ndarray:
    """The vector of that length and angle, in degrees from +x towards +y."""
    radians = np.radians(angle)
    vector: np.ndarray = np.array([np.cos(radians), np.sin(radians)]) * length
    return vector


def ellipse(
    center: Point, rx: float, ry: float | None = None, angle: float = 0.0, points: int = 26
) -> np.ndarray:
    """An ellipse turned by `angle` degrees; a circle without `ry`."""
    t = np.linspace(0, 2 * np.pi, points, endpoint=False)
    shape = np.stack([np.cos(t) * rx, np.sin(t) * (rx if ry is None else ry)], axis=1)
    outline: np.ndarray = shape @ _turn(angle) + center
    return outline


def smooth(path: Path, steps: int = 6) -> np.ndarray:
    """A Catmull-Rom curve through the points of an open path."""
    p = np.asarray(path, np.float64)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    curve = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return np.concatenate([curve.swapaxes(0, 1).reshape(-1, 2), p[-2:-1]])


def limb(path: Path, widths: Sequence[float] | np.ndarray) -> np.ndarray:
    """A smooth stroke along a path, whose width passes through evenly spaced `widths`."""
    curve = smooth(path)
    along = np.gradient(curve, axis=0)
    along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    place = np.linspace(0, 1, len(widths))
    half = np.interp(np.linspace(0, 1, len(curve)), place, widths)[:, None] / 2
    return np.concatenate([curve + normal * half, (curve - normal * half)[::-1]])


def spots(
    rng: np.random.Generator, box: Sequence[float], count: int, radius: float, color: Color
) -> Mark:
    """Round spots over a box `xmin, ymin, xmax, ymax`, on a jittered grid."""
    xmin, ymin, xmax, ymax = box
    columns = max(1, round((count * (xmax - xmin) / max(ymax - ymin, 1e-6)) ** 0.5))
    rows = max(1, round(count / columns))
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    jitter = rng.uniform(0.15, 0.85, grid.shape)
    centers = (grid + jitter) / (columns, rows) * (xmax - xmin, ymax - ymin) + (xmin, ymin)
    radii = radius * rng.uniform(0.7, 1.3, len(centers))
    return Mark(
        tuple(
            ellipse((x, y), r, r * rng.uniform(0.7, 1.0), rng.uniform(0, 180), 12)
            for (x, y), r in zip(centers, radii)
        ),
        color,
    )


def bands(
    rng: np.random.Generator,
    box: Sequence[float],
    count: int,
    share: float,
    color: Color,
    slant: float = 0.0,
) -> Mark:
    """Bands across a box, from top to bottom, that cover a `share` of its length."""
    xmin, ymin, xmax, ymax = box
    step = (xmax - xmin) / count
    outlines = []
    for i in range(count):
        x = xmin + (i + 0.5) * step + rng.uniform(-0.1, 0.1) * step
        half = step * share / 2 * rng.uniform(0.8, 1.2)
        bend = rng.uniform(-0.15, 0.15) * step
        middle = (x + bend, (ymin + ymax) / 2)
        path = [(x + slant, ymin), middle, (x - slant, ymax)]
        outlines.append(limb(path, [half * 1.6, half * 2, half * 1.6]))
    return Mark(tuple(outlines), color)


def lines(box: Sequence[float], places: Sequence[float], width: float, color: Color) -> Mark:
    """Straight lines along a box, at given fractions of its height."""
    xmin, ymin, xmax, ymax = box
    outlines = []
    for place in places:
        y = ymin + place * (ymax - ymin)
        outlines.append(limb([(xmin, y), ((xmin + xmax) / 2, y), (xmax, y)], [width] * 3))
    return Mark(tuple(outlines), color)


def extent(outline: np.ndarray) -> tuple[float, float, float, float]:
    """The box `xmin, ymin, xmax, ymax` around an outline."""
    (xmin, ymin), (xmax, ymax) = outline.min(axis=0), outline.max(axis=0)
    return xmin, ymin, xmax, ymax


def _turn(angle: float) -> np.ndarray:
    """The matrix that rotates row vectors by an angle in degrees."""
    c, s = polar(angle)
    return np.array([[c, s], [-s, c]])
