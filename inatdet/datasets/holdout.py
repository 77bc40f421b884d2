"""Training annotations without some species, to see what a detector does with unknown animals."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.categories import Category
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError

_COLUMNS = ("id", "name", "supercategory", "images", "boxes")


@dataclass(frozen=True)
class Holdout:
    """Annotations without some species.

    Attributes:
        known: the annotations without the images that show a species held out: an animal without
            its box would be taught as background. All categories are still listed.
        species: the categories held out, by id.
        images: how many images were left out.
        table: one row per species held out, as CSV with a header.
    """

    known: Annotations
    species: tuple[Category, ...]
    images: int
    table: str


def choose(
    taxonomy: Taxonomy, by: Granularity, share: float, seed: int = 0
) -> tuple[Category, ...]:
    """Draws the species to hold out.

    Args:
        taxonomy: the label spaces.
        by: the level whose labels are drawn, each as likely as any other; all species of a label
            that is drawn are held out.
        share: the share of the labels, above 0 and below 1; at least one label is drawn, and at
            least one is left.
        seed: of the draw.

    Raises:
        InputError: the level has a single label, or none of that name exists, or the share is not
            between 0 and 1.
    """
    if not 0 < share < 1:
        raise InputError(f"--share={share} must be above 0 and below 1, as .2 for a fifth")
    total = taxonomy.num_labels(by)
    if total < 2:
        raise InputError(
            f"--by={by}: has a single label, so none would be left; choose a finer one"
        )
    count = min(max(round(share * total), 1), total - 1)
    drawn = 1 + np.random.default_rng(seed).permutation(total)[:count]
    labels = np.arange(1, taxonomy.num_labels(Granularity.SPECIES) + 1)
    chosen = np.isin(taxonomy.coarsen(labels, Granularity.SPECIES, by), drawn)
    return tuple(taxonomy.species[i] for i in np.flatnonzero(chosen).tolist())


def hold_out(annotations: Annotations, species: tuple[Category, ...]) -> Holdout:
    """Leaves species out of annotations.

    Args:
        annotations: of the training images.
        species: what to leave out.

    Raises:
        InputError: no box is left.
    """
    ids = np.array([category.id for category in species], np.int64)
    hidden = np.isin(annotations.category_ids, ids)
    shown = set(annotations.image_ids[hidden].tolist())
    known = annotations.keep_images(i.id for i in annotations.images if i.id not in shown)
    if not len(known.boxes):
        raise InputError(
            f"{annotations.path}: every box is in an image of a species held out; choose a smaller "
            "--share"
        )
    return Holdout(known, species, len(shown), _table(annotations, species))


def _table(annotations: Annotations, species: tuple[Category, ...]) -> str:
    ranks = list(dict.fromkeys(rank for category in species for rank, _ in category.ranks))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*_COLUMNS, *ranks])
    for category in species:
        own = annotations.category_ids == category.id
        images = len(np.unique(annotations.image_ids[own]))
        names = [category.rank(rank) or "" for rank in ranks]
        writer.writerow(
            [category.id, category.name, category.supercategory, images, int(own.sum()), *names]
        )
    return file.getvalue()
