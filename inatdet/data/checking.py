"""Checks the entries of an annotation file and gathers the good ones into columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from inatdet.choices import Choice
from inatdet.data.annotations import Annotations, Image
from inatdet.data.box_columns import EMPTY, BoxColumns, is_in
from inatdet.data.categories import Category
from inatdet.data.entries import is_id
from inatdet.data.problems import BOXES_LEFT_OUT, IMAGES_LEFT_OUT, BadEntry, Problem, Tally
from inatdet.data.records import category_of, image_of, readable_id
from inatdet.errors import InputError

LISTS = ("images", "categories", "annotations")
"""The lists of a COCO-style annotation file, whose entries are checked here."""

_SINGULAR = {"images": "image", "categories": "category", "annotations": "annotation"}


class OnBad(Choice):
    """What to do about a bad entry."""

    ERROR = "error"
    SKIP = "skip"


def collect(
    path: str,
    entries: Iterable[tuple[str, Any]],
    on_bad: OnBad,
    *,
    name_box: Callable[[int], str] | None = None,
    files_needed: bool = False,
) -> Annotations:
    """Checks entries in COCO's form and makes columns of them.

    A box may extend beyond its image by at most `BOX_TOLERANCE`, and is then cut to the image; one
    that extends further is bad. Of entries with the same id the first is good and the others are
    bad, except that boxes are numbered anew, as nothing refers to their ids. A box of an image or
    category that is missing or bad is bad too.

    Args:
        path: where they come from.
        entries: pairs of the list an entry belongs to, one of `LISTS`, and the entry; in any order.
        on_bad: with `ERROR` any bad entry is an error. With `SKIP` bad entries are left out, and
            with a bad box its image and all boxes in it, so that no image has fewer boxes than it
            should. All of that is counted in `skipped`.
        name_box: what to call the box with a given number in the list of annotations, from 1; by
            default `annotation 7`, where 7 is its id.
        files_needed: whether the image files will be opened, so that their names must lead to files
            inside of the folder of images.

    Raises:
        InputError: an entry is bad and `on_bad` is `ERROR`, in which case the first few bad ones
            are named; or no box is left; or no entry is a box, or all are fractions of the image.
    """
    collector = _Collector(name_box, files_needed)
    for key, entry in entries:
        collector.add(key, entry)
    annotations = collector.finish(path)
    boxes, left = collector.seen["annotations"], len(annotations.boxes)
    if collector.tally.counts and (on_bad is OnBad.ERROR or (boxes and not left)):
        summary = collector.tally.summary(boxes, left, len(annotations.left_out_ids))
        raise InputError(f"{path}: {summary}")
    return annotations


class _Collector:
    """Collects entries into columns, and what is wrong with them.

    The lists of the file may come in any order, so references between them are checked at the end.
    """

    def __init__(self, name_box: Callable[[int], str] | None, files_needed: bool):
        self.tally = Tally()
        self.seen: Counter[str] = Counter()
        self._files_needed = files_needed
        self._images: dict[int, Image] = {}
        self._categories: dict[int, Category] = {}
        self._bad_images: set[int] = set()
        self._bad_categories: set[int] = set()
        self._empty: set[int] = set()  # the categories named EMPTY
        self._boxes = BoxColumns(self.tally, name_box)
        self._add = {
            "images": self._add_image,
            "categories": self._add_category,
            "annotations": self._boxes.add,
        }

    def add(self, key: str, entry: Any) -> None:
        """Takes one entry of the list `key`, which is one of `LISTS`."""
        self.seen[key] += 1
        try:
            self._add[key](entry)
        except BadEntry as bad:
            self.tally.add(bad.problem, self._name(key, entry), bad.why, bad.advice)

    def finish(self, path: str) -> Annotations:
        """Checks references and boxes, and drops the bad ones and what goes with them."""
        boxes = self._boxes
        boxes.freeze()
        nothing_there = boxes.settle_absent(path, self._empty)
        # Boxes of bad images and categories are bad for their sake.
        lost = boxes.reject_where(
            is_in(boxes.images, self._bad_images - self._images.keys())
            | is_in(boxes.categories, self._bad_categories),
            None,
        )
        boxes.reject_where(
            ~is_in(boxes.images, self._images),
            Problem.BOX_IMAGE,
            lambda row: f"has the image {boxes.images[row]}",
        )
        boxes.reject_where(
            ~is_in(boxes.categories, self._categories),
            Problem.BOX_CATEGORY,
            lambda row: f"has the category {boxes.categories[row]}",
        )
        boxes.reject_bad_boxes(path, self._images)
        bad_images = self._bad_images | boxes.bad_images
        stays = boxes.good & ~is_in(boxes.images, bad_images)
        lost += int((boxes.good & ~stays).sum())
        skipped = {str(problem): count for problem, count in self.tally.counts.items()}
        if images := len(bad_images & self._images.keys()):
            skipped[IMAGES_LEFT_OUT] = images
        if lost:
            skipped[BOXES_LEFT_OUT] = lost
        return Annotations(
            path=path,
            images=tuple(i for i in self._images.values() if i.id not in bad_images),
            categories=tuple(
                c for c in self._categories.values() if c.id not in self._bad_categories
            ),
            box_ids=boxes.box_ids[stays],
            image_ids=boxes.images[stays],
            category_ids=boxes.categories[stays],
            boxes=boxes.boxes[stays],
            areas=boxes.areas[stays],
            is_crowd=boxes.is_crowd[stays],
            skipped=skipped,
            left_out=tuple(i for i in self._images.values() if i.id in bad_images),
            left_out_ids=frozenset(bad_images & self._images.keys() | self._bad_images),
            notes=tuple(self._notes(path, nothing_there)),
        )

    def _notes(self, path: str, nothing_there: int) -> Iterator[str]:
        if nothing_there:
            yield (
                f"{path}: annotations of the category {EMPTY!r} have no bbox ({nothing_there:,}); "
                "their images are images without boxes"
            )
        if self._boxes.renumbered:
            yield (
                f"{path}: the ids of its annotations are repeated or no whole numbers; they are "
                "numbered 1, 2, ... here, which changes no result"
            )

    def _add_image(self, entry: Any) -> None:
        try:
            image = image_of(entry, self._files_needed)
        except BadEntry:
            _remember(self._bad_images, readable_id(entry, "id"))
            raise
        earlier = self._images.setdefault(image.id, image)
        if earlier is not image:
            if earlier != image:  # Whose boxes are they?
                self._bad_images.add(image.id)
            raise BadEntry(
                Problem.IMAGE_REPEATED,
                _both(earlier.file_name, image.file_name, earlier == image),
            )

    def _add_category(self, entry: Any) -> None:
        number = readable_id(entry, "id")
        name = entry.get("name") if isinstance(entry, Mapping) else None
        is_empty = isinstance(name, str) and name.strip().lower() == EMPTY
        if is_empty:
            _remember(self._empty, number)
        try:
            category = category_of(entry)
        except BadEntry as bad:
            if is_empty and bad.problem is Problem.CATEGORY_SUPER:
                return  # No detector learns it.
            _remember(self._bad_categories, number)
            raise
        earlier = self._categories.setdefault(category.id, category)
        if earlier is not category:
            if earlier != category:
                self._bad_categories.add(category.id)
            raise BadEntry(
                Problem.CATEGORY_REPEATED,
                _both(earlier.name, category.name, earlier == category),
            )

    def _name(self, key: str, entry: Any) -> str:
        """What to call an entry: by its id, or by its place in the list if it has none."""
        if isinstance(entry, Mapping) and is_id(entry.get("id")):
            return f"{_SINGULAR[key]} {entry['id']}"
        return f"{_SINGULAR[key]} number {self.seen[key]} of the list"


def _both(first: str, second: str, same: bool) -> str:
    return "is listed twice" if same else f"is both {first[:80]!r} and {second[:80]!r}"


def _remember(ids: set[int], number: int | None) -> None:
    if number is not None:
        ids.add(number)
