"""Reads annotations, whatever kind of file they are in."""

from __future__ import annotations

import os
from dataclasses import dataclass

from inatdet.data.annotations import Annotations
from inatdet.data.checking import OnBad
from inatdet.data.formats import voc, yolo
from inatdet.data.formats.coco import read_coco_annotations
from inatdet.data.formats.names import read_names, read_super_categories
from inatdet.data.formats.text import files_below
from inatdet.errors import InputError


@dataclass(frozen=True)
class Options:
    """What is needed besides the annotations themselves.

    Attributes:
        names_path: names of the classes, see `read_names`; needed for YOLO's labels.
        super_categories_path: super-classes by category name, see `read_super_categories`. Needed
            for all kinds but JSON with `supercategory`, over which it takes precedence.
        images_dir: the folder of the images; needed for YOLO's labels, and for the sizes that a
            JSON file may lack. With it, the names of images must lead to files inside of it.
        corners: what the corners in VOC's files mean.
        on_bad: what to do about bad entries; see `inatdet.data.checking.collect`.
        number_ids: whether ids in JSON that are text become numbers.
    """

    names_path: str | None = None
    super_categories_path: str | None = None
    images_dir: str | None = None
    corners: voc.Corners = voc.Corners.INCLUSIVE
    on_bad: OnBad = OnBad.ERROR
    number_ids: bool = False


def read_annotations(
    path: str | os.PathLike[str],
    options: Options = Options(),
) -> Annotations:
    """Reads and checks annotations of whatever kind.

    Args:
        path: a COCO-style or LVIS JSON file, a folder of VOC's XML files, or a folder of YOLO's
            .txt files.
        options: what else is needed.

    Raises:
        InputError: it is none of these kinds, a file is invalid, or an option is missing.
    """
    path = os.fspath(path)
    super_categories = None
    if options.super_categories_path:
        super_categories = read_super_categories(options.super_categories_path)
    if not os.path.isdir(path):
        return read_coco_annotations(
            path,
            super_categories,
            options.on_bad,
            images_dir=options.images_dir,
            number_ids=options.number_ids,
        )
    names = read_names(options.names_path) if options.names_path else None
    kinds = [suffix for suffix in (voc.SUFFIX, yolo.SUFFIX) if files_below(path, (suffix,))]
    if kinds == [voc.SUFFIX]:
        return voc.read_voc_annotations(
            path,
            names=names,
            super_categories=super_categories,
            corners=options.corners,
            on_bad=options.on_bad,
            files_needed=options.images_dir is not None,
        )
    if kinds == [yolo.SUFFIX]:
        if names is None or options.images_dir is None:
            raise InputError(
                f"{path}: YOLO's labels contain neither the names of the classes nor the sizes of "
                "the images; give --names=data.yaml and --images_dir=FOLDER"
            )
        return yolo.read_yolo_annotations(
            path,
            images_dir=options.images_dir,
            names=names,
            super_categories=super_categories,
            on_bad=options.on_bad,
        )
    found = "has both .xml and .txt files" if kinds else "has neither .xml nor .txt files"
    raise InputError(f"{path}: {found}; give a folder of VOC's XML or of YOLO's labels")
