"""Label spaces: every species belongs to a super-class, and every super-class is an animal.

Categories belong to the dataset, labels to the model. A category id may be 0, and ids may have
gaps, so an id is never used as a label: labels are 1..C at each granularity, and 0 is background.
All label numbers in the project come from here.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from inatdet.choices import Choice
from inatdet.data.entries import folded, is_id, name_fault, short
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

_FORMAT = "inatdet taxonomy"
_VERSION = 1
_WRITE_AGAIN = "write the file again with `inatdet tfrecords`"


class Granularity(Choice):
    """How finely animals are told apart: a level of labels. The members go from fine to coarse."""

    SPECIES = "species"
    SUPER = "super"
    GENERIC = "generic"

    def coarser_or_equal(self) -> tuple[Granularity, ...]:
        """This granularity and all coarser ones, from fine to coarse."""
        members = tuple(Granularity)
        return members[members.index(self) :]


@dataclass(frozen=True, slots=True)
class Category:
    """A category of the dataset, as its annotation file lists it.

    Attributes:
        id: the dataset's number for it; 0 is allowed.
        name: the species' name.
        supercategory: the super-class it belongs to.
    """

    id: int
    name: str
    supercategory: str

    @classmethod
    def from_entry(cls, entry: Any) -> Category:
        """Makes a category from an entry of a COCO-style `categories` list.

        Args:
            entry: a mapping with `id`, `name` and `supercategory`; other keys are ignored. White
                space around names is dropped, and that inside them becomes single blanks.

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
        return cls(category_id, folded(entry["name"]), folded(entry["supercategory"]))


@dataclass(frozen=True)
class Taxonomy:
    """The label spaces of a dataset at the three granularities.

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

    def num_labels(self, granularity: Granularity) -> int:
        """The number of labels, without background."""
        return len(self.names(granularity))

    def names(self, granularity: Granularity) -> tuple[str, ...]:
        """The names of the labels; `names(...)[label - 1]` is the name of a label."""
        return self._names[granularity]

    def label_of_category(self, granularity: Granularity) -> Mapping[int, int]:
        """The label of each category that has one.

        At the species granularity, a category without a box has none. At the super granularity, it
        has the label of its super-class, if that has one. At the generic granularity, every
        category has label 1.

        Returns:
            Labels by category id.
        """
        return self._label_of_category[granularity]

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
        if target not in source.coarser_or_equal():
            raise ValueError(f"{source} labels cannot be made finer, into {target} labels")
        if labels.size and (labels.min() < 1 or labels.max() > self.num_labels(source)):
            raise ValueError(
                f"{source} labels go from 1 to {self.num_labels(source)}, not from "
                f"{labels.min()} to {labels.max()}"
            )
        coarse: np.ndarray
        if target is source:
            coarse = labels.copy()
        elif target is Granularity.GENERIC:
            coarse = np.ones_like(labels)
        else:
            coarse = self._super_of_species[labels - 1].astype(labels.dtype)
        return coarse

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the label spaces as JSON, for `load`."""
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "super_classes": list(self.super_classes),
            "species": [{"label": i + 1, **asdict(c)} for i, c in enumerate(self.species)],
            "unboxed": [asdict(category) for category in self.unboxed],
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
                    lists[key].append(Category.from_entry(entry))
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

    def write_label_maps(self, directory: str | os.PathLike[str]) -> None:
        """Writes label maps for the Object Detection API, one per granularity.

        Args:
            directory: where to write `species_label_map.pbtxt`, `super_label_map.pbtxt` and
                `generic_label_map.pbtxt`.
        """
        for granularity in Granularity:
            items = (
                f"item {{\n  id: {i + 1}\n  name: '{_escape(name)}'\n}}\n"
                for i, name in enumerate(self.names(granularity))
            )
            path = os.path.join(directory, f"{granularity}_label_map.pbtxt")
            write_text(path, "".join(items))

    @functools.cached_property
    def _names(self) -> dict[Granularity, tuple[str, ...]]:
        return {
            Granularity.SPECIES: tuple(category.name for category in self.species),
            Granularity.SUPER: self.super_classes,
            Granularity.GENERIC: (GENERIC_NAME,),
        }

    @functools.cached_property
    def _label_of_category(self) -> dict[Granularity, Mapping[int, int]]:
        every = self.species + self.unboxed
        super_label = {name: i + 1 for i, name in enumerate(self.super_classes)}
        labels = {
            Granularity.SPECIES: {c.id: i + 1 for i, c in enumerate(self.species)},
            Granularity.SUPER: {
                c.id: super_label[c.supercategory] for c in every if c.supercategory in super_label
            },
            Granularity.GENERIC: {c.id: 1 for c in every},
        }
        return {granularity: MappingProxyType(of) for granularity, of in labels.items()}

    @functools.cached_property
    def _super_of_species(self) -> np.ndarray:
        label = {name: i + 1 for i, name in enumerate(self.super_classes)}
        return np.array([label[category.supercategory] for category in self.species])


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
