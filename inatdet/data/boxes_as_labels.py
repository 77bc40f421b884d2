"""What images show as a whole, told by their boxes where these agree."""

from __future__ import annotations

import numpy as np

from inatdet.data.annotations import Annotations
from inatdet.data.image_labels import ImageLabels
from inatdet.errors import InputError


def labels_of_boxes(annotations: Annotations) -> ImageLabels:
    """The category of each image whose boxes are all of one.

    Images without a box and images with boxes of several categories are left out, and counted in
    `skipped` beside what the annotations lack already.

    Args:
        annotations: boxes around a crowd among them.

    Raises:
        InputError: no image is left.
    """
    rows, starts = annotations.rows_by_image()
    ids = annotations.category_ids[rows]
    boxed = np.flatnonzero(np.diff(starts))
    lowest, highest = (
        np.array([], np.int64) if not len(boxed) else reduce(ids, starts[:-1][boxed])
        for reduce in (np.minimum.reduceat, np.maximum.reduceat)
    )
    agree = boxed[lowest == highest]
    if not len(agree):
        raise InputError(
            f"{annotations.path}: no image has boxes that are all of one category, so none shows "
            "what it is as a whole; give the labels of images with --labels"
        )
    left_out = {
        "images without a box": len(annotations.images) - len(boxed),
        "images with boxes of several categories": len(boxed) - len(agree),
    }
    return ImageLabels(
        path=annotations.path,
        images=tuple(annotations.images[place] for place in agree.tolist()),
        categories=annotations.categories,
        category_ids=lowest[lowest == highest],
        skipped={**annotations.skipped, **{what: n for what, n in left_out.items() if n}},
        notes=annotations.notes,
        sha256=annotations.sha256,
    )
