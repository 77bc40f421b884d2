"""Who took each image, as the files that iNat2017 publishes with places and dates say."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

from inatdet.data.entries import short, whole_number
from inatdet.data.formats.json_list import Form, iterate_list
from inatdet.data.formats.json_stream import iterate_lists
from inatdet.data.formats.signatures import start_of_text
from inatdet.errors import InputError

KEYS = ("user_id", "observer_id", "observer")
"""What the observer of an image may be called; the first that an entry has counts."""

_IMAGE_KEYS = ("id", "image_id")
_NEEDS = f"each needs the id of an image, and who took it as {', '.join(KEYS[:-1])} or {KEYS[-1]}"
_FORM = Form(
    element="entry",
    needs=_NEEDS,
    not_a_list=f"is no JSON list of observers; {_NEEDS}",
    mended=lambda entry: entry,
    fault=lambda entry: "" if isinstance(entry, dict) else f"is no object, but {short(entry)}",
)


def read_observers(path: str | os.PathLike[str]) -> dict[int, Hashable]:
    """Reads who took each image.

    Args:
        path: a JSON list of objects with `id` and `user_id`, as iNat2017's train2017_locations.json
            is, or a COCO-style file whose `images` have an observer; see `KEYS`.

    Returns:
        The observer by image id; images without one have no entry.

    Raises:
        InputError: the file is neither, no entry has an observer, or one has no image id.
    """
    path = os.fspath(path)
    is_object = start_of_text(path).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    observers: dict[int, Hashable] = {}
    for number, entry in enumerate(_of_images(path) if is_object else _of_list(path), 1):
        observer = next((entry[key] for key in KEYS if entry.get(key) not in (None, "")), None)
        if observer is None:
            continue
        image_id = next((whole_number(entry[key]) for key in _IMAGE_KEYS if key in entry), None)
        if image_id is None or not isinstance(observer, (int, str)):
            raise InputError(f"{path}: entry {number} is {short(entry)}; {_NEEDS}")
        if observers.setdefault(image_id, observer) != observer:
            raise InputError(
                f"{path}: image {image_id} has two observers, {short(observers[image_id])} and "
                f"{short(observer)}; keep one of them"
            )
    if not observers:
        raise InputError(f"{path}: no entry says who took an image; {_NEEDS}")
    return observers


def _of_list(path: str) -> Iterator[Mapping[str, Any]]:
    entries: Iterable[list[dict[str, Any]]] = iterate_list(path, dict[str, Any], _FORM)
    for some in entries:
        yield from some


def _of_images(path: str) -> Iterator[Mapping[str, Any]]:
    for _, entry in iterate_lists(path, ("images",)):
        if not isinstance(entry, dict):
            raise InputError(f"{path}: an image is {short(entry)}; {_NEEDS}")
        yield entry
