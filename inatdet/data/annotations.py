"""Boxes in COCO's JSON format, as iNat2017 publishes them: read, checked, filtered.

The boxes are kept as columns, not as objects: iNat2017 has half a million of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from inatdet.data.taxonomy import Category, Taxonomy
from inatdet.errors import InputError

_COLUMNS = ("box_ids", "image_ids", "category_ids", "boxes", "areas", "is_crowd")


@dataclass(frozen=True, eq=False)
class Annotations:
    """A checked annotation file. Row i of every column belongs to the i-th box.

    Attributes:
        path: the file they were read from.
        images: in the order of the file, with and without boxes.
        categories: in the order of the file, with and without boxes.
        box_ids: int64 `[boxes]`, the ids of the annotations.
        image_ids: int64 `[boxes]`.
        category_ids: int64 `[boxes]`.
        boxes: float64 `[boxes, 4]`, `x, y, width, height` in pixels from the top left corner,
            inside the image.
        areas: float64 `[boxes]`, the file's areas in square pixels; in iNat2017, which has no
            masks, that is half the box, and so it is here where the file has none.
        is_crowd: bool `[boxes]`.
        skipped: how many records of the file were left out, by problem.
    """

    path: str
    images: tuple[Image, ...]
    categories: tuple[Category, ...]
    box_ids: np.ndarray
    image_ids: np.ndarray
    category_ids: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    is_crowd: np.ndarray
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _COLUMNS:
            getattr(self, name).flags.writeable = False

    def boxed_category_ids(self) -> tuple[int, ...]:
        """The ids of the categories that have a box, ascending."""
        return tuple(np.unique(self.category_ids).tolist())

    def taxonomy(self, super_classes: Sequence[str] | None = None) -> Taxonomy:
        """The label spaces of this file; see `Taxonomy.from_categories`.

        Raises:
            InputError: there is no box, or `super_classes` do not fit.
        """
        try:
            return Taxonomy.from_categories(
                self.categories, self.boxed_category_ids(), super_classes
            )
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error

    def rows_by_image(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the boxes of each image are.

        Returns:
            rows: int64 `[boxes]`, the rows of all boxes, image by image, in file order.
            starts: int64 `[images + 1]`; `rows[starts[i]:starts[i + 1]]` are the boxes of
                `images[i]`.
        """
        position = self._image_positions()
        rows = np.argsort(position, kind="stable")
        counts = np.bincount(position, minlength=len(self.images))
        return rows, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def single_instance(self) -> Annotations:
        """Only the images with exactly one box, as in the paper's evaluation.

        Images without any box leave too: in iNat2017 that means "not annotated". A box around a
        crowd is not one instance. On iNat2017's published validation file nothing changes.
        """
        position = self._image_positions()
        counts = np.bincount(position, minlength=len(self.images))
        counts[position[self.is_crowd]] = 0
        return self.keep_images(
            image.id
            for image, count in zip(self.images, counts.tolist(), strict=True)
            if count == 1
        )

    def keep_images(self, image_ids: Iterable[int]) -> Annotations:
        """Only the images with these ids, and their boxes; categories stay.

        Raises:
            ValueError: an id is not of an image.
        """
        wanted = {int(image_id) for image_id in image_ids}
        images = tuple(image for image in self.images if image.id in wanted)
        if len(images) != len(wanted):
            unknown = wanted - {image.id for image in images}
            raise ValueError(f"{self.path} has no image {min(unknown)}")
        kept = np.isin(self.image_ids, np.fromiter(wanted, np.int64, len(wanted)))
        columns = {name: getattr(self, name)[kept] for name in _COLUMNS}
        return replace(self, images=images, **columns)

    def _image_positions(self) -> np.ndarray:
        """int64 `[boxes]`: the position in `images` of each box's image."""
        ids = np.fromiter((image.id for image in self.images), np.int64, len(self.images))
        return positions(ids, self.image_ids)


@dataclass(frozen=True, slots=True)
class Image:
    """An image of the dataset.

    Attributes:
        id: the dataset's number.
        file_name: path of the file inside the images' folder, with forward slashes.
        width: in pixels.
        height: in pixels.
    """

    id: int
    file_name: str
    width: int
    height: int


def positions(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """int64: where in `ids`, all different, each of `wanted` is; -1 where it is not."""
    if not len(ids):
        return np.full(len(wanted), -1, np.int64)
    order = np.argsort(ids)
    place = order[np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)]
    return np.where(ids[place] == wanted, place, -1)
