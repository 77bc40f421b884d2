"""Whether downloaded files hold what the authors of iNat2017 say that they hold."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from inatdet.data.formats.json_stream import iterate_lists
from inatdet.datasets.inat2017 import BOXES, CATEGORIES, FINE_CLASSES, IMAGES, PICTURES, TEST_IMAGES

_SUFFIX = ".jpg"


@dataclass(frozen=True)
class Count:
    """One number.

    Attributes:
        file: the file or folder that it is about.
        what: what is counted.
        published: how many there should be.
        found: how many there are.
    """

    file: str
    what: str
    published: int
    found: int

    @property
    def matches(self) -> bool:
        """Whether both are the same."""
        return self.published == self.found


def compare(folder: str, names: Iterable[str]) -> list[Count]:
    """Counts what files hold, and compares it with the published counts.

    Args:
        folder: where they are.
        names: the files and folders in it, all of them there; those of which nothing is published
            are left out.

    Raises:
        InputError: a file is not JSON as it should be.
    """
    counts: list[Count] = []
    for name in names:
        path = os.path.join(folder, name)
        if name in _LABELS:
            counts += _labels(name, path, _LABELS[name])
        elif name in _BOXES:
            counts += _boxes(name, path, _BOXES[name])
        elif name == "test2017.json":
            found = sum(1 for _ in iterate_lists(path, ("images",)))
            counts.append(Count(name, "images", TEST_IMAGES, found))
        elif name in _FOLDERS:
            counts.append(Count(name, f"{_SUFFIX} files", _FOLDERS[name], _pictures_below(path)))
    return counts


_TRAIN, _VAL = 0, 1
_LABELS = {"train2017.json": _TRAIN, "val2017.json": _VAL}
_BOXES = {"train_2017_bboxes.json": _TRAIN, "val_2017_bboxes.json": _VAL}
_FOLDERS = {
    "train_val_images": PICTURES,
    "test2017": TEST_IMAGES,
}


def _labels(name: str, path: str, split: int) -> Iterator[Count]:
    counted = _Counted(path)
    yield Count(name, "categories", CATEGORIES, len(counted.super_classes))
    yield Count(name, "images", sum(images[split] for images in IMAGES.values()), counted.images)
    yield from _by_super_class(name, "images", IMAGES, split, counted)


def _boxes(name: str, path: str, split: int) -> Iterator[Count]:
    counted = _Counted(path)
    total = sum(boxes[split] for boxes in BOXES.values())
    if split == _TRAIN:
        with_boxes = len(counted.by_category)
        yield Count(name, "categories with boxes", sum(FINE_CLASSES.values()), with_boxes)
    else:
        yield Count(name, "images with boxes", total, counted.images_with_entries)
    yield Count(name, "boxes", total, sum(counted.by_category.values()))
    yield from _by_super_class(name, "boxes", BOXES, split, counted)


def _by_super_class(
    name: str, what: str, published: Mapping[str, tuple[int, int]], split: int, counted: _Counted
) -> Iterator[Count]:
    found = counted.by_super_class()
    for super_class, counts in published.items():
        yield Count(name, f"{what} of {super_class}", counts[split], found[super_class])


class _Counted:
    """What the lists of a JSON file hold.

    Attributes:
        images: the length of its list of images.
        images_with_entries: how many images its annotations are about.
        super_classes: super-class by category id.
        by_category: number of annotations by category id.
    """

    def __init__(self, path: str):
        self.images = 0
        self.super_classes: dict[object, object] = {}
        self.by_category: Counter[object] = Counter()
        with_entries: set[object] = set()
        for key, entry in iterate_lists(path, ("images", "annotations", "categories")):
            if key == "images":
                self.images += 1
            elif not isinstance(entry, dict):
                continue  # is counted nowhere, so that a count does not match
            elif key == "annotations":
                self.by_category[_hashable(entry.get("category_id"))] += 1
                with_entries.add(_hashable(entry.get("image_id")))
            else:
                self.super_classes[_hashable(entry.get("id"))] = entry.get("supercategory")
        self.images_with_entries = len(with_entries)

    def by_super_class(self) -> Counter[object]:
        found: Counter[object] = Counter()
        for category, count in self.by_category.items():
            found[_hashable(self.super_classes.get(category))] += count
        return found


def _hashable(value: object) -> object:
    return value if isinstance(value, (int, str)) else repr(value)


def _pictures_below(folder: str) -> int:
    return sum(name.lower().endswith(_SUFFIX) for _, _, names in os.walk(folder) for name in names)
