"""Whether records have true boxes, or only images with a label each."""

from __future__ import annotations

from inatdet.tfrecords import examples
from inatdet.tfrecords.journal import count_boxed_images
from inatdet.tfrecords.streaming import in_file_order


def any_boxed(file_pattern: str) -> bool:
    """Whether somebody drew the boxes of any image of some TFRecords.

    Their summary says it; without one, they are read until such an image is found.

    Args:
        file_pattern: of the files.
    """
    images = count_boxed_images(file_pattern)
    if images is not None:
        return images > 0
    boxed = in_file_order(file_pattern, keep=examples.is_boxed)
    return any(True for _ in boxed.take(1))
