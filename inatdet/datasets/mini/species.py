"""The species of the mini dataset: invented names and looks.

Each super-class has a body plan (`body_plans`). Its genera share the plan and differ in pattern and
proportions; the species of a genus differ in their colors alone. So super-classes are easiest to
tell apart, and species of a genus are hardest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from inatdet.datasets.mini.shapes import Color

Colors = tuple[Color, Color, Color]


@dataclass(frozen=True)
class Species:
    """A species and its looks.

    Attributes:
        name: an invented binomial, so that nobody mistakes the drawings for real animals.
        super_class: determines the body plan.
        colors: of the body, the pattern, and the belly or other small parts.
        pattern: `plain`, `spots`, `bands` (across) or `lines` (along).
        proportions: factors on lengths of the body plan.
    """

    name: str
    super_class: str
    colors: Colors
    pattern: str
    proportions: Mapping[str, float] = field(default_factory=dict)

    @property
    def genus(self) -> str:
        """The first word of the name."""
        return self.name.partition(" ")[0]


@dataclass(frozen=True)
class _Genus:
    """What the species of a genus share, and their colors by epithet."""

    name: str
    super_class: str
    pattern: str
    proportions: Mapping[str, float]
    colors: Mapping[str, Colors]


def _species(genera: Iterable[_Genus]) -> tuple[Species, ...]:
    return tuple(
        Species(
            f"{genus.name} {epithet}", genus.super_class, colors, genus.pattern, genus.proportions
        )
        for genus in genera
        for epithet, colors in genus.colors.items()
    )


_BLACK, _DARK = (32, 28, 26), (62, 48, 38)

SPECIES: tuple[Species, ...] = _species(
    (
        _Genus(
            "Volitella",
            "Insecta",
            "bands",
            {"abdomen": 1.1},
            {
                "aurea": ((222, 158, 30), _BLACK, _DARK),
                "rubra": ((204, 84, 36), _BLACK, _DARK),
            },
        ),
        _Genus(
            "Nebulina",
            "Insecta",
            "spots",
            {"wing": 1.35, "abdomen": 0.8},
            {
                "caerulea": ((58, 104, 196), (206, 226, 242), _BLACK),
                "glauca": ((96, 150, 176), (214, 232, 226), _BLACK),
            },
        ),
        _Genus(
            "Plumaria",
            "Aves",
            "plain",
            {"crest": 1.0},
            {
                "rubra": ((186, 44, 40), (84, 34, 34), (224, 150, 96)),
                "aurantia": ((214, 128, 48), (112, 66, 30), (236, 200, 130)),
            },
        ),
        _Genus(
            "Longirostra",
            "Aves",
            "spots",
            {"beak": 2.6, "leg": 1.6, "tail": 0.6},
            {
                "fusca": ((140, 112, 82), (84, 64, 46), (222, 206, 172)),
                "flava": ((206, 176, 70), (96, 74, 40), (240, 226, 150)),
            },
        ),
        _Genus(
            "Squamella",
            "Reptilia",
            "lines",
            {},
            {
                "viridis": ((88, 150, 58), (198, 208, 92), (58, 96, 44)),
                "olivacea": ((128, 128, 62), (206, 192, 112), (84, 82, 46)),
            },
        ),
        _Genus(
            "Crassicauda",
            "Reptilia",
            "spots",
            {"girth": 1.35, "tail": 0.75},
            {
                "maculata": ((186, 150, 98), (84, 52, 32), (120, 92, 60)),
            },
        ),
        _Genus(
            "Lanitherium",
            "Mammalia",
            "plain",
            {"tail": 1.3, "bush": 2.6, "leg": 0.85},
            {
                "fulvum": ((190, 112, 52), (240, 226, 200), (70, 42, 28)),
                "griseum": ((136, 132, 132), (226, 222, 216), (60, 54, 52)),
            },
        ),
        _Genus(
            "Collotherium",
            "Mammalia",
            "bands",
            {"neck": 1.5, "leg": 1.2},
            {
                "zebrinum": ((216, 212, 202), (44, 40, 40), (60, 52, 50)),
                "fasciatum": ((214, 174, 104), (92, 58, 32), (238, 222, 188)),
            },
        ),
        _Genus(
            "Ranella",
            "Amphibia",
            "spots",
            {"girth": 0.85, "leg": 1.1},
            {
                "viridis": ((96, 166, 60), (30, 60, 26), (224, 176, 60)),
                "caesia": ((72, 136, 140), (24, 52, 58), (236, 200, 90)),
            },
        ),
        _Genus(
            "Bufonella",
            "Amphibia",
            "lines",
            {"girth": 1.2, "leg": 0.85},
            {
                "rugosa": ((136, 104, 70), (80, 58, 42), (220, 180, 80)),
            },
        ),
        _Genus(
            "Conchula",
            "Mollusca",
            "bands",
            {},
            {
                "fasciata": ((226, 186, 88), (104, 58, 34), (158, 140, 112)),
                "rosea": ((214, 124, 128), (122, 60, 64), (196, 168, 132)),
            },
        ),
        _Genus(
            "Turritana",
            "Mollusca",
            "plain",
            {"spire": 2.4},
            {
                "alba": ((206, 196, 178), (140, 118, 98), (96, 88, 80)),
            },
        ),
        _Genus(
            "Astrella",
            "Animalia",
            "spots",
            {},
            {
                "rubra": ((206, 70, 46), (240, 178, 120), (170, 48, 36)),
                "aurantia": ((228, 158, 62), (250, 220, 160), (196, 122, 48)),
            },
        ),
        _Genus(
            "Gracilaster",
            "Animalia",
            "plain",
            {"arm": 0.5},
            {
                "purpureus": ((120, 82, 150), (196, 160, 206), (92, 60, 122)),
            },
        ),
        _Genus(
            "Filatrix",
            "Arachnida",
            "plain",
            {"leg": 1.1},
            {
                "nigra": ((38, 34, 36), (196, 40, 36), (30, 28, 30)),
                "rufa": ((150, 70, 40), (226, 160, 110), (110, 48, 28)),
            },
        ),
        _Genus(
            "Globaranea",
            "Arachnida",
            "spots",
            {"abdomen": 1.3, "leg": 0.85},
            {
                "cruciata": ((226, 206, 66), (36, 34, 32), (60, 52, 40)),
            },
        ),
        _Genus(
            "Piscula",
            "Actinopterygii",
            "bands",
            {},
            {
                "fasciata": ((238, 140, 46), (244, 240, 232), (190, 84, 30)),
                "citrina": ((236, 206, 70), (250, 246, 220), (196, 150, 40)),
            },
        ),
        _Genus(
            "Lineola",
            "Actinopterygii",
            "lines",
            {"depth": 0.68},
            {
                "argentea": ((176, 190, 202), (70, 92, 122), (120, 140, 160)),
            },
        ),
    )
)
"""The species whose animals have boxes."""

UNBOXED: tuple[Species, ...] = (
    Species("Florella alba", "Plantae", ((236, 234, 226), (232, 190, 60), (74, 128, 56)), "plain"),
    Species(
        "Florella violacea", "Plantae", ((140, 86, 180), (240, 220, 110), (58, 110, 62)), "plain"
    ),
    Species("Pileola rubra", "Fungi", ((196, 46, 38), (244, 238, 226), (232, 222, 200)), "spots"),
    Species("Pileola fusca", "Fungi", ((142, 98, 62), (112, 76, 48), (220, 200, 168)), "plain"),
)
"""The species whose images have no boxes, like some super-classes of iNat2017."""
