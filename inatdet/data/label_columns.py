"""Checks the entries of a file of image labels and gathers the good ones."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from inatdet.data.annotations import positions
from inatdet.data.box_columns import EMPTY, is_in
from inatdet.data.checking import Lists, OnBad
from inatdet.data.entries import short
from inatdet.data.image_labels import ImageLabels
from inatdet.data.problems import BadEntry, Problem, Tally
from inatdet.data.records import label_of, readable_id
from inatdet.errors import InputError

_ADVICE: Mapping[Problem, str] = {
    Problem.CATEGORY_SUPER: (
        'write {"category": "super-class", ...} for all categories into a JSON file and give it as '
        "--super_categories"
    ),
    Problem.TEXT_ID: "number the ids",
}


def collect_labels(
    path: str, entries: Iterable[tuple[str, Any]], on_bad: OnBad, *, files_needed: bool = False
) -> ImageLabels:
    """Checks entries in COCO's form and makes image labels of them.

    Annotations of one image may repeat its category, as boxes do; of several categories, none is
    its label.

    Args:
        path: where they come from.
        entries: pairs of the list an entry belongs to, one of `LISTS`, and the entry; in any order.
        on_bad: with `ERROR` any bad entry is an error. With `SKIP` bad entries are left out, and
            with them the images that then have no label or several; that is counted in `skipped`.
        files_needed: see `collect`.

    Raises:
        InputError: an entry is bad and `on_bad` is `ERROR`, in which case the first few bad ones
            are named; or no image is left.
    """
    collector = _Collector(files_needed)
    for key, entry in entries:
        collector.lists.add(key, entry)
    labels, images = collector.finish(path), collector.lists.seen["images"]
    if collector.tally.counts and (on_bad is OnBad.ERROR or not len(labels)):
        left_out = images - len(labels)
        summary = collector.tally.summary(images, len(labels), left_out, ("image", "images"))
        raise InputError(f"{path}: {summary}")
    if not len(labels):
        raise InputError(f"{path}: lists no image that could have a label; check the file")
    return labels


class _Collector:
    """Collects entries, whose lists may come in any order, and what is wrong with them."""

    def __init__(self, files_needed: bool):
        self.tally = Tally(_ADVICE)
        self.lists = Lists(self._add, self.tally, files_needed, sizes_needed=False)
        self._rows = array("q")  # image, category, own id, number in the list
        self._numbered = False  # an annotation has no id of its own
        self._spoilt: set[int] = set()  # images with an annotation that cannot be read

    def _add(self, entry: Any) -> None:
        own = readable_id(entry, "id")
        self._numbered |= own is None
        try:
            image_id, category_id = label_of(entry)
        except BadEntry:
            if (image := readable_id(entry, "image_id")) is not None:
                self._spoilt.add(image)
            raise
        self._rows.extend((image_id, category_id, own or 0, self.lists.seen["annotations"]))

    def finish(self, path: str) -> ImageLabels:
        """Checks references, and finds the one label of each image."""
        lists = self.lists
        rows = np.frombuffer(self._rows, np.int64).reshape(-1, 4)
        images, categories = rows[:, 0], rows[:, 1]
        known = lists.categories.keys() - lists.bad_categories
        ids = np.fromiter(lists.images, np.int64, len(lists.images))
        place = positions(ids, images)
        # What refers to a bad image or category is bad for its sake.
        lost = (place < 0) & ~is_in(images, lists.bad_images)
        self._tell_rows(lost, Problem.BOX_IMAGE, "image", rows, images)
        empty = is_in(categories, lists.empty - lists.categories.keys())
        nameless = ~is_in(categories, lists.categories.keys() | lists.bad_categories) & ~empty
        self._tell_rows(nameless & ~lost, Problem.BOX_CATEGORY, "category", rows, categories)

        good = ~is_in(ids, lists.bad_images | self._spoilt)
        has_name = is_in(categories, known)
        good[place[(place >= 0) & ~has_name]] = False
        usable = (place >= 0) & has_name
        label = self._one_each(ids, good, place[usable], categories[usable])
        listed = tuple(lists.images.values())
        chosen = np.flatnonzero(good)
        return ImageLabels(
            path=path,
            images=tuple(listed[at] for at in chosen.tolist()),
            categories=tuple(c for c in lists.categories.values() if c.id in known),
            category_ids=label[chosen],
            skipped={str(problem): count for problem, count in self.tally.counts.items()},
            notes=_notes(path, len(np.unique(images[empty]))),
        )

    def _one_each(
        self, ids: np.ndarray, good: np.ndarray, place: np.ndarray, categories: np.ndarray
    ) -> np.ndarray:
        """The label of each image; those without one, or with several, become bad.

        Args:
            ids: int64 `[images]`.
            good: bool `[images]`, changed in place; what is bad already is not told again.
            place: int64 `[labels]`, the image that a label belongs to.
            categories: int64 `[labels]`.

        Returns:
            int64 `[images]`; 0 for those without a label.
        """
        label = np.zeros(len(ids), np.int64)
        label[place[::-1]] = categories[::-1]  # the first of each image stays
        has_label, several = np.zeros((2, len(ids)), bool)
        has_label[place] = True
        differs = categories != label[place]
        several[place[differs]] = True
        second = dict(zip(place[differs].tolist(), categories[differs].tolist()))
        self._tell_images(
            ids,
            several & good,
            Problem.LABEL_SEVERAL,
            lambda at: f"is both {self._named(int(label[at]))} and {self._named(second[at])}",
        )
        self._tell_images(ids, ~has_label & good, Problem.LABEL_ABSENT)
        good &= has_label & ~several
        return label

    def _tell_rows(
        self, bad: np.ndarray, problem: Problem, what: str, rows: np.ndarray, values: np.ndarray
    ) -> None:
        """Counts annotations, bool `[labels]`, that refer to something that is not there."""
        found = np.flatnonzero(bad).tolist()
        for row in found[: Tally.NAMED]:
            own, number = rows[row, 2:].tolist()
            name = (
                f"annotation number {number} of the list" if self._numbered else f"annotation {own}"
            )
            self.tally.add(problem, name, f"has the {what} {values[row]}")
        self.tally.add_unnamed(problem, len(found[Tally.NAMED :]))

    def _tell_images(
        self,
        ids: np.ndarray,
        bad: np.ndarray,
        problem: Problem,
        why: Callable[[int], str] = lambda at: "",
    ) -> None:
        """Counts images, bool `[images]`, whose label is not clear."""
        found = np.flatnonzero(bad).tolist()
        for at in found[: Tally.NAMED]:
            self.tally.add(problem, f"image {ids[at]}", why(at))
        self.tally.add_unnamed(problem, len(found[Tally.NAMED :]))

    def _named(self, category_id: int) -> str:
        return short(self.lists.categories[category_id].name)


def _notes(path: str, nothing: int) -> tuple[str, ...]:
    if not nothing:
        return ()
    return (
        f"{path}: {nothing:,} image{'s' * (nothing != 1)} of the category {EMPTY!r} "
        f"{'are' if nothing != 1 else 'is'} left out, as nothing is in them",
    )
