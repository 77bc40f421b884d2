"""Taxa: what may be a class, what a subspecies is rolled up to, and iNaturalist's super-classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from inatdet.choices import Choice

SUPER_CLASSES: Mapping[int, str] = {
    1: "Animalia",
    3: "Aves",
    20978: "Amphibia",
    26036: "Reptilia",
    40151: "Mammalia",
    47115: "Mollusca",
    47119: "Arachnida",
    47126: "Plantae",
    47158: "Insecta",
    47170: "Fungi",
    47178: "Actinopterygii",
    47686: "Protozoa",
    48222: "Chromista",
}
"""iNaturalist's iconic taxa by their ids; a taxon's super-class is the nearest of them above it.

Source: the constants of pyinaturalist.
"""

_CLASSES = ("Aves", "Amphibia", "Reptilia", "Mammalia", "Actinopterygii", "Arachnida", "Insecta")
_KINGDOMS = ("Animalia", "Plantae", "Fungi", "Chromista", "Protozoa")

LEVELS: Mapping[str, int] = {
    "genus": 20,
    "genushybrid": 20,
    "subgenus": 15,
    "section": 13,
    "subsection": 12,
    "complex": 11,
    "species": 10,
    "hybrid": 10,
    "subspecies": 5,
    "variety": 5,
    "form": 5,
    "infrahybrid": 5,
}
"""iNaturalist's ranks up to the genus, the coarsest in the paper's archive, and their levels."""

SPECIES_LEVEL = LEVELS["species"]
HYBRIDS = ("genushybrid", "hybrid", "infrahybrid")


class Subspecies(Choice):
    """What becomes of taxa below species: subspecies, varieties and forms."""

    KEEP = "keep"
    """Each is a class of its own, as in iNat2017: *Ceratotherium simum simum* is one."""
    ROLL_UP = "roll_up"
    """Their observations are observations of their species."""
    LEAVE_OUT = "leave_out"


def super_class_sql() -> str:
    """SQL's expression for the super-class, given the names in `class`, `phylum` and `kingdom`.

    It is NULL for what is in none, as bacteria.
    """

    def listed(names: Iterable[str]) -> str:
        return ", ".join(f"'{name}'" for name in names)

    return (
        f'CASE WHEN "class" IN ({listed(_CLASSES)}) THEN "class" '
        "WHEN phylum = 'Mollusca' THEN phylum "
        f"WHEN kingdom IN ({listed(_KINGDOMS)}) THEN kingdom END"
    )
