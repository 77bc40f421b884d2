"""What species look like: their proportions, colors and patterns on the parts of a body."""

from __future__ import annotations

import numpy as np

from inatdet.datasets.mini.shapes import Color, Mark, as_color, bands, extent, limb, lines, spots
from inatdet.datasets.mini.species import Species

EYE: Color = (16, 14, 14)
GLINT: Color = (236, 236, 232)


def factor(species: Species, name: str) -> float:
    """The factor on a length of the body plan; 1 if the species has none of that name."""
    return species.proportions.get(name, 1.0)


def shade(color: Color, factor: float) -> Color:
    """A color made darker, or brighter if the factor is above 1."""
    return as_color(min(255, round(channel * factor)) for channel in color)


def pattern(
    rng: np.random.Generator,
    species: Species,
    outline: np.ndarray,
    color: Color,
    count: int,
    size: float,
) -> tuple[Mark, ...]:
    """The pattern of a species on a whole part."""
    box = extent(outline)
    if species.pattern == "spots":
        return (spots(rng, box, count, size, color),)
    if species.pattern == "bands":
        return (bands(rng, box, count, 0.42, color, rng.uniform(-0.03, 0.03)),)
    if species.pattern == "lines":
        return (lines(box, (0.35, 0.55), size, color),)
    return ()


def across(curve: np.ndarray, length: float, width: float) -> list[np.ndarray]:
    """Short bars across a curve, one at each of its points."""
    along = np.gradient(curve, axis=0)
    along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    return [
        limb([p - n * length / 2, p + n * length / 2], [width, width])
        for p, n in zip(curve, normal)
    ]
