"""Image-level JSON, as iNat2017's train2017.json and later years' files: a category per image."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from inatdet.data.checking import LISTS, OnBad
from inatdet.data.formats.json_stream import iterate_lists
from inatdet.data.formats.names import add_super_category, read_super_categories
from inatdet.data.formats.ranks import with_ranks
from inatdet.data.formats.signatures import check_is_annotations
from inatdet.data.image_labels import ImageLabels
from inatdet.data.label_columns import collect_labels
from inatdet.files import sha256_of


def read_image_labels(
    path: str | os.PathLike[str],
    *,
    super_categories: str | os.PathLike[str] | None = None,
    on_bad: OnBad | str = OnBad.ERROR,
    ranks: str | os.PathLike[str] | None = None,
    genus_from_names: bool = False,
    files_needed: bool = False,
) -> ImageLabels:
    """Reads and checks the labels of images, which say what is in them but not where.

    Args:
        path: a JSON object with the lists `images`, `categories` and `annotations`, as iNat2017 to
            iNat2021 are published for classification. Boxes, where annotations have them, are not
            looked at; an image may have several annotations if they agree on its category.
        super_categories: a JSON file, `{"category": "super-class", ...}`, which takes precedence
            over `supercategory`.
        on_bad: whether bad entries are errors, or left out together with their images (`skip`).
        ranks: a table of ranks that the categories do not name; see `read_annotations`.
        genus_from_names: whether to take genera from names that are binomials.
        files_needed: whether the image files will be opened, so that their names must lead to files
            inside of the folder of images.

    Returns:
        The images with the category of each, in the order of the file.

    Raises:
        InputError: the file is missing, empty, truncated or not such JSON; or an entry is bad, an
            image has no category or several, and `on_bad` is `error`.

    Example:
        >>> labels = inatdet.read_image_labels("train2017.json")
        >>> labels
        ImageLabels('train2017.json': 3 images, 5 categories)
        >>> labels.category_ids
        array([5, 0, 5])
    """
    path = os.fspath(path)
    check_is_annotations(path)
    given = None if super_categories is None else read_super_categories(super_categories)

    def entries() -> Iterator[tuple[str, Any]]:
        for key, entry in iterate_lists(path, LISTS):
            if key == "categories" and given is not None:
                add_super_category(entry, given)
            yield key, entry

    labels = collect_labels(path, entries(), OnBad(on_bad), files_needed=files_needed)
    labels = replace(labels, sha256=sha256_of(path))
    return with_ranks(labels, ranks, genus_from_names)
