"""iNat2017, the dataset of the paper: how to tell that annotations are its own, and its counts.

Van Horn et al., "The iNaturalist Species Classification and Detection Dataset", CVPR 2018. Counts
per super-class are those of https://github.com/visipedia/inat_comp/tree/master/2017.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from inatdet.data.categories import Category
from inatdet.data.super_classes import PAPER_SUPER_CLASSES

FINE_CLASSES: Mapping[str, int] = dict(
    zip(PAPER_SUPER_CLASSES, (1021, 964, 289, 186, 115, 93, 77, 56, 53), strict=True)
)
"""How many species with boxes each super-class has, 2,854 in all."""

CATEGORIES = 5_089
"""How many species there are in all."""

IMAGES: Mapping[str, tuple[int, int]] = {
    "Plantae": (158_407, 38_206),
    "Insecta": (100_479, 18_076),
    "Aves": (214_295, 21_226),
    "Reptilia": (35_201, 5_680),
    "Mammalia": (29_333, 3_490),
    "Fungi": (5_826, 1_780),
    "Amphibia": (15_318, 2_385),
    "Mollusca": (7_536, 1_841),
    "Animalia": (5_228, 1_362),
    "Arachnida": (4_873, 1_086),
    "Actinopterygii": (1_982, 637),
    "Chromista": (398, 144),
    "Protozoa": (308, 73),
}
"""Images of train and val by super-class; 579,184 and 95,986 in all."""

PICTURES = sum(map(sum, IMAGES.values()))
"""Images of train and val, 675,170."""

BOXES: Mapping[str, tuple[int, int]] = {
    "Insecta": (106_304, 16_732),
    "Aves": (283_931, 17_314),
    "Reptilia": (36_476, 5_480),
    "Mammalia": (31_109, 2_654),
    "Amphibia": (15_812, 2_280),
    "Mollusca": (8_566, 1_571),
    "Animalia": (6_643, 1_143),
    "Arachnida": (4_752, 1_051),
    "Actinopterygii": (2_571, 511),
}
"""Boxes of train and val by super-class; 496,164 and 48,736 in all.

Each box of val is the only one of its image. The paper's 561,767 count boxes of val that were never
published, in images with several.
"""

PAPER_BOXES = 561_767
"""Boxes of the paper's Section 3.3, unpublished ones included."""

TEST_IMAGES = 182_707
"""Images of the test set, whose species are not public."""


WITHOUT_BOXES: Mapping[str, int] = {"Plantae": 2101, "Fungi": 121, "Chromista": 9, "Protozoa": 4}
"""How many species each of the other super-classes has, of which only the labels are known."""


def is_inat2017(species: Iterable[Category]) -> bool:
    """Whether these are the species of iNat2017, by their numbers and super-classes.

    Args:
        species: the categories that have a species label: those with boxes, or all of them.
    """
    found = Counter(category.supercategory for category in species)
    return found in (FINE_CLASSES, {**FINE_CLASSES, **WITHOUT_BOXES})
