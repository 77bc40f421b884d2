"""Images, their true boxes, and the label spaces that belong to them.

The boxes are kept as columns, not as objects: iNat2017 has half a million of them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from inatdet.data.categories import Category
from inatdet.data.entries import file_name_fault, short
from inatdet.data.granularity import Granularity
from inatdet.data.label_spaces import check_label_spaces
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.files import sha256_of

DERIVED = "derived from the annotations"
"""Where label spaces come from that nobody gave."""

_COLUMNS = ("box_ids", "image_ids", "category_ids", "boxes", "areas", "is_crowd")


@dataclass(frozen=True, slots=True)
class Image:
    """An image of the dataset.

    Attributes:
        id: the dataset's number.
        file_name: path of the file inside the images' folder, as the annotations have it.
        width: in pixels; 0 where it is not known, as it may be of `ImageLabels`.
        height: likewise.
    """

    id: int
    file_name: str
    width: int
    height: int

    def path_in(self, images_dir: str | os.PathLike[str]) -> str:
        """The path of the file; every opening of an image of a dataset goes through here.

        Raises:
            InputError: the name may lead out of the folder.
        """
        if fault := file_name_fault(self.file_name):
            raise InputError(
                f"image {self.id} has the file_name {short(self.file_name)}, which {fault}"
            )
        return os.path.join(images_dir, self.file_name)


@dataclass(frozen=True, eq=False)
class Annotations:
    """Checked annotations. Row i of every column belongs to the i-th box.

    Attributes:
        path: the file or folder they were read from.
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
        skipped: how many entries of the file were left out, by problem.
        notes: what was read otherwise than it stands there, in sentences.
        left_out: images that are good but were left out, for a bad box or a repeated id.
        left_out_ids: their ids and those of bad images; detections in them do not count.
        sha256: the hash of the file or folder, in hexadecimal; empty where it was not computed.
        given_taxonomy: the label spaces to use instead of deriving them; see `with_taxonomy`.
        taxonomy_source: where the label spaces come from, in words.
        taxonomy_sha256: the hash of the file that they come from; empty if there is none.
        part_of: the annotations that these images were selected from; None if these are all.
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
    notes: tuple[str, ...] = ()
    left_out: tuple[Image, ...] = ()
    left_out_ids: frozenset[int] = frozenset()
    sha256: str = ""
    given_taxonomy: Taxonomy | None = None
    taxonomy_source: str = DERIVED
    taxonomy_sha256: str = ""
    part_of: Annotations | None = None

    def __post_init__(self) -> None:
        for name in _COLUMNS:
            getattr(self, name).flags.writeable = False

    def boxed_category_ids(self) -> tuple[int, ...]:
        """The ids of the categories that have a box, ascending."""
        return tuple(np.unique(self.category_ids).tolist())

    def __repr__(self) -> str:
        return (
            f"Annotations({self.path!r}: {len(self.images):,} images, {len(self.boxes):,} boxes, "
            f"{len(self.categories):,} categories)"
        )

    @functools.cached_property
    def taxonomy(self) -> Taxonomy:
        """The label spaces: those given, else those of all categories that have a box.

        A selection of images keeps the label spaces of the whole, so that labels mean the same.

        Raises:
            InputError: none were given and there is no box to derive them from.
        """
        if self.given_taxonomy is not None:
            return self.given_taxonomy
        return self.derive_taxonomy() if self.part_of is None else self.part_of.taxonomy

    def derive_taxonomy(self, super_classes: Sequence[str] | None = None) -> Taxonomy:
        """Derives label spaces from these boxes; see `Taxonomy.from_categories`.

        Args:
            super_classes: the super-classes in the order of their labels, instead of the default.

        Raises:
            InputError: there is no box, or `super_classes` do not fit.
        """
        try:
            return Taxonomy.from_categories(
                self.categories, self.boxed_category_ids(), super_classes
            )
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error

    def check_level(self, granularity: Granularity) -> None:
        """Raises `InputError` unless the label spaces have such a level."""
        try:
            self.taxonomy.check(granularity)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error

    def with_taxonomy(self, taxonomy: Taxonomy | str | os.PathLike[str]) -> Annotations:
        """The same annotations with other label spaces, such as those a model was trained with.

        Args:
            taxonomy: the label spaces, or the path of a file of `Taxonomy.save`. Ranks that only
                the categories of the annotations name are added.

        Raises:
            InputError: the file cannot be read as a taxonomy, or its categories are others.
        """
        if isinstance(taxonomy, Taxonomy):
            source, sha256 = "given", ""
        else:
            source = os.fspath(taxonomy)
            taxonomy = Taxonomy.load(source)
            sha256 = sha256_of(source)
        boxed = set(self.boxed_category_ids())
        check_label_spaces(
            taxonomy, source, (c for c in self.categories if c.id in boxed), self.path
        )
        return replace(
            self,
            given_taxonomy=taxonomy.with_ranks_of(self.categories),
            taxonomy_source=source,
            taxonomy_sha256=sha256,
        )

    def with_ranks(self, ranks: Mapping[int, Mapping[str, str]]) -> Annotations:
        """The same annotations, whose categories have names at more ranks.

        Args:
            ranks: names at ranks by category id, such as `{17: {"genus": "Parus"}}`. Label spaces
                that were given get them too.
        """
        given = self.given_taxonomy and self.given_taxonomy.with_ranks(ranks)
        categories = tuple(c.with_ranks(ranks.get(c.id, {})) for c in self.categories)
        return replace(self, categories=categories, given_taxonomy=given)

    def rows_by_image(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the boxes of each image are.

        Returns:
            rows: int64 `[boxes]`, the rows of all boxes, image by image, in file order.
            starts: int64 `[images + 1]`; `rows[starts[i]:starts[i + 1]]` are the boxes of
                `images[i]`.
        """
        position = self.image_positions()
        rows = np.argsort(position, kind="stable")
        counts = np.bincount(position, minlength=len(self.images))
        return rows, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def single_instance(self) -> Annotations:
        """Only the images with exactly one box, as in the paper's evaluation.

        Images without any box are left out too: in iNat2017 that means "not annotated". A box
        around a crowd is not one instance. On iNat2017's published validation file nothing changes.
        """
        position = self.image_positions()
        counts = np.bincount(position, minlength=len(self.images))
        counts[position[self.is_crowd]] = 0
        return self.keep_images(
            image.id
            for image, count in zip(self.images, counts.tolist(), strict=True)
            if count == 1
        )

    def keep_images(self, image_ids: Iterable[int]) -> Annotations:
        """Only the images with these ids, and their boxes; categories and label spaces stay.

        Raises:
            ValueError: there is no image with one of the ids.
        """
        wanted = {int(image_id) for image_id in image_ids}
        images = tuple(image for image in self.images if image.id in wanted)
        if len(images) != len(wanted):
            unknown = wanted - {image.id for image in images}
            raise ValueError(f"{self.path} has no image {min(unknown)}")
        kept = np.isin(self.image_ids, np.fromiter(wanted, np.int64, len(wanted)))
        columns = {name: getattr(self, name)[kept] for name in _COLUMNS}
        whole = self if self.part_of is None else self.part_of
        return replace(self, images=images, part_of=whole, **columns)

    def image_positions(self) -> np.ndarray:
        """int64 `[boxes]`: the position in `images` of each box's image."""
        ids = np.fromiter((image.id for image in self.images), np.int64, len(self.images))
        return positions(ids, self.image_ids)


def positions(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Int64 `[wanted]`: the position in `ids`, all different, of each of `wanted`; -1 if absent."""
    if not len(ids):
        return np.full(len(wanted), -1, np.int64)
    order = np.argsort(ids)
    place = order[np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)]
    return np.where(ids[place] == wanted, place, -1)
