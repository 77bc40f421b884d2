"""Annotations of whichever kind, and COCO-style JSON of them."""

from __future__ import annotations

import os
from dataclasses import dataclass

from inatdet.data.annotations import Annotations
from inatdet.data.checking import OnBad
from inatdet.data.formats import voc, yolo
from inatdet.data.formats.coco import _read_json
from inatdet.data.formats.names import read_names, read_super_categories
from inatdet.data.formats.text import files_below
from inatdet.errors import InputError


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
