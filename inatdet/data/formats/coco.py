"""COCO's JSON of annotations, as iNat2017 and LVIS publish it; `coco_results` has its detections.

Files can be hundreds of megabytes; they are read and written piece by piece, and only columns of
numbers are kept.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec
from tqdm import tqdm

from inatdet.data.annotations import Annotations
from inatdet.data.checking import LISTS, OnBad, collect
from inatdet.data.entries import is_safe_file_name
from inatdet.data.formats.image_sizes import size_of
from inatdet.data.formats.json_stream import iterate_lists
from inatdet.data.formats.names import add_super_category
from inatdet.data.formats.signatures import check_is_annotations
from inatdet.data.formats.text_ids import TextIds
from inatdet.data.granularity import Granularity
from inatdet.data.taxonomy import Taxonomy
from inatdet.errors import InputError
from inatdet.files import atomic_path

_ENTRIES_AT_ONCE = 10_000


def read_coco_annotations(
    path: str | os.PathLike[str],
    super_categories: Mapping[str, str] | None = None,
    on_bad: OnBad = OnBad.ERROR,
    *,
    images_dir: str | os.PathLike[str] | None = None,
    number_ids: bool = False,
) -> Annotations:
    """Reads and checks a COCO-style annotation file; see `collect` for the checks.

    Args:
        path: a JSON object with the lists `images`, `categories` and `annotations`. LVIS' files
            have no `file_name`; it is taken from `coco_url`, with the folder.
        super_categories: the super-class by category name; it takes precedence over
            `supercategory`, which LVIS' files do not have.
        on_bad: what to do about bad entries; see `collect`.
        images_dir: the folder of the images, for the sizes that the file does not have. With it,
            the names of images must lead to files inside of it.
        number_ids: whether ids that are text become numbers, as for COCO Camera Traps.

    Raises:
        InputError: the file is missing, empty, truncated or not such JSON; or an entry is bad and
            `on_bad` is `ERROR`, in which case the first few bad ones are named.
    """
    path = os.fspath(path)
    check_is_annotations(path)
    text_ids = TextIds(path)
    measured = 0

    def entries() -> Iterator[tuple[str, Any]]:
        nonlocal measured
        for key, entry in iterate_lists(path, LISTS):
            if key == "images" and isinstance(entry, dict):
                _take_name_of_url(entry)
                if images_dir is not None and _measure(entry, images_dir, on_bad):
                    measured += 1
            elif key == "categories" and super_categories is not None:
                add_super_category(entry, super_categories)
            yield key, entry

    found = collect(
        path,
        text_ids.replaced(entries()) if number_ids else entries(),
        on_bad,
        files_needed=images_dir is not None,
    )
    notes = [*found.notes, *text_ids.notes()]
    if measured:
        notes.append(f"{path}: the sizes of {measured:,} images were taken from their files")
    return replace(found, notes=tuple(notes))


def _take_name_of_url(entry: dict[str, Any]) -> None:
    url = entry.get("coco_url")
    if "file_name" not in entry and isinstance(url, str):  # .../train2017/000000391895.jpg
        entry["file_name"] = "/".join(url.rsplit("/", 2)[1:])


def _measure(entry: dict[str, Any], images_dir: str | os.PathLike[str], on_bad: OnBad) -> bool:
    """Adds the size that an image does not have; returns whether it did."""
    name = entry.get("file_name")
    has_size = entry.get("width") is not None or entry.get("height") is not None
    if has_size or not isinstance(name, str) or not is_safe_file_name(name):
        return False
    try:
        entry["width"], entry["height"] = size_of(os.path.join(images_dir, name))
    except InputError:
        if on_bad is OnBad.ERROR:
            raise
        return False
    return True


def write_coco_annotations(
    path: str | os.PathLike[str],
    annotations: Annotations,
    taxonomy: Taxonomy,
    granularity: Granularity = Granularity.SPECIES,
) -> None:
    """Writes COCO-style annotations.

    Args:
        path: the file.
        annotations: all of them are written.
        taxonomy: their label spaces.
        granularity: what the categories are. For species, they are those of the annotations;
            otherwise the labels 1, 2, ... of the taxonomy, as in detections of that granularity.

    Raises:
        InputError: a box has a category without a label in the taxonomy.
    """
    categories, category_of = _categories(annotations, taxonomy, granularity)
    images = (
        {"id": i.id, "file_name": i.file_name, "width": i.width, "height": i.height}
        for i in annotations.images
    )
    columns = (
        annotations.box_ids,
        annotations.image_ids,
        annotations.category_ids,
        annotations.boxes,
        annotations.areas,
        annotations.is_crowd.astype(int),
    )
    names = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    boxes = (
        dict(zip(names, row)) | {"category_id": category_of[row[2]]}
        for row in zip(*(column.tolist() for column in columns))
    )
    lists: dict[str, Iterator[dict[str, Any]]] = {"images": images, "annotations": boxes}
    total = len(annotations.images) + len(annotations.boxes)
    with (
        atomic_path(path) as temporary,
        open(temporary, "wb") as file,
        tqdm(total=total, unit_scale=True, delay=2, disable=None) as progress,
    ):
        file.write(b'{"categories": %b' % json.dumps(categories).encode())
        for key, entries in lists.items():
            file.write(b',\n"%b": [' % key.encode())
            before = b"\n"
            while block := list(itertools.islice(entries, _ENTRIES_AT_ONCE)):
                file.write(before + msgspec.json.encode(block)[1:-1])
                before = b",\n"
                progress.update(len(block))
            file.write(b"\n]")
        file.write(b"}\n")


def _categories(
    annotations: Annotations, taxonomy: Taxonomy, granularity: Granularity
) -> tuple[list[dict[str, Any]], dict[int, int]]:
    """The list of categories to write, and the id in it by category id of the annotations."""
    if granularity is Granularity.SPECIES:
        entries = [
            dict(c.ranks) | {"id": c.id, "name": c.name, "supercategory": c.supercategory}
            for c in annotations.categories
        ]
        ids = {c.id: c.id for c in annotations.categories}
    else:
        entries = [
            {"id": label, "name": name, "supercategory": name}
            for label, name in enumerate(taxonomy.names(granularity), 1)
        ]
        ids = dict(taxonomy.label_of_category(granularity))
    for category_id in annotations.boxed_category_ids():
        if category_id not in ids:
            raise InputError(
                f"{annotations.path}: category {category_id} has no {granularity} label in the "
                "taxonomy; check that both belong to the same dataset"
            )
    return entries, ids
