"""Label spaces: every species belongs to a super-class, and every super-class is an animal.

Between them there may be ranks, such as genus and family; `levels` says which of them are levels.

Categories belong to the dataset, labels to the model. A category id may be 0, and ids may have
gaps, so an id is never used as a label: labels are 1..C at each granularity, and 0 is background.
All label numbers in the project come from here.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from inatdet.data import taxonomy_file
from inatdet.data.categories import Category
from inatdet.data.granularity import ORDER, Granularity, place_in_order
from inatdet.data.label_maps import label_map
from inatdet.data.levels import Level, Misfit, ladder, level_of_rank, levels_of_all, table
from inatdet.data.super_classes import check_super_classes, in_order
from inatdet.data.taxonomy_file import SavedTaxonomy
from inatdet.errors import InputError
from inatdet.files import write_text


@dataclass(frozen=True)
class Taxonomy:
    """The label spaces of a dataset at all of its levels.

    Attributes:
        species: the categories that have a box, by category id; position + 1 is the species label.
        unboxed: the categories that are listed but have no box, by category id; no species label.
        super_classes: position + 1 is the super-class label.
    """

    species: tuple[Category, ...]
    unboxed: tuple[Category, ...]
    super_classes: tuple[str, ...]

    @classmethod
    def from_categories(
        cls,
        categories: Iterable[Category],
        boxed_ids: Iterable[int],
        super_classes: Sequence[str] | None = None,
    ) -> Taxonomy:
        """Derives the label spaces of a dataset.

        Args:
            categories: all categories, in the order of the dataset's file.
            boxed_ids: ids of the categories that have at least one box; may contain repeats.
            super_classes: the super-classes in the order of their labels. By default those with a
                box: in the paper's order if all are among the paper's nine, otherwise in order of
                first appearance in `categories`.

        Raises:
            InputError: an id is listed twice, no category has a box, a box has a category that is
                not listed, or `super_classes` do not fit the categories.
        """
        categories = tuple(categories)
        boxed = {int(category_id) for category_id in boxed_ids}
        known = {category.id for category in categories}
        if len(known) != len(categories):
            raise InputError("two categories have the same id; give each its own")
        if boxed - known:
            raise InputError(
                f"boxes have category {min(boxed - known)}, which is not listed; add it to the "
                "categories"
            )
        if not boxed:
            raise InputError("no category has a box, so there is nothing to detect")
        found = list(dict.fromkeys(c.supercategory for c in categories if c.id in boxed))
        if super_classes is None:
            super_classes = in_order(found)
        else:
            check_super_classes(super_classes, found, {c.supercategory for c in categories})
        by_id = sorted(categories, key=lambda category: category.id)
        return cls(
            species=tuple(c for c in by_id if c.id in boxed),
            unboxed=tuple(c for c in by_id if c.id not in boxed),
            super_classes=tuple(super_classes),
        )

    @property
    def categories(self) -> tuple[Category, ...]:
        """All categories: those with a box, by label, then the others, by id."""
        return self.species + self.unboxed

    @functools.cached_property
    def category_of_id(self) -> Mapping[int, Category]:
        """All categories by their ids."""
        return MappingProxyType({category.id: category for category in self.categories})

    @property
    def levels(self) -> tuple[Granularity, ...]:
        """The levels, from fine to coarse: each lies within all those after it."""
        return tuple(self._levels)

    def check(self, granularity: Granularity) -> None:
        """Raises `InputError` unless there is such a level."""
        self._level(granularity)

    def coarser_or_equal(self, granularity: Granularity) -> tuple[Granularity, ...]:
        """This level and all coarser ones, from fine to coarse.

        Raises:
            InputError: there is no such level.
        """
        self._level(granularity)
        return self.levels[self.levels.index(granularity) :]

    @property
    def misfits(self) -> tuple[Misfit, ...]:
        """The ranks of the categories that are not among the levels, and why."""
        return tuple(self._ladder[1])

    def without_value(self, granularity: Granularity) -> int:
        """How many species have no name at a rank, and so a label of their own there."""
        return self._level(granularity).without_value

    def agrees_with(self, other: Taxonomy, levels: Iterable[Granularity]) -> bool:
        """Whether both have these levels, with the same labels."""
        return all(
            level in self.levels
            and level in other.levels
            and self.names(level) == other.names(level)
            and self.label_of_category(level) == other.label_of_category(level)
            for level in levels
        )

    def with_ranks(self, ranks: Mapping[int, Mapping[str, str]]) -> Taxonomy:
        """The same label spaces with more ranks.

        Args:
            ranks: names at ranks by category id; categories without an entry stay as they are.
        """

        def ranked(categories: tuple[Category, ...]) -> tuple[Category, ...]:
            return tuple(c.with_ranks(ranks.get(c.id, {})) for c in categories)

        return replace(self, species=ranked(self.species), unboxed=ranked(self.unboxed))

    def with_ranks_of(self, categories: Iterable[Category]) -> Taxonomy:
        """The same label spaces with the ranks of other categories where their own lack them."""
        theirs = {category.id: category.ranks for category in categories}
        return self.with_ranks(
            {c.id: dict(theirs.get(c.id, ())) | dict(c.ranks) for c in self.categories}
        )

    def num_labels(self, granularity: Granularity) -> int:
        """The number of labels, without background."""
        return len(self.names(granularity))

    def names(self, granularity: Granularity) -> tuple[str, ...]:
        """The names of the labels; `names(...)[label - 1]` is the name of a label."""
        return self._level(granularity).names

    def label_of_category(self, granularity: Granularity) -> Mapping[int, int]:
        """The label of each category that has one.

        At the species granularity, a category without a box has none. At the super granularity, it
        has the label of its super-class, if that has one, and likewise at other ranks. At the
        generic granularity, every category has label 1.

        Returns:
            Labels by category id.
        """
        return self._level(granularity).label_of

    def category_of_name(self, granularity: Granularity) -> Mapping[str, int]:
        """The id of a category by each name of super-classes or at a rank.

        Names that only categories without a label there have are among them.
        """
        level = self._level(granularity)
        if granularity is Granularity.SUPER:
            # Of species where there are any: what lies above a label is found from them.
            return {c.supercategory: c.id for c in self.unboxed + self.species}
        return level.category_of_name

    def coarsen(self, labels: np.ndarray, source: Granularity, target: Granularity) -> np.ndarray:
        """Turns labels into labels of a coarser (or the same) granularity.

        Args:
            labels: integers of any shape, each in 1..`num_labels(source)`.
            source: the granularity of `labels`.
            target: the granularity to convert to.

        Returns:
            Labels at `target`, with the shape and dtype of `labels`.

        Raises:
            ValueError: `target` is finer than `source`, or a label is out of range.
        """
        labels = np.asarray(labels)
        if target not in self.coarser_or_equal(source):
            raise ValueError(f"{source} labels cannot be made finer, into {target} labels")
        if labels.size and (labels.min() < 1 or labels.max() > self.num_labels(source)):
            raise ValueError(
                f"{source} labels go from 1 to {self.num_labels(source)}, not from "
                f"{labels.min()} to {labels.max()}"
            )
        if (source, target) not in self._tables:
            self._tables[source, target] = table(self._level(source), self._level(target))
        coarse: np.ndarray = self._tables[source, target][labels - 1].astype(labels.dtype)
        return coarse

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the label spaces as JSON, for `load`."""
        taxonomy_file.write(path, SavedTaxonomy(self.super_classes, self.species, self.unboxed))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Taxonomy:
        """Reads what `save` wrote.

        Raises:
            InputError: the file is missing, is not a taxonomy or contradicts itself, or its format
                version is newer than this code.
        """
        saved = taxonomy_file.read(path)
        try:
            taxonomy = cls.from_categories(
                saved.species + saved.unboxed,
                [category.id for category in saved.species],
                saved.super_classes,
            )
            if taxonomy.species != saved.species:
                raise ValueError("does not list its species by id")
        except ValueError as error:
            raise taxonomy_file.unusable(path, error) from error
        return taxonomy

    def write_label_maps(self, directory: str | os.PathLike[str], prefix: str = "") -> None:
        """Writes label maps for the Object Detection API, one per level.

        Args:
            directory: where to write `species_label_map.pbtxt`, `super_label_map.pbtxt` and so on.
            prefix: of the names of these files.
        """
        for granularity in self.levels:
            path = os.path.join(directory, f"{prefix}{granularity}_label_map.pbtxt")
            write_text(path, label_map(self.names(granularity)))

    def _level(self, granularity: Granularity) -> Level:
        level = self._levels.get(granularity)
        if level is None:
            unfit = {misfit.granularity: misfit.reason for misfit in self.misfits}
            reason, advice = "no category names it", "; give --ranks, or --genus_from_names"
            if granularity in unfit:
                reason, advice = f"it {unfit[granularity]}", ""
            raise InputError(
                f"there is no level {granularity!s}, as {reason}; the levels are "
                f"{', '.join(self.levels)}{advice}"
            )
        return level

    @functools.cached_property
    def _levels(self) -> dict[Granularity, Level]:
        return {level.granularity: level for level in self._ladder[0]}

    @functools.cached_property
    def _tables(self) -> dict[tuple[Granularity, Granularity], np.ndarray]:
        """The label at the second level of each label of the first, as they are asked for."""
        return {}

    @functools.cached_property
    def _ladder(self) -> tuple[list[Level], list[Misfit]]:
        ranks = {rank for category in self.species for rank, _ in category.ranks}
        by_importance = sorted(
            ranks, key=lambda rank: (rank not in ORDER, place_in_order(rank), rank)
        )
        return ladder(
            levels_of_all(self.species, self.unboxed, self.super_classes),
            [level_of_rank(rank, self.species, self.unboxed) for rank in by_importance],
        )
