"""The species of the mini dataset: invented names and looks.

Each super-class has a body plan (`body_plans`). Its species share the plan and differ in colors,
pattern and proportions, so that super-classes are easier to tell apart than species.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inatdet.datasets.mini.shapes import Color


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
    colors: tuple[Color, Color, Color]
    pattern: str
    proportions: Mapping[str, float] = field(default_factory=dict)


_BLACK, _CREAM, _DARK = (32, 28, 26), (226, 214, 180), (62, 48, 38)

SPECIES: tuple[Species, ...] = (
    Species(
        "Volitella aurea", "Insecta", ((222, 158, 30), _BLACK, _DARK), "bands", {"abdomen": 1.1}
    ),
    Species(
        "Volitella caerulea",
        "Insecta",
        ((58, 104, 196), (206, 226, 242), _BLACK),
        "spots",
        {"wing": 1.35, "abdomen": 0.8},
    ),
    Species(
        "Volitella rubra",
        "Insecta",
        ((198, 48, 36), _BLACK, _BLACK),
        "spots",
        {"wing": 0.85, "girth": 1.35},
    ),
    Species(
        "Volitella pallida",
        "Insecta",
        ((224, 222, 204), (96, 116, 70), (88, 100, 62)),
        "plain",
        {"wing": 1.2},
    ),
    Species(
        "Plumaria rubra",
        "Aves",
        ((186, 44, 40), (84, 34, 34), (224, 150, 96)),
        "plain",
        {"crest": 1.0},
    ),
    Species(
        "Plumaria caerulea",
        "Aves",
        ((62, 116, 186), (30, 52, 108), (232, 226, 214)),
        "bands",
        {"tail": 1.3},
    ),
    Species(
        "Plumaria longirostris",
        "Aves",
        ((140, 112, 82), (84, 64, 46), (222, 206, 172)),
        "spots",
        {"beak": 2.6, "leg": 1.6, "tail": 0.6},
    ),
    Species(
        "Plumaria flava", "Aves", ((226, 192, 50), _BLACK, (240, 226, 150)), "bands", {"tail": 0.8}
    ),
    Species(
        "Squamella viridis", "Reptilia", ((88, 150, 58), (198, 208, 92), (58, 96, 44)), "lines"
    ),
    Species(
        "Squamella maculata",
        "Reptilia",
        ((186, 150, 98), (84, 52, 32), (120, 92, 60)),
        "spots",
        {"girth": 1.35, "tail": 0.75},
    ),
    Species(
        "Squamella fasciata",
        "Reptilia",
        ((70, 72, 78), (214, 128, 46), (54, 54, 60)),
        "bands",
        {"tail": 1.15},
    ),
    Species(
        "Lanitherium fulvum",
        "Mammalia",
        ((190, 112, 52), (240, 226, 200), (70, 42, 28)),
        "plain",
        {"tail": 1.3, "bush": 2.6, "leg": 0.85},
    ),
    Species(
        "Lanitherium maculatum",
        "Mammalia",
        ((214, 174, 104), (92, 58, 32), (238, 222, 188)),
        "spots",
        {"neck": 1.5, "leg": 1.2},
    ),
    Species(
        "Lanitherium zebrinum",
        "Mammalia",
        ((216, 212, 202), (44, 40, 40), (60, 52, 50)),
        "bands",
        {"leg": 1.05},
    ),
    Species(
        "Lanitherium griseum",
        "Mammalia",
        ((136, 132, 132), (100, 96, 98), (186, 160, 156)),
        "plain",
        {"ear": 2.0, "leg": 0.7, "tail": 0.4, "neck": 0.7},
    ),
    Species(
        "Ranella viridis", "Amphibia", ((96, 166, 60), (206, 218, 96), (224, 176, 60)), "lines"
    ),
    Species(
        "Ranella tinctoria",
        "Amphibia",
        ((36, 72, 168), (18, 22, 44), (240, 190, 60)),
        "spots",
        {"girth": 0.85, "leg": 1.1},
    ),
    Species(
        "Ranella bufonia",
        "Amphibia",
        ((136, 104, 70), (80, 58, 42), (220, 180, 80)),
        "spots",
        {"girth": 1.2, "leg": 0.85},
    ),
    Species(
        "Conchula fasciata",
        "Mollusca",
        ((226, 186, 88), (104, 58, 34), (158, 140, 112)),
        "bands",
    ),
    Species(
        "Conchula turrita",
        "Mollusca",
        ((206, 196, 178), (140, 118, 98), (96, 88, 80)),
        "plain",
        {"spire": 2.4},
    ),
    Species(
        "Conchula rosea",
        "Mollusca",
        ((214, 124, 128), (240, 196, 186), (196, 168, 132)),
        "spots",
        {"spire": 1.3},
    ),
    Species("Astrella rubra", "Animalia", ((206, 70, 46), (240, 178, 120), (170, 48, 36)), "spots"),
    Species(
        "Astrella gracilis",
        "Animalia",
        ((120, 82, 150), (196, 160, 206), (92, 60, 122)),
        "plain",
        {"arm": 0.5},
    ),
    Species(
        "Astrella aurantia",
        "Animalia",
        ((228, 158, 62), (122, 62, 30), (196, 122, 48)),
        "lines",
        {"arm": 1.25},
    ),
    Species(
        "Filatrix nigra",
        "Arachnida",
        ((38, 34, 36), (196, 40, 36), (30, 28, 30)),
        "plain",
        {"leg": 1.1},
    ),
    Species(
        "Filatrix cruciata",
        "Arachnida",
        ((164, 110, 60), (238, 226, 196), (110, 70, 40)),
        "spots",
        {"abdomen": 1.3, "leg": 0.85},
    ),
    Species(
        "Filatrix lutea",
        "Arachnida",
        ((226, 206, 66), (36, 34, 32), (60, 52, 40)),
        "bands",
        {"abdomen": 1.15},
    ),
    Species(
        "Piscula fasciata",
        "Actinopterygii",
        ((238, 140, 46), (244, 240, 232), (190, 84, 30)),
        "bands",
    ),
    Species(
        "Piscula argentea",
        "Actinopterygii",
        ((176, 190, 202), (70, 92, 122), (120, 140, 160)),
        "lines",
        {"depth": 0.68},
    ),
    Species(
        "Piscula maculata",
        "Actinopterygii",
        ((150, 132, 74), (66, 46, 34), (206, 116, 66)),
        "spots",
        {"depth": 1.1},
    ),
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
