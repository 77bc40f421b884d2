"""What is known about the splits of a dataset, joined: their species, and which image shows which.

The paper's numbers come from two kinds of file: labels of all images, and boxes in those of some
super-classes. Either kind will do, for one split or for two.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.categories import Category
from inatdet.data.entries import short
from inatdet.data.image_labels import ImageLabels
from inatdet.errors import InputError

TRAIN, VAL = "train", "val"


@dataclass(frozen=True)
class Split:
    """The files of one split.

    Attributes:
        name: `TRAIN` or `VAL`.
        boxes: the boxes, if known.
        labels: what each image shows, if known apart from its boxes; then images are counted here.
        observers: who took each image, by image id, if known.
    """

    name: str
    boxes: Annotations | None = None
    labels: ImageLabels | None = None
    observers: Mapping[int, Hashable] = field(default_factory=dict)

    @property
    def files(self) -> tuple[Annotations | ImageLabels, ...]:
        """What there is of labels and boxes."""
        return tuple(file for file in (self.labels, self.boxes) if file is not None)

    @property
    def counted(self) -> Annotations | ImageLabels:
        """The file whose images are counted."""
        return self.files[0]


@dataclass(frozen=True, eq=False)
class Counted:
    """A split in terms of the species of the whole dataset.

    Attributes:
        split: its files.
        listed: how many images its file lists, those included that show no known species.
        shown: int64 `[pairs, 2]`, the position of an image in its file and of a species that it
            shows; each pair once.
        boxed: int64 `[boxes]`, the species of each box; None where boxes are not known.
    """

    split: Split
    listed: int
    shown: np.ndarray
    boxed: np.ndarray | None

    @functools.cached_property
    def images(self) -> int:
        """How many images show a known species."""
        return len(_sorted_once(self.shown[:, 0]))

    def images_by(self, groups: np.ndarray, count: int) -> np.ndarray:
        """How many images show each of some groups of species.

        Args:
            groups: int64 `[species]`, the group of each, from 0.
            count: how many groups there are.

        Returns:
            int64 `[groups]`; an image of two groups counts for both.
        """
        pairs = self.shown.copy()
        pairs[:, 1] = groups[pairs[:, 1]]
        return np.bincount(_distinct(pairs)[:, 1], minlength=count)

    def boxes_by(self, groups: np.ndarray, count: int) -> np.ndarray | None:
        """How many boxes each group of species has, int64 `[groups]`; None if not known."""
        if self.boxed is None:
            return None
        return np.bincount(groups[self.boxed], minlength=count)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Splits, and the species that they show.

    Attributes:
        species: the categories with an image or a box, as they are first listed.
        unseen: how many categories are listed but have neither.
        splits: training first.
    """

    species: tuple[Category, ...]
    unseen: int
    splits: tuple[Counted, ...]

    def split(self, name: str) -> Counted | None:
        """The split of a name; None where it is not known."""
        return next((s for s in self.splits if s.split.name == name), None)

    @functools.cached_property
    def boxed(self) -> np.ndarray:
        """Int64 `[boxes]`, the species of the boxes of all splits."""
        parts = [part.boxed for part in self.with_boxes if part.boxed is not None]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    @property
    def with_boxes(self) -> tuple[Counted, ...]:
        """The splits whose boxes are known."""
        return tuple(s for s in self.splits if s.boxed is not None)


def join(splits: Sequence[Split]) -> Dataset:
    """Joins splits, whose files may number categories each in their own way.

    A species is known by its name, unless a file has two of one name; then by its id.

    Args:
        splits: those of one dataset; those without a file are passed over.

    Raises:
        InputError: no image has a species, or files contradict each other about a category.
    """
    splits = [split for split in splits if split.files]
    files = [file for split in splits for file in split.files]
    if not files:
        raise InputError("there is nothing to count; give annotations or labels of a split")
    by_name = all(_names_are_distinct(file.categories) for file in files)
    listed: dict[Hashable, Category] = {}
    where: dict[Hashable, str] = {}
    for file in files:
        for category in file.categories:
            key: Hashable = category.name if by_name else category.id
            first = listed.setdefault(key, category)
            _check_same(first, category, where.setdefault(key, file.path), file.path, by_name)
            if not first.ranks and category.ranks:
                listed[key] = category
    position = {key: place for place, key in enumerate(listed)}
    tables = {id(file): _table(file.categories, position, by_name) for file in files}
    used = np.zeros(len(listed), bool)
    for file in files:
        used[_looked_up(tables[id(file)], file.category_ids)] = True
    if not used.any():
        raise InputError(
            f"{files[0].path}: no image has a label or a box, so there is nothing to count; check "
            "the file"
        )
    renumbered = np.cumsum(used) - 1
    return Dataset(
        tuple(category for category, is_used in zip(listed.values(), used) if is_used),
        int((~used).sum()),
        tuple(
            _counted(split, {key: (ids, renumbered[at]) for key, (ids, at) in tables.items()})
            for split in splits
        ),
    )


_Table = tuple[np.ndarray, np.ndarray]
"""The ids of categories, ascending, and the species of each."""


def _counted(split: Split, tables: Mapping[int, _Table]) -> Counted:
    boxed = None
    if split.boxes is not None:
        boxed = _looked_up(tables[id(split.boxes)], split.boxes.category_ids)
    if split.labels is not None:
        species = _looked_up(tables[id(split.labels)], split.labels.category_ids)
        shown = np.column_stack([np.arange(len(species)), species])
    else:
        assert split.boxes is not None
        assert boxed is not None
        shown = _distinct(np.column_stack([split.boxes.image_positions(), boxed]))
    return Counted(split, len(split.counted.images), shown, boxed)


def _table(
    categories: Sequence[Category], position: Mapping[Hashable, int], by_name: bool
) -> _Table:
    by_id = sorted(categories, key=lambda category: category.id)
    ids = np.array([c.id for c in by_id], np.int64)
    return ids, np.array([position[c.name if by_name else c.id] for c in by_id], np.int64)


def _looked_up(table: _Table, category_ids: np.ndarray) -> np.ndarray:
    ids, species = table
    found: np.ndarray = species[np.searchsorted(ids, category_ids)]
    return found


def _distinct(pairs: np.ndarray) -> np.ndarray:
    """The rows of int64 `[n, 2]` with numbers from 0, each once, sorted."""
    width = int(pairs[:, 1].max(initial=0)) + 1
    found = _sorted_once(pairs[:, 0] * width + pairs[:, 1])
    return np.column_stack([found // width, found % width])


def _sorted_once(values: np.ndarray) -> np.ndarray:
    """Different numbers from 0, sorted; of values that are nearly so, faster than `np.unique`."""
    values = np.sort(values, kind="stable")
    once: np.ndarray = values[np.diff(values, prepend=-1) != 0]
    return once


def _names_are_distinct(categories: Iterable[Category]) -> bool:
    names = [category.name for category in categories]
    return len(set(names)) == len(names)


def _check_same(first: Category, other: Category, where: str, path: str, by_name: bool) -> None:
    """Refuses a category that two files describe in two ways."""
    if first.supercategory == other.supercategory and first.name == other.name:
        return
    what = f"category {short(other.name)}" if by_name else f"category {other.id}"
    raise InputError(
        f"{path}: {what} is {short(other.name)}, {short(other.supercategory)}, but in {where} "
        f"{short(first.name)}, {short(first.supercategory)}; give splits of one dataset"
    )
