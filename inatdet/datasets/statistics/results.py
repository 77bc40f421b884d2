"""All statistics of a dataset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inatdet.datasets.inat2017 import is_inat2017
from inatdet.datasets.statistics.boxes import (
    AreaRow,
    BoxesPerImageRow,
    RelativeSizeRow,
    area_rows,
    boxes_per_image_rows,
    half_areas,
    relative_size_rows,
)
from inatdet.datasets.statistics.observers import ObserverRow, observer_rows
from inatdet.datasets.statistics.ranks import RankRow, rank_rows
from inatdet.datasets.statistics.species import (
    SpeciesRow,
    SpreadRow,
    SuperClassRow,
    species_rows,
    spread_row,
    super_class_rows,
)
from inatdet.datasets.statistics.splits import Dataset


@dataclass(frozen=True)
class Statistics:
    """The statistics of a dataset.

    Attributes:
        super_classes: Table 2.
        species: every species, by falling number of training images, as in Figure 2.
        spread: how unevenly images are spread over species, one row per split.
        areas: small, medium and large boxes, of all splits.
        relative_sizes: Figure 4, of the split `relative_sizes_of`.
        relative_sizes_of: train, if its boxes are known, or another split; empty without boxes.
        boxes_per_image: one row per split with boxes.
        ranks: species per genus, family and so on.
        observers: photographs per observer, where they are known.
        listed_only: how many categories are listed but have neither an image nor a box.
        without_species: how many images are listed that show no known species, by split.
        crowds: how many boxes are around a crowd; they count like others.
        other_areas: how many boxes have an area in their file that is not half the box.
        is_inat2017: whether the dataset is the paper's.
    """

    super_classes: tuple[SuperClassRow, ...]
    species: tuple[SpeciesRow, ...]
    spread: tuple[SpreadRow, ...]
    areas: tuple[AreaRow, ...]
    relative_sizes: tuple[RelativeSizeRow, ...]
    relative_sizes_of: str
    boxes_per_image: tuple[BoxesPerImageRow, ...]
    ranks: tuple[RankRow, ...]
    observers: tuple[ObserverRow, ...]
    listed_only: int
    without_species: dict[str, int]
    crowds: int
    other_areas: int
    is_inat2017: bool


def count(dataset: Dataset) -> Statistics:
    """Counts everything; see `join`, which makes the dataset."""
    with_boxes = dataset.with_boxes
    drawn = next((part for part in with_boxes if part.boxed is not None and len(part.boxed)), None)
    boxes = [part.split.boxes for part in with_boxes if part.split.boxes is not None]
    return Statistics(
        super_classes=super_class_rows(dataset),
        species=species_rows(dataset),
        spread=tuple(spread_row(part, len(dataset.species)) for part in dataset.splits),
        areas=area_rows(dataset),
        relative_sizes=relative_size_rows(dataset, drawn) if drawn else (),
        relative_sizes_of=drawn.split.name if drawn else "",
        boxes_per_image=boxes_per_image_rows(dataset),
        ranks=rank_rows(dataset.species),
        observers=observer_rows(dataset),
        listed_only=dataset.unseen,
        without_species={part.split.name: part.listed - part.images for part in dataset.splits},
        crowds=sum(int(file.is_crowd.sum()) for file in boxes),
        other_areas=sum(
            int((~np.isclose(file.areas, half_areas(file), rtol=0.01, atol=1)).sum())
            for file in boxes
        ),
        is_inat2017=_is_inat2017(dataset),
    )


def _is_inat2017(dataset: Dataset) -> bool:
    """Whether these are the paper's species, or those of them that have boxes."""
    with_box = np.unique(dataset.boxed).tolist()
    return is_inat2017(dataset.species) or is_inat2017(dataset.species[i] for i in with_box)
