"""The categories of a dataset: species, as its annotation file lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from inatdet.data.entries import folded, is_id, name_fault
from inatdet.data.granularity import ALWAYS, ORDER, Granularity, place_in_order

FIELDS = ("genus", "family", "order", "class", "phylum", "kingdom")
"""The ranks that iNat2018 to iNat2021 name in their categories, from fine to coarse."""

_RANKS = tuple(rank for rank in ORDER if rank not in ALWAYS)

MOST_RANKS = 50
"""The most that a category may have: each pair is compared, and taxonomists have fewer."""


@dataclass(frozen=True, slots=True)
class Category:
    """A category of the dataset, as its annotation file lists it.

    Attributes:
        id: the dataset's number for it; 0 is allowed.
        name: the species' name.
        supercategory: the super-class it belongs to.
        ranks: its names at other ranks, such as `("genus", "Parus")`. A category is the same
            whether or not they are known.
    """

    id: int
    name: str
    supercategory: str
    ranks: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)

    @classmethod
    def from_entry(cls, entry: Any) -> Category:
        """Makes a category from an entry of a COCO-style `categories` list.

        Args:
            entry: a mapping with `id`, `name` and `supercategory`, and perhaps with some of the
                ranks in `ORDER`, as `FIELDS` are, of which those that are empty or no text count as
                missing; other keys are ignored. White space around names is dropped, and that
                inside them becomes single blanks.

        Raises:
            ValueError: something is missing or of the wrong type; the message says what, in words
                that follow the name of the entry.
        """
        category_id = entry.get("id") if isinstance(entry, Mapping) else None
        if not is_id(category_id):
            raise ValueError("has no whole number as its id")
        for key in ("name", "supercategory"):
            if fault := name_fault(entry.get(key)):
                raise ValueError(f"has {fault} {key}")
        ranks = {}
        for rank in _RANKS:
            name = entry.get(rank)
            if isinstance(name, str) and name.strip():
                if fault := name_fault(name):
                    raise ValueError(f"has {fault} {rank}")
                ranks[rank] = folded(name)
        category = cls(category_id, folded(entry["name"]), folded(entry["supercategory"]))
        return category.with_ranks(ranks)

    def with_ranks(self, ranks: Mapping[str, str]) -> Category:
        """The category with these names at other ranks, besides those that it has.

        Raises:
            ValueError: a rank has a name that no level can have, or that of a level that every
                taxonomy has; or they are more than `MOST_RANKS`.
        """
        every = dict(self.ranks) | dict(ranks)
        if len(every) > MOST_RANKS:
            raise ValueError(f"has {len(every):,} ranks, more than the {MOST_RANKS} allowed")
        for rank in every:
            if Granularity(rank) in ALWAYS:
                raise ValueError(f"gives {rank} as a rank, which is a level of its own")
        return replace(
            self, ranks=tuple(sorted(every.items(), key=lambda item: place_in_order(item[0])))
        )

    def rank(self, rank: str) -> str | None:
        """Its name at a rank; None where it has none."""
        return next((name for known, name in self.ranks if known == rank), None)
