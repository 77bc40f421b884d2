"""Images with one label each, as data for classification have them: what they show, not where."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from inatdet.data.annotations import Image
from inatdet.data.categories import Category
from inatdet.data.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class ImageLabels:
    """Checked images, each with its category.

    Attributes:
        path: the file that they were read from.
        images: in the order of the file; the file need not say their sizes.
        categories: in the order of the file, with and without images.
        category_ids: int64 `[images]`, the category of each image.
        skipped: how many entries of the file were left out, by problem.
        notes: what was read otherwise than it stands there, in sentences.
        sha256: the hash of the file, in hexadecimal; empty where it was not computed.
    """

    path: str
    images: tuple[Image, ...]
    categories: tuple[Category, ...]
    category_ids: np.ndarray
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sha256: str = ""

    def __post_init__(self) -> None:
        self.category_ids.flags.writeable = False

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return (
            f"ImageLabels({self.path!r}: {len(self.images):,} images, "
            f"{len(self.categories):,} categories)"
        )

    @functools.cached_property
    def image_ids(self) -> np.ndarray:
        """Int64 `[images]`, the id of each image."""
        return np.fromiter((image.id for image in self.images), np.int64, len(self.images))

    def labelled_category_ids(self) -> tuple[int, ...]:
        """The ids of the categories that have an image, ascending."""
        return tuple(np.unique(self.category_ids).tolist())

    @functools.cached_property
    def taxonomy(self) -> Taxonomy:
        """The label spaces of all categories that have an image; see `Taxonomy.from_categories`."""
        return Taxonomy.from_categories(self.categories, self.labelled_category_ids())

    @functools.cached_property
    def full_taxonomy(self) -> Taxonomy:
        """The label spaces of all categories, with and without images: those of predictions."""
        return Taxonomy.from_categories(self.categories, [c.id for c in self.categories])

    def with_ranks(self, ranks: Mapping[int, Mapping[str, str]]) -> ImageLabels:
        """The same images, whose categories have names at more ranks.

        Args:
            ranks: names at ranks by category id, such as `{17: {"genus": "Parus"}}`.
        """
        categories = tuple(c.with_ranks(ranks.get(c.id, {})) for c in self.categories)
        return replace(self, categories=categories)
