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
        self._boxes = BoxColumns(self.tally, name_box)
        self._lists = Lists(self._boxes.add, self.tally, files_needed)
        self.seen, self.add = self._lists.seen, self._lists.add

    def finish(self, path: str) -> Annotations:
        """Checks references and boxes, and drops the bad ones and what goes with them."""
        boxes, lists = self._boxes, self._lists
        boxes.freeze()
        nothing_there = boxes.settle_absent(path, lists.empty)
        # Boxes of bad images and categories are bad for their sake.
        lost = boxes.reject_where(
            is_in(boxes.images, lists.bad_images - lists.images.keys())
            | is_in(boxes.categories, lists.bad_categories),
            None,
        )
        boxes.reject_where(
            ~is_in(boxes.images, lists.images),
            Problem.BOX_IMAGE,
            lambda row: f"has the image {boxes.images[row]}",
        )
        boxes.reject_where(
            ~is_in(boxes.categories, lists.categories),
            Problem.BOX_CATEGORY,
            lambda row: f"has the category {boxes.categories[row]}",
        )
        boxes.reject_bad_boxes(path, lists.images)
        bad_images = lists.bad_images | boxes.bad_images
        stays = boxes.good & ~is_in(boxes.images, bad_images)
        lost += int((boxes.good & ~stays).sum())
        skipped = {str(problem): count for problem, count in self.tally.counts.items()}
        if images := len(bad_images & lists.images.keys()):
            skipped[IMAGES_LEFT_OUT] = images
        if lost:
            skipped[BOXES_LEFT_OUT] = lost
        return Annotations(
            path=path,
            images=tuple(i for i in lists.images.values() if i.id not in bad_images),
            categories=tuple(
                c for c in lists.categories.values() if c.id not in lists.bad_categories
            ),
            box_ids=boxes.box_ids[stays],
            image_ids=boxes.images[stays],
            category_ids=boxes.categories[stays],
            boxes=boxes.boxes[stays],
            areas=boxes.areas[stays],
            is_crowd=boxes.is_crowd[stays],
            skipped=skipped,
            left_out=tuple(i for i in lists.images.values() if i.id in bad_images),
            left_out_ids=frozenset(bad_images & lists.images.keys() | lists.bad_images),
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


class Lists:
    """The images and categories of a file, checked one by one, and what is wrong with entries.

    Args:
        add_annotation: takes an entry of the list of annotations, or raises `BadEntry`.
        tally: what counts the bad entries.
        files_needed: see `collect`.
        sizes_needed: whether images of unknown size are bad.

    Attributes:
        seen: how many entries each list has.
        images: the good ones by id.
        categories: the good ones by id.
        bad_images: the ids of bad images.
        bad_categories: the ids of bad categories.
        empty: the ids of the categories named `EMPTY`.
    """

    def __init__(
        self,
        add_annotation: Callable[[Any], None],
        tally: Tally,
        files_needed: bool,
        sizes_needed: bool = True,
    ):
        self.seen: Counter[str] = Counter()
        self.images: dict[int, Image] = {}
        self.categories: dict[int, Category] = {}
        self.bad_images: set[int] = set()
        self.bad_categories: set[int] = set()
        self.empty: set[int] = set()
        self._tally = tally
        self._files_needed, self._sizes_needed = files_needed, sizes_needed
        self._add = {
            "images": self._add_image,
            "categories": self._add_category,
            "annotations": add_annotation,
        }

    def add(self, key: str, entry: Any) -> None:
        """Takes one entry of the list `key`, which is one of `LISTS`."""
        self.seen[key] += 1
        try:
            self._add[key](entry)
        except BadEntry as bad:
            self._tally.add(bad.problem, self._name(key, entry), bad.why, bad.advice)

    def _add_image(self, entry: Any) -> None:
        try:
            image = image_of(entry, self._files_needed, self._sizes_needed)
        except BadEntry:
            _remember(self.bad_images, readable_id(entry, "id"))
            raise
        earlier = self.images.setdefault(image.id, image)
        if earlier is not image:
            if earlier != image:  # Whose boxes are they?
                self.bad_images.add(image.id)
            raise BadEntry(
                Problem.IMAGE_REPEATED,
                _both(earlier.file_name, image.file_name, earlier == image),
            )

    def _add_category(self, entry: Any) -> None:
        number = readable_id(entry, "id")
        name = entry.get("name") if isinstance(entry, Mapping) else None
        is_empty = isinstance(name, str) and name.strip().lower() == EMPTY
        if is_empty:
            _remember(self.empty, number)
        try:
            category = category_of(entry)
        except BadEntry as bad:
            if is_empty and bad.problem is Problem.CATEGORY_SUPER:
                return  # No detector learns it.
            _remember(self.bad_categories, number)
            raise
        earlier = self.categories.setdefault(category.id, category)
        if earlier is not category:
            if earlier != category:
                self.bad_categories.add(category.id)
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
