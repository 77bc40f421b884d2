"""Label spaces: every species belongs to a super-class, and every super-class is an animal.

Between them there may be ranks, such as genus and family; `levels` says which of them are levels.

Categories belong to the dataset, labels to the model. A category id may be 0, and ids may have
gaps, so an id is never used as a label: labels are 1..C at each granularity, and 0 is background.
All label numbers in the project come from here.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from inatdet.data.categories import Category
from inatdet.data.entries import folded, name_fault, short
from inatdet.data.granularity import ORDER, Granularity, place_in_order
from inatdet.data.levels import Level, Misfit, ladder, level_of_rank, table
from inatdet.errors import InputError, cannot_read
from inatdet.files import check_version, open_regular, write_text

PAPER_SUPER_CLASSES: tuple[str, ...] = (
    "Insecta",
    "Aves",
    "Reptilia",
    "Mammalia",
    "Amphibia",
    "Mollusca",
    "Animalia",
    "Arachnida",
    "Actinopterygii",
)
"""The nine super-classes with boxes, in the order of the paper's Table 5."""

GENERIC_NAME = "animal"
"""The name of the only label at the generic granularity."""

TAXONOMY_FILE = "taxonomy.json"
"""The name of the file of label spaces that lies beside TFRecords and checkpoints."""

IMAGE_TAXONOMY_FILE = "image_taxonomy.json"
"""The name of the file of the label spaces of whole images, where TFRecords have image labels."""

_FORMAT = "inatdet taxonomy"
_VERSION = 2  # added the ranks of categories
_WRITE_AGAIN = "write the file again with `inatdet tfrecords`"


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
            if set(found) <= set(PAPER_SUPER_CLASSES):
                found.sort(key=PAPER_SUPER_CLASSES.index)
            super_classes = found
        else:
            _check_super_classes(super_classes, found, {c.supercategory for c in categories})
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
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "super_classes": list(self.super_classes),
            "species": [{"label": i + 1, **_entry(c)} for i, c in enumerate(self.species)],
            "unboxed": [_entry(category) for category in self.unboxed],
        }
        write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Taxonomy:
        """Reads what `save` wrote.

        Raises:
            InputError: the file is missing, is not a taxonomy or contradicts itself, or its format
                version is newer than this code.
        """
        path = os.fspath(path)
        try:
            with open_regular(path, "r") as file:
                content = json.load(file)
        except OSError as error:
            raise cannot_read(path, error) from error
        except InputError:
            raise
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: is not valid JSON ({error}); {_WRITE_AGAIN}") from error
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise InputError(
                f"{path}: is not a taxonomy (its format is not {_FORMAT!r}); {_WRITE_AGAIN}"
            )
        check_version(path, content.get("version"), _VERSION, _WRITE_AGAIN)
        try:
            return cls._from_content(content)
        except ValueError as error:
            raise InputError(f"{path}: {error}; {_WRITE_AGAIN}") from error

    @classmethod
    def _from_content(cls, content: Mapping[str, Any]) -> Taxonomy:
        super_classes = content.get("super_classes")
        if not isinstance(super_classes, list) or not all(
            not name_fault(name) for name in super_classes
        ):
            raise ValueError("has no list of names as its super_classes")
        super_classes = [folded(name) for name in super_classes]
        lists: dict[str, list[Category]] = {}
        for key in ("species", "unboxed"):
            entries = content.get(key)
            if not isinstance(entries, list):
                raise ValueError(f"has no list of {key}")
            lists[key] = []
            for i, entry in enumerate(entries):
                try:
                    lists[key].append(_category(entry))
                except ValueError as error:
                    raise ValueError(f"entry {i + 1} of {key} {error}") from error
                if key == "species" and entry.get("label") != i + 1:
                    raise ValueError(f"entry {i + 1} of species does not have label {i + 1}")
        taxonomy = cls.from_categories(
            lists["species"] + lists["unboxed"],
            [category.id for category in lists["species"]],
            super_classes,
        )
        if taxonomy.species != tuple(lists["species"]):
            raise ValueError("does not list its species by id")
        return taxonomy

    def write_label_maps(self, directory: str | os.PathLike[str], prefix: str = "") -> None:
        """Writes label maps for the Object Detection API, one per level.

        Args:
            directory: where to write `species_label_map.pbtxt`, `super_label_map.pbtxt` and so on.
            prefix: of the names of these files.
        """
        for granularity in self.levels:
            items = (
                f"item {{\n  id: {i + 1}\n  name: '{_escape(name)}'\n}}\n"
                for i, name in enumerate(self.names(granularity))
            )
            path = os.path.join(directory, f"{prefix}{granularity}_label_map.pbtxt")
            write_text(path, "".join(items))

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
            self._always(), [level_of_rank(r, self.species, self.unboxed) for r in by_importance]
        )

    def _always(self) -> Iterator[Level]:
        """The levels that every taxonomy has."""
        number = {name: i + 1 for i, name in enumerate(self.super_classes)}
        labels = {
            Granularity.SPECIES: {c.id: i + 1 for i, c in enumerate(self.species)},
            Granularity.SUPER: {
                c.id: number[c.supercategory] for c in self.categories if c.supercategory in number
            },
            Granularity.GENERIC: {c.id: 1 for c in self.categories},
        }
        names = {
            Granularity.SPECIES: tuple(category.name for category in self.species),
            Granularity.SUPER: self.super_classes,
            Granularity.GENERIC: (GENERIC_NAME,),
        }
        for granularity, of in labels.items():
            of_species = np.array([of[category.id] for category in self.species], np.int64)
            yield Level(granularity, names[granularity], MappingProxyType(of), of_species)


def _category(entry: Any) -> Category:
    """A category of a saved file.

    Raises:
        ValueError: as `Category.from_entry`.
    """
    category = Category.from_entry(entry)
    ranks = entry.get("ranks", {})
    if not isinstance(ranks, dict) or any(map(name_fault, ranks.values())):
        raise ValueError("has no mapping of names as its ranks")
    return category.with_ranks({rank: folded(name) for rank, name in ranks.items()})


def _entry(category: Category) -> dict[str, Any]:
    """A category as it is saved."""
    fields = {"id": category.id, "name": category.name, "supercategory": category.supercategory}
    return fields | ({"ranks": dict(category.ranks)} if category.ranks else {})


def _check_super_classes(given: Sequence[str], boxed: Sequence[str], listed: set[str]) -> None:
    """Raises `InputError` unless those given are distinct, known and cover all boxes."""
    if len(set(given)) != len(given):
        raise InputError(f"the super-classes {_listed(given)} have a repeat; name each once")
    for name in given:
        if name not in listed:
            raise InputError(f"no category has the super-class {short(name)}; check the spelling")
    for name in boxed:
        if name not in given:
            raise InputError(
                f"the super-class {short(name)} has boxes but is not among those given "
                f"({_listed(given)}); add it, or leave its boxes out of the annotations"
            )


def _listed(names: Sequence[str]) -> str:
    """The first few names, for messages."""
    return ", ".join(map(short, names[:9])) + (", ..." if names[9:] else "")


def _escape(name: str) -> str:
    """Escapes a string for protobuf's text format, in single quotes."""
    # The text format has octal codes for control characters; UTF-8 needs no escape.
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return "".join(c if c.isprintable() or ord(c) > 127 else f"\\{ord(c):03o}" for c in escaped)
