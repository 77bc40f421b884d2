"""Body plans of plants and fungi: a species becomes parts, in a different shape each time."""

from __future__ import annotations

import numpy as np

from inatdet.datasets.mini.looks import pattern
from inatdet.datasets.mini.shapes import Part, ellipse, limb, polar
from inatdet.datasets.mini.species import Species


def flower(rng: np.random.Generator, species: Species) -> list[Part]:
    """A blossom on a stem with leaves: not an animal."""
    petal, heart, green = species.colors
    sway = rng.uniform(-0.15, 0.15)
    parts = [Part(limb([(0, -0.1), (sway, 0.25), (sway / 2, 0.62)], [0.03, 0.045]), green, 90)]
    for side, y in ((1, 0.25), (-1, 0.4)):
        root = np.array([sway, y])
        leaf = limb(
            [root, root + polar(-30, 0.15), root + polar(-20, 0.34)], [0.02, 0.13, 0.1, 0.01]
        )
        parts.append(Part((leaf - root) * (side, 1) + root, green, 110))
    count = int(rng.integers(6, 10))
    for i in range(count):
        angle = 360 * i / count + rng.uniform(-6, 6)
        blade = limb(
            [(0, -0.12), (0, -0.12) + polar(angle, 0.15), (0, -0.12) + polar(angle, 0.3)],
            [0.04, 0.13, 0.15, 0.04],
        )
        parts.append(Part(blade, petal, 150))
    parts.append(Part(ellipse((0, -0.12), 0.09), heart, 200))
    return parts


def mushroom(rng: np.random.Generator, species: Species) -> list[Part]:
    """A cap on a stem: not an animal either."""
    color, second, stem = species.colors
    lean, broad = rng.uniform(-0.08, 0.08), rng.uniform(0.38, 0.52)
    parts = [Part(limb([(lean, -0.1), (0, 0.2), (0, 0.5)], [0.14, 0.15, 0.22]), stem, 120)]
    t = np.linspace(np.pi, 2 * np.pi, 20)
    dome = np.stack([lean + broad * np.cos(t), -0.06 + 0.36 * np.sin(t)], 1)
    rim = np.stack([lean + broad * np.cos(t[::-1]), -0.06 - 0.06 * np.sin(t[::-1])], 1)
    cap = np.concatenate([dome, rim])
    parts.append(Part(cap, color, 190, pattern(rng, species, cap, second, 12, 0.05)))
    return parts
