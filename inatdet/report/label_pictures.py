"""Pictures of likely wrong labels: the true box with its label, and what the model calls it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
from PIL import Image as PILImage

from inatdet.data.pictures import LONGEST_SIDE, PALETTE, WRONG, as_jpeg, draw_boxes
from inatdet.evaluation.label_errors import WrongLabel
from inatdet.report.gallery import readable
from inatdet.report.text import one_line

ANNOTATED, NAMED = PALETTE[1], WRONG
"""The colors of the true box and of the detection: blue and red, neither of which means right."""

PICTURED = "likely_wrong_labels"
"""The section that the page shows these pictures in."""


@dataclass(frozen=True)
class LabelPicture:
    """An image with a true box and the detection that contradicts its label.

    Attributes:
        row: the entry of the list.
        jpeg: the picture as a JPEG file.
    """

    row: WrongLabel
    jpeg: bytes


def label_pictures(
    rows: Iterable[WrongLabel],
    images_dir: str | os.PathLike[str],
    count: int,
    unreadable: dict[str, str],
) -> tuple[LabelPicture, ...]:
    """Draws the first entries of the list. The next ones stand in for unreadable images.

    Args:
        rows: the list.
        images_dir: the folder that the images' file names start from.
        count: how many at most.
        unreadable: where images that cannot be read are noted, by file name with what is wrong.
            Those noted already are not tried; after `MOST_UNREADABLE` none is.
    """
    candidates = ((row, row.image) for row in rows)
    return tuple(
        LabelPicture(row, _drawn(row, picture))
        for row, _, picture in islice(readable(candidates, images_dir, unreadable), count)
    )


def _drawn(row: WrongLabel, picture: PILImage.Image) -> bytes:
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    scale = np.array([picture.width / row.image.width, picture.height / row.image.height] * 2)
    draw_boxes(
        picture,
        np.array([row.found, row.box]) * scale,
        [f"{one_line(row.named)} {row.named_score:.2f}", one_line(row.annotated)],
        [NAMED, ANNOTATED],
        below={1},
    )
    return as_jpeg(picture)
