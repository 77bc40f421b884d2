"""Numbers for ids that are text, as COCO Camera Traps has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from inatdet.data.entries import whole_number
from inatdet.errors import InputError

_REFERENCES = {
    "images": (("id", "images"),),
    "categories": (("id", "categories"),),
    "annotations": (("image_id", "images"), ("category_id", "categories")),
}


class TextIds:
    """Numbers the ids of images and categories that are text 1, 2, ... as they occur."""

    def __init__(self, path: str):
        self._path = path
        self._numbers: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._with_numbers: set[str] = set()

    def replaced(self, entries: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        """The entries of an annotation file, with numbers instead of text.

        Raises:
            InputError: some ids of images, or of categories, are text and others are numbers.
        """
        for key, entry in entries:
            for field, kind in _REFERENCES[key] if isinstance(entry, dict) else ():
                value = entry.get(field)
                if whole_number(value) is not None:
                    self._with_numbers.add(kind)
                elif isinstance(value, str) and value:
                    numbers = self._numbers[kind]
                    entry[field] = numbers.setdefault(value, len(numbers) + 1)
            yield key, entry
        for kind in self._with_numbers & self._numbers.keys():
            raise InputError(
                f"{self._path}: some ids of {kind} are numbers and others are text, such as "
                f"{next(iter(self._numbers[kind]))[:40]!r}; write all of them in one way"
            )

    def notes(self) -> Iterator[str]:
        """What was done, in sentences."""
        for kind, numbers in self._numbers.items():
            yield (
                f"{self._path}: {len(numbers):,} ids of {kind} are text; they are numbered 1, 2, "
                "... in the order of the file"
            )
