"""The images of a file of boxes and those of a file of image labels, as one list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from inatdet.data.annotations import Annotations, Image, positions
from inatdet.data.categories import Category
from inatdet.data.entries import short
from inatdet.data.image_labels import ImageLabels
from inatdet.errors import InputError

_SAME_DATASET = "give two files of the same split"


@dataclass(frozen=True, eq=False)
class ImageCategories:
    """What each image of some annotations shows as a whole.

    Attributes:
        category_ids: int64 `[images]`; 0 where it is not known.
        known: bool `[images]`, whether it is; 0 may be the id of a category.
    """

    category_ids: np.ndarray
    known: np.ndarray

    @classmethod
    def of_boxes(cls, annotations: Annotations) -> ImageCategories:
        """The category of the boxes, those around a crowd included, if they agree."""
        place, ids = annotations.image_positions(), annotations.category_ids
        category_ids = np.zeros(len(annotations.images), np.int64)
        category_ids[place] = ids
        known, several = np.zeros((2, len(category_ids)), bool)
        known[place] = True
        several[place[ids != category_ids[place]]] = True
        known &= ~several
        return cls(np.where(known, category_ids, 0), known)

    def counts(self, at: np.ndarray | slice = slice(None)) -> dict[int, int]:
        """The number of images by category id; of all, or of those at some positions."""
        found, counts = np.unique(self.category_ids[at][self.known[at]], return_counts=True)
        return dict(zip(found.tolist(), counts.tolist()))


@dataclass(frozen=True, eq=False)
class Joined:
    """All images, with and without boxes, with and without a label.

    Attributes:
        annotations: the images, those of the file of boxes first, and their boxes. Images that only
            the other file lists may have no size; see `Image`.
        listed: bool `[images]`, whether the file of boxes lists them.
        shown: what they show as a whole: their label, else what their boxes agree on.
        categories: of both files, those of image labels first.
    """

    annotations: Annotations
    listed: np.ndarray
    shown: ImageCategories
    categories: tuple[Category, ...]

    def shown_category_ids(self) -> list[int]:
        """The ids of the categories that have an image, ascending."""
        return list(self.shown.counts())


def join(annotations: Annotations | None, labels: ImageLabels) -> Joined:
    """Joins images by their ids.

    Args:
        annotations: the boxes, if there are any.
        labels: the image labels.

    Raises:
        InputError: the two files contradict each other about an image or a category.
    """
    if annotations is None:
        return Joined(
            _without_boxes(labels),
            np.zeros(len(labels), bool),
            ImageCategories(labels.category_ids, np.ones(len(labels), bool)),
            labels.categories,
        )
    _check_categories(annotations, labels)
    ids = np.fromiter((i.id for i in annotations.images), np.int64, len(annotations.images))
    place = positions(ids, labels.image_ids)
    _check_images(annotations, labels, place)
    only_labels = np.flatnonzero(place < 0)
    of_boxes = ImageCategories.of_boxes(annotations)
    more = [labels.images[at] for at in only_labels.tolist()]
    category_ids = np.concatenate([of_boxes.category_ids, labels.category_ids[only_labels]])
    known = np.concatenate([of_boxes.known, np.ones(len(more), bool)])
    both = place >= 0
    category_ids[place[both]] = labels.category_ids[both]
    known[place[both]] = True
    known_ids = {category.id for category in labels.categories}
    shown = ImageCategories(category_ids, known)
    differing = _differing_labels(annotations, labels, shown)
    whole = replace(
        annotations,
        images=(*annotations.images, *more),
        skipped=Counter(annotations.skipped) + Counter(labels.skipped),
        notes=(*annotations.notes, *labels.notes, *differing),
    )
    return Joined(
        whole,
        np.arange(len(whole.images)) < len(annotations.images),
        shown,
        (*labels.categories, *(c for c in annotations.categories if c.id not in known_ids)),
    )


def _without_boxes(labels: ImageLabels) -> Annotations:
    nothing = np.zeros(0, np.int64)
    return Annotations(
        path=labels.path,
        images=labels.images,
        categories=labels.categories,
        box_ids=nothing,
        image_ids=nothing,
        category_ids=nothing,
        boxes=np.zeros((0, 4)),
        areas=np.zeros(0),
        is_crowd=np.zeros(0, bool),
        skipped=labels.skipped,
        notes=labels.notes,
        sha256=labels.sha256,
    )


def _check_categories(annotations: Annotations, labels: ImageLabels) -> None:
    """Refuses files of which one calls a category otherwise, or gives its name another id."""
    of_id = {category.id: category for category in annotations.categories}
    differing = [c for c in labels.categories if of_id.get(c.id, c) != c]
    if differing:
        mine, theirs = differing[0], of_id[differing[0].id]
        raise InputError(
            f"{labels.path}: category {mine.id} is {_described(mine)}, but {_described(theirs)} in "
            f"{annotations.path}{_more(differing, 'categories')}; {_SAME_DATASET}"
        )
    own = {category.id for category in labels.categories}
    of_name = {_described(c): c for c in annotations.categories if c.id not in own}
    renumbered = [c for c in labels.categories if c.id not in of_id and _described(c) in of_name]
    if renumbered:
        mine, theirs = renumbered[0], of_name[_described(renumbered[0])]
        raise InputError(
            f"{labels.path}: {_described(mine)} is category {mine.id}, but {theirs.id} in "
            f"{annotations.path}{_more(renumbered, 'categories')}; {_SAME_DATASET}"
        )


def _check_images(annotations: Annotations, labels: ImageLabels, place: np.ndarray) -> None:
    """Refuses files that mean different pictures by one id, or give one picture two ids.

    Args:
        annotations: the boxes.
        labels: the image labels.
        place: int64 `[labels]`, the positions of their images among those with boxes, or -1.
    """
    pairs = [
        (mine, annotations.images[at]) for mine, at in zip(labels.images, place.tolist()) if at >= 0
    ]
    named = [(mine, theirs) for mine, theirs in pairs if mine.file_name != theirs.file_name]
    if named:
        mine, theirs = named[0]
        raise InputError(
            f"{labels.path}: image {mine.id} is {short(mine.file_name)}, but "
            f"{short(theirs.file_name)} in {annotations.path}{_more(named, 'images')}; "
            f"{_SAME_DATASET}"
        )
    sized = [
        (mine, theirs) for mine, theirs in pairs if mine.width and _size(mine) != _size(theirs)
    ]
    if sized:
        mine, theirs = sized[0]
        raise InputError(
            f"{labels.path}: image {mine.id} has {_size(mine)} pixels, but {_size(theirs)} in "
            f"{annotations.path}{_more(sized, 'images')}; correct the file that is wrong"
        )
    both = {mine.id for mine, _ in pairs}
    of_name = {i.file_name: i for i in annotations.images if i.id not in both}
    renumbered = [i for i in labels.images if i.id not in both and i.file_name in of_name]
    if renumbered:
        mine, theirs = renumbered[0], of_name[renumbered[0].file_name]
        raise InputError(
            f"{labels.path}: {short(mine.file_name)} is image {mine.id}, but {theirs.id} in "
            f"{annotations.path}{_more(renumbered, 'images')}; number the images alike"
        )


def _differing_labels(
    annotations: Annotations, labels: ImageLabels, shown: ImageCategories
) -> tuple[str, ...]:
    """A sentence about the images none of whose boxes has their label; none if there are none."""
    place = annotations.image_positions()
    boxed, agrees = np.zeros((2, len(annotations.images)), bool)
    boxed[place] = True
    agrees[place[annotations.category_ids == shown.category_ids[place]]] = True
    differing = np.flatnonzero(boxed & shown.known[: len(boxed)] & ~agrees)
    if not len(differing):
        return ()
    first = int(differing[0])
    box = int(annotations.category_ids[np.argmax(place == first)])
    what = f"{len(differing):,} images have another label than any of their"
    if len(differing) == 1:
        what = "1 image has another label than any of its"
    return (
        f"{labels.path}: {what} boxes in {annotations.path}, such as image "
        f"{annotations.images[first].id} (label {shown.category_ids[first]}, box {box}); "
        "classifiers learn the label, detectors the boxes",
    )


def _described(category: Category) -> str:
    return f"{short(category.name)} ({short(category.supercategory)})"


def _size(image: Image) -> str:
    return f"{image.width} x {image.height}"


def _more(found: Sequence[object], what: str) -> str:
    return f", and so for {len(found):,} {what}" if len(found) > 1 else ""
