"""Annotations of whichever kind, and COCO-style JSON of them."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from tqdm import tqdm

from inatdet.data.annotations import Annotations, OnBad, collect
from inatdet.data.formats import voc, yolo
from inatdet.data.formats.names import read_names, read_super_categories
from inatdet.data.formats.text import files_below
from inatdet.data.json_stream import LISTS, iterate_lists
from inatdet.data.taxonomy import Granularity, Taxonomy
from inatdet.errors import InputError
from inatdet.files import atomic_path


@dataclass(frozen=True)
class Options:
    """What the files themselves do not say.

    Attributes:
        names_path: names of the classes, see `read_names`; YOLO's labels need it.
        super_categories_path: their super-classes, see `read_super_categories`; all kinds but JSON
            with `supercategory` need it, and there it goes first.
        images_dir: the images; YOLO's labels need it.
        corners: what the corners in VOC's files are.
        on_bad: what to do with bad records.
    """

    names_path: str | None = None
    super_categories_path: str | None = None
    images_dir: str | None = None
    corners: voc.Corners = voc.Corners.INCLUSIVE
    on_bad: OnBad = OnBad.ERROR


def read_any_annotations(path: str | os.PathLike[str], options: Options) -> Annotations:
    """Reads annotations, of the kind that they turn out to be.

    Args:
        path: a COCO-style or LVIS JSON file, a folder of VOC's XML files, or one of YOLO's .txt
            files.
        options: what else is needed.

    Raises:
        InputError: the kind is none of these, a file is wrong, or an option is missing.
    """
    path = os.fspath(path)
    super_categories = None
    if options.super_categories_path:
        super_categories = read_super_categories(options.super_categories_path)
    if not os.path.isdir(path):
        return _read_json(path, super_categories, options.on_bad)
    names = read_names(options.names_path) if options.names_path else None
    kinds = [suffix for suffix in (voc.SUFFIX, yolo.SUFFIX) if files_below(path, (suffix,))]
    if kinds == [voc.SUFFIX]:
        return voc.read_voc_annotations(
            path, super_categories, names, options.corners, options.on_bad
        )
    if kinds == [yolo.SUFFIX]:
        if names is None or options.images_dir is None:
            raise InputError(
                f"{path}: YOLO's labels name neither classes nor sizes; give --names=data.yaml and "
                "--images_dir=FOLDER"
            )
        return yolo.read_yolo_labels(
            path, options.images_dir, names, super_categories, options.on_bad
        )
    found = "has both .xml and .txt files" if kinds else "has neither .xml nor .txt files"
    raise InputError(f"{path}: {found}; give a folder of VOC's XML or of YOLO's labels")


def _read_json(path: str, super_categories: Mapping[str, str] | None, on_bad: OnBad) -> Annotations:
    """COCO's form, in which LVIS leaves out file names and super-classes."""

    def records() -> Iterator[tuple[str, Any]]:
        for key, record in iterate_lists(path, LISTS):
            if isinstance(record, dict):
                if key == "images" and "file_name" not in record:
                    url = record.get("coco_url")
                    if isinstance(url, str):  # .../train2017/000000391895.jpg
                        record["file_name"] = "/".join(url.rsplit("/", 2)[1:])
                if key == "categories" and super_categories is not None:
                    name = record.get("name")
                    if isinstance(name, str) and name in super_categories:
                        record["supercategory"] = super_categories[name]
            yield key, record

    return collect(path, records(), on_bad)


def write_annotations(
    path: str | os.PathLike[str],
    annotations: Annotations,
    taxonomy: Taxonomy,
    granularity: Granularity = Granularity.SPECIES,
) -> None:
    """Writes COCO-style JSON.

    Args:
        path: the file.
        annotations: all of them are written.
        taxonomy: their label spaces.
        granularity: what the categories are. For species they are those of the annotations; else
            the labels 1, 2, ... of the taxonomy, as in detections of that granularity.

    Raises:
        InputError: a box has a category that the taxonomy has no label for.
    """
    categories = [
        {"id": c.id, "name": c.name, "supercategory": c.supercategory}
        for c in annotations.categories
    ]
    category_of = {c.id: c.id for c in annotations.categories}
    if granularity is not Granularity.SPECIES:
        category_of = dict(taxonomy.label_of_category(granularity))
        categories = [
            {"id": label, "name": name, "supercategory": name}
            for label, name in enumerate(taxonomy.names(granularity), 1)
        ]
    for category_id in annotations.boxed_category_ids():
        if category_id not in category_of:
            raise InputError(
                f"{annotations.path}: category {category_id} has no {granularity} label in the "
                "taxonomy; check that both belong to the same dataset"
            )
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
    total = len(annotations.images) + len(annotations.boxes)
    with (
        atomic_path(path) as temporary,
        open(temporary, "wb") as file,
        tqdm(total=total, unit_scale=True, delay=2, disable=None) as progress,
    ):
        file.write(b'{"categories": %b' % json.dumps(categories).encode())
        for key, records in (("images", images), ("annotations", boxes)):
            file.write(b',\n"%b": [' % key.encode())
            before = b"\n"
            while block := list(itertools.islice(records, 10_000)):
                file.write(before + msgspec.json.encode(block)[1:-1])
                before = b",\n"
                progress.update(len(block))
            file.write(b"\n]")
        file.write(b"}\n")
