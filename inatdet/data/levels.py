"""Which ranks are levels of labels: those that form one ladder from species to any animal.

A level is coarser than another where each label of the finer one lies in one label of the coarser.
That is found from the categories and never assumed: iNaturalist's super-classes, for one, are a
mixture of ranks.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from inatdet.data.categories import Category
from inatdet.data.granularity import ORDER, Granularity, place_in_order

GENERIC_NAME = "animal"
"""The name of the only label at the generic granularity."""

_KINGDOM = "kingdom"
_BELOW_CLASS = set(ORDER[1 : ORDER.index("class")]) - {"subclass", "superorder"}
_NAMED = 3  # labels that do not fit are named up to this number


@dataclass(frozen=True)
class Level:
    """The labels 1, 2, ... at one level.

    Attributes:
        granularity: its name.
        names: of the labels; all different.
        label_of: the labels by category id, of categories with and without boxes.
        of_species: int64 `[species]`, the label of each species label 1, 2, ...
        without_value: how many species have no name at this rank, and so a label of their own.
        category_of_name: the id of a category by each name of a rank, those without a label
            included; empty at the levels that every taxonomy has.
    """

    granularity: Granularity
    names: tuple[str, ...]
    label_of: Mapping[int, int]
    of_species: np.ndarray
    without_value: int = 0
    category_of_name: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Misfit:
    """A rank that is not among the levels.

    Attributes:
        granularity: its name.
        reason: why, in words that follow its name.
    """

    granularity: Granularity
    reason: str


def levels_of_all(
    species: Sequence[Category], others: Sequence[Category], super_classes: Sequence[str]
) -> Iterator[Level]:
    """The levels that every taxonomy has, from fine to coarse.

    Args:
        species: the categories with a label of their own, in the order of their labels.
        others: the categories without one.
        super_classes: in the order of their labels.
    """
    number = {name: i + 1 for i, name in enumerate(super_classes)}
    categories = (*species, *others)
    labels = {
        Granularity.SPECIES: {c.id: i + 1 for i, c in enumerate(species)},
        Granularity.SUPER: {
            c.id: number[c.supercategory] for c in categories if c.supercategory in number
        },
        Granularity.GENERIC: {c.id: 1 for c in categories},
    }
    names = {
        Granularity.SPECIES: tuple(category.name for category in species),
        Granularity.SUPER: tuple(super_classes),
        Granularity.GENERIC: (GENERIC_NAME,),
    }
    for granularity, of in labels.items():
        of_species = np.array([of[category.id] for category in species], np.int64)
        yield Level(granularity, names[granularity], MappingProxyType(of), of_species)


def level_of_rank(rank: str, species: Sequence[Category], others: Iterable[Category]) -> Level:
    """The labels that a rank gives: one for each of its names, in the order of the species.

    The same name in two kingdoms, or in two super-classes where kingdoms are not known, is two
    labels: Prunella is a genus of birds and one of plants. A species without a name at the rank
    has a label of its own.

    Args:
        rank: such as `genus`.
        species: the categories with a species label, by label.
        others: categories without one; they have a label here where a species with one shares it.
    """
    others = tuple(others)
    # Where only some of a name's categories have a kingdom, it cannot tell its labels apart.
    without_kingdom = {c.rank(rank) for c in (*species, *others) if c.rank(_KINGDOM) is None}

    def namespace(category: Category) -> str:
        kingdom = None if category.rank(rank) in without_kingdom else category.rank(_KINGDOM)
        return _namespace(rank, kingdom, category.supercategory)

    def key(category: Category) -> tuple[Hashable, ...]:
        name = category.rank(rank)
        return (category.id,) if name is None else (name, namespace(category))

    of_key: dict[tuple[Hashable, ...], int] = {}
    first: list[Category] = []
    for category in (*species, *others):
        if of_key.setdefault(key(category), len(of_key) + 1) > len(first):
            first.append(category)
    # Named among all categories, a label is called the same whichever of them have boxes.
    every = _distinct(
        [category.rank(rank) or category.name for category in first],
        lambda i: namespace(first[i]) if first[i].rank(rank) else str(first[i].id),
    )
    of_species = np.array([of_key[key(c)] for c in species], np.int64)
    count = int(of_species.max(initial=0))
    return Level(
        Granularity(rank),
        every[:count],
        {c.id: label for c in (*species, *others) if (label := of_key[key(c)]) <= count},
        of_species,
        sum(category.rank(rank) is None for category in species),
        {name: category.id for name, category in zip(every, first)},
    )


def ladder(always: Iterable[Level], ranks: Iterable[Level]) -> tuple[list[Level], list[Misfit]]:
    """The levels that are nested in each other, from fine to coarse, and the ranks left out.

    Args:
        always: levels that are kept, nested in each other.
        ranks: others, the more important ones first: a rank that does not fit one that is kept is
            left out.
    """
    kept = list(always)
    misfits = []
    for level in ranks:
        reasons = [reason for other in kept if (reason := _conflict(level, other))]
        if reasons:
            misfits.append(Misfit(level.granularity, reasons[0]))
        else:
            kept.append(level)
    kept.sort(key=lambda level: (-len(level.names), place_in_order(level.granularity)))
    return kept, misfits


def table(fine: Level, coarse: Level) -> np.ndarray:
    """Int64 `[fine labels]`: the label at `coarse` of each label of `fine`, which lies in it."""
    labels = np.zeros(len(fine.names), np.int64)
    labels[fine.of_species - 1] = coarse.of_species
    return labels


def _conflict(level: Level, other: Level) -> str:
    """Why neither level lies in the other; empty where one does."""
    into, from_ = _split(level, other), _split(other, level)
    if not into or not from_:
        return ""
    # The direction with fewer offenders is the one that was meant.
    if len(into) <= len(from_):
        fine, coarse, split = level, other, into
    else:
        fine, coarse, split = other, level, from_
    first = ", ".join(fine.names[label - 1] for label in split[:_NAMED])
    more = f" and {len(split) - _NAMED} more" if len(split) > _NAMED else ""
    return (
        f"lies neither within {other.granularity} nor around it: {fine.granularity} {first}{more} "
        f"{'has' if len(split) == 1 else 'have'} species in several labels of {coarse.granularity}"
    )


def _split(fine: Level, coarse: Level) -> list[int]:
    """The labels of `fine` with species in several labels of `coarse`, ascending."""
    pairs = np.unique(np.column_stack([fine.of_species, coarse.of_species]), axis=0)
    labels, counts = np.unique(pairs[:, 0], return_counts=True)
    found: list[int] = labels[counts > 1].tolist()
    return found


def _namespace(rank: str, kingdom: str | None, super_class: str) -> str:
    """Within what a name of a rank is unique."""
    if rank == _KINGDOM:
        return ""
    return kingdom or (super_class if rank in _BELOW_CLASS else "")


def _distinct(names: Sequence[str], where: Callable[[int], str]) -> tuple[str, ...]:
    """Names of which those that occur twice say where they belong."""
    given = Counter(names)
    found = [
        f"{name} ({where(i)})" if given[name] > 1 and where(i) else name
        for i, name in enumerate(names)
    ]
    # A name may have been given as `Prunella (Aves)`; what still occurs twice gets numbers.
    taken = set(given)
    count = Counter(found)
    for i, name in enumerate(found):
        if count[name] > 1:
            found[i] = next(
                new for n in itertools.count(1) if (new := f"{name} ({n})") not in taken
            )
            taken.add(found[i])
    return tuple(found)
