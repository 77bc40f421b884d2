"""iNat2017, the dataset of the paper: how to tell that annotations are its own.

Van Horn et al., "The iNaturalist Species Classification and Detection Dataset", CVPR 2018.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from inatdet.data.categories import Category
from inatdet.data.taxonomy import PAPER_SUPER_CLASSES

FINE_CLASSES: Mapping[str, int] = dict(
    zip(PAPER_SUPER_CLASSES, (1021, 964, 289, 186, 115, 93, 77, 56, 53), strict=True)
)
"""How many species with boxes each super-class has, 2,854 in all."""


WITHOUT_BOXES: Mapping[str, int] = {"Plantae": 2101, "Fungi": 121, "Chromista": 9, "Protozoa": 4}
"""How many species each of the other super-classes has, of which only the labels are known."""


def is_inat2017(species: Iterable[Category]) -> bool:
    """Whether these are the species of iNat2017, by their numbers and super-classes.

    Args:
        species: the categories that have a species label: those with boxes, or all of them.
    """
    found = Counter(category.supercategory for category in species)
    return found in (FINE_CLASSES, {**FINE_CLASSES, **WITHOUT_BOXES})
