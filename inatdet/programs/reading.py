"""Reads annotations and image labels as the programs' flags say, and says what was left out."""

from __future__ import annotations

from absl import flags

from inatdet.data.annotations import Annotations
from inatdet.data.formats.image_labels import read_image_labels
from inatdet.data.formats.reading import read_annotations
from inatdet.data.image_labels import ImageLabels
from inatdet.programs.running import progress
from inatdet.report.gallery import check_images_dir


def read_truth(
    values: flags.FlagValues, *, with_names: bool = True, number_ids: bool = False
) -> Annotations:
    """Reads the ground truth that the flags describe, and says what was left out or changed.

    Args:
        values: the flags of `define_truth`, and --images_dir.
        with_names: whether --names names the classes of the annotations.
        number_ids: whether ids that are text become numbers.

    Raises:
        InputError: it cannot be read, or --images_dir is not a folder.
    """
    return read_as_flags_say(
        values.annotations,
        values,
        images_dir=values.images_dir,
        taxonomy=values.taxonomy,
        with_names=with_names,
        number_ids=number_ids,
    )


def read_as_flags_say(
    path: str,
    values: flags.FlagValues,
    *,
    images_dir: str | None = None,
    taxonomy: str | None = None,
    with_names: bool = True,
    number_ids: bool = False,
) -> Annotations:
    """Reads annotations, and says what was left out or changed.

    Args:
        path: the file or folder.
        values: the flags of `define_reading`.
        images_dir: the images.
        taxonomy: a file of label spaces.
        with_names: whether --names names the classes of the annotations.
        number_ids: whether ids that are text become numbers.

    Raises:
        InputError: it cannot be read, or `images_dir` is not a folder.
    """
    if images_dir:
        check_images_dir(images_dir)
    progress(f"reading {path}")
    found = read_annotations(
        path,
        taxonomy=taxonomy,
        names=values.names if with_names else None,
        super_categories=values.super_categories,
        images_dir=images_dir,
        corners=values.corners,
        on_bad=values.on_bad,
        number_ids=number_ids,
        ranks=values.ranks,
        genus_from_names=values.genus_from_names,
    )
    _say_how_it_was_read(found)
    return found


def read_labels_as_flags_say(path: str, values: flags.FlagValues) -> ImageLabels:
    """Reads labels of images, and says what was left out or changed.

    Args:
        path: the file.
        values: the flags of `define_reading`.

    Raises:
        InputError: it cannot be read.
    """
    progress(f"reading {path}")
    found = read_image_labels(
        path,
        super_categories=values.super_categories,
        on_bad=values.on_bad,
        ranks=values.ranks,
        genus_from_names=values.genus_from_names,
    )
    _say_how_it_was_read(found)
    return found


def _say_how_it_was_read(found: Annotations | ImageLabels) -> None:
    for note in found.notes:
        progress(f"note: {note}")
    if found.skipped:
        left_out = "; ".join(f"{problem}: {count:,}" for problem, count in found.skipped.items())
        progress(f"{found.path}: left out with --on_bad=skip: {left_out}")
