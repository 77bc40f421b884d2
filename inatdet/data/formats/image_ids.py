"""Image ids that are file names: `"img_1"` or `"img_1.jpg"`, and the 7 of `0007.jpg`.

Programs that know no annotations, Ultralytics for one, call an image by its file's name without
suffix, or by the number that this name is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from inatdet.data.annotations import Image, positions
from inatdet.data.detections import Detections
from inatdet.data.formats.names import ImagesByName

_SPELLS_ID = re.compile("-?[0-9]{1,18}").fullmatch


def ids_of_names(
    path: str, values: Sequence[int | str], images: Sequence[Image]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The ids of images that are given by id, as a number or in quotes, or by file name.

    Args:
        path: the file, for the message.
        values: what it says, once per detection.
        images: the annotations' images.

    Returns:
        Int64 `[detections]`, and what to tell about it.

    Raises:
        InputError: a value is neither, or names several images.
    """
    different = set(values)
    numbers = {value: _number(value) for value in different}
    known = {image.id for image in images}
    if all(
        str(number) == str(value) and (number in known or not known)  # 0007 is no id
        for value, number in numbers.items()
    ):
        return np.array([numbers[value] for value in values], np.int64), ()
    by_name = ImagesByName(images)
    ids = {value: by_name.find(str(value), path).id for value in different}
    return np.array([ids[value] for value in values], np.int64), (_note(path, len(ids)),)


def ids_of_text(
    path: str, values: Sequence[str], images: Sequence[Image]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The ids of images in a table of text: numbers, or names or numbers of files.

    Args:
        path: the file, for the message.
        values: what it says, once per row.
        images: the annotations' images. Numbers that are none of their ids are kept, unless all
            numbers are those of files.

    Returns:
        Int64 `[rows]`, and what to tell about it.

    Raises:
        InputError: a value is neither, or names several images.
    """
    if not all(map(_SPELLS_ID, values)):
        return ids_of_names(path, values, images)
    return _ids_or_numbers(path, np.array(list(map(int, values)), np.int64), images)


def with_ids_of(detections: Detections, images: Sequence[Image]) -> Detections:
    """The same detections, with ids in place of numbers of files where only these fit."""
    ids, notes = _ids_or_numbers(detections.path, detections.image_ids, images)
    if not notes:
        return detections
    return replace(detections, image_ids=ids, notes=(*detections.notes, *notes))


def _ids_or_numbers(
    path: str, numbers: np.ndarray, images: Sequence[Image]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Ids in place of numbers of files where only these fit, and what to tell about it."""
    ids = np.unique(numbers)
    known = np.fromiter((image.id for image in images), np.int64, len(images))
    if not len(images) or np.isin(ids, known).all():
        return numbers, ()
    named = ids_of_numbers(numbers, images)
    return (numbers, ()) if named is None else (named, (_note(path, len(ids)),))


def ids_of_numbers(numbers: np.ndarray, images: Iterable[Image]) -> np.ndarray | None:
    """The ids of the images whose files are called by numbers: 7 for `a/0007.jpg`.

    Args:
        numbers: int64 `[detections]`.
        images: the annotations' images.

    Returns:
        Int64 `[detections]`; None unless each number is the name of exactly one image's file.
    """
    ids: dict[int, int | None] = {}
    for image in images:
        number = _number(os.path.splitext(image.file_name)[0].rpartition("/")[2])
        if number is not None:
            ids[number] = None if number in ids else image.id
    stems = np.array([number for number, image_id in ids.items() if image_id is not None], np.int64)
    place = positions(stems, numbers)
    if not len(stems) or (place < 0).any():
        return None
    of_stem = np.array([ids[stem] for stem in stems.tolist()], np.int64)
    return of_stem.take(place)


def _number(value: int | str) -> int | None:
    """The number that a value is or spells; None if it is none, or none of 64 bits."""
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) < 19):
            return None
        value = int(value)
    return value


def _note(path: str, count: int) -> str:
    return (
        f"{path}: its image ids are not those of the annotations but file names; {count:,} images "
        "were matched by name"
    )
