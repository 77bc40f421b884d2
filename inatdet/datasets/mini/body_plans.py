"""Which body plan each super-class has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from inatdet.datasets.mini.invertebrates import insect, snail, spider, starfish
from inatdet.datasets.mini.plants import flower, mushroom
from inatdet.datasets.mini.shapes import Part
from inatdet.datasets.mini.species import Species
from inatdet.datasets.mini.vertebrates import bird, fish, frog, lizard, mammal

Plan = Callable[[np.random.Generator, Species], list[Part]]
"""Turns a species into the parts of an animal, in a random pose."""

PLANS: dict[str, Plan] = {
    "Insecta": insect,
    "Aves": bird,
    "Reptilia": lizard,
    "Mammalia": mammal,
    "Amphibia": frog,
    "Mollusca": snail,
    "Animalia": starfish,
    "Arachnida": spider,
    "Actinopterygii": fish,
    "Plantae": flower,
    "Fungi": mushroom,
}

UPRIGHT = frozenset({"Aves", "Mammalia", "Mollusca", "Actinopterygii", "Plantae", "Fungi"})
"""Super-classes that are drawn from the side, so that gravity limits their rotation."""
