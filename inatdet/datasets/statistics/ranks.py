"""How many species each genus, family and so on has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inatdet.data.categories import Category
from inatdet.data.granularity import Granularity, place_in_order
from inatdet.data.levels import level_of_rank
from inatdet.data.rows import Row
from inatdet.datasets.statistics.species import by_super_class


@dataclass(frozen=True)
class RankRow(Row):
    """The names at one rank.

    Attributes:
        rank: such as `genus`, or `super`.
        names: how many different ones there are; one that two kingdoms have is two.
        unnamed: how many species have none.
        fewest: species of the name that has the fewest.
        median: of the species per name.
        mean: likewise.
        most: species of the name that has the most.
        largest: that name.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "rank", "names", "unnamed", "fewest", "median", "mean", "most", "largest"
    )  # fmt: skip

    rank: str
    names: int
    unnamed: int
    fewest: int
    median: float
    mean: float
    most: int
    largest: str

    @property
    def key(self) -> tuple[str, ...]:
        """The rank."""
        return (self.rank,)


def rank_rows(species: Sequence[Category]) -> tuple[RankRow, ...]:
    """One row per rank that a species names, from fine to coarse, and one for super-classes."""
    if not species:
        return ()
    ranks = {rank for category in species for rank, _ in category.ranks}
    rows = []
    for rank in sorted(
        {*ranks, str(Granularity.SUPER)}, key=lambda rank: (place_in_order(rank), rank)
    ):
        if rank == Granularity.SUPER:
            groups, names = by_super_class(species)
        else:
            level = level_of_rank(rank, species, ())
            named = np.array([category.rank(rank) is not None for category in species])
            groups, names = level.of_species[named] - 1, level.names
        counts = np.bincount(groups, minlength=len(names))
        largest = names[int(counts.argmax())]
        counts = counts[counts > 0]
        rows.append(
            RankRow(
                str(rank),
                len(counts),
                len(species) - len(groups),
                int(counts.min()),
                float(np.median(counts)),
                float(counts.mean()),
                int(counts.max()),
                largest,
            )
        )
    return tuple(rows)
