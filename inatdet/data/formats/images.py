"""The images that a JSON file lists, whatever else it says about them."""

from __future__ import annotations

import os

from inatdet.data.annotations import Image
from inatdet.data.checking import Lists
from inatdet.data.formats.json_stream import iterate_lists
from inatdet.data.formats.signatures import check_is_annotations
from inatdet.data.problems import Tally
from inatdet.errors import InputError


def read_images(path: str | os.PathLike[str]) -> tuple[Image, ...]:
    """Reads and checks the images of a file with annotations, labels, or neither, as test sets are.

    Args:
        path: a JSON object with the list `images`.

    Returns:
        The images, in the order of the file; it need not say their sizes. Their file names lead to
        files inside of the folder of images.

    Raises:
        InputError: the file is missing, empty, truncated or not such JSON; it lists no image; or an
            entry is bad.
    """
    path = os.fspath(path)
    check_is_annotations(path)
    tally = Tally()
    lists = Lists(_ignore, tally, files_needed=True, sizes_needed=False)
    for key, entry in iterate_lists(path, ("images",)):
        lists.add(key, entry)
    if tally.counts:
        total = lists.seen["images"]
        raise InputError(f"{path}: {tally.summary(total, 0, 0, ('image', 'images'))}")
    if not lists.images:
        raise InputError(f"{path}: lists no image; check the file")
    return tuple(lists.images.values())


def _ignore(entry: object) -> None:
    del entry
