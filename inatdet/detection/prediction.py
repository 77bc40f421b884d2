"""Detection in image files: what is found in one, and how it is shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import PIL.Image

from inatdet.data import image_files
from inatdet.data.pictures import PALETTE, as_jpeg, draw_boxes
from inatdet.files import atomic_path
from inatdet.training import saved_models
from inatdet.training.saved_models import Served

MIN_SCORE = 0.5
"""Detections with a lower score are left out by default."""


@dataclasses.dataclass(frozen=True)
class Detection:
    """One box in one image.

    Attributes:
        x: left edge, in pixels of the file.
        y: upper edge, in pixels of the file.
        width: in pixels.
        height: in pixels.
        name: of the label.
        label: 1, 2, … in the model's label space.
        score: 0 to 1.
    """

    x: float
    y: float
    width: float
    height: float
    name: str
    label: int
    score: float


def detect_in(
    detector: Served, path: str, min_score: float, max_boxes: int, upright: bool
) -> tuple[PIL.Image.Image, list[Detection]]:
    """Detects in one file.

    Args:
        detector: the detector.
        path: of an image file.
        min_score: detections with a lower score are left out.
        max_boxes: how many to keep at most, the best.
        upright: applies the file's EXIF orientation first.

    Returns:
        The image, RGB, and the detections in it, best first.

    Raises:
        InputError: the file cannot be read as an image, or is too large for the memory.
    """
    picture, found = saved_models.apply(detector, path, upright)
    count = min(int((found["scores"][: found["count"]] >= min_score).sum()), max_boxes)
    columns = (found[field][:count] for field in ("boxes", "names", "labels", "scores"))
    detections = []
    for box, name, label, score in zip(*columns):
        x, y, width, height = (round(float(value), 2) for value in box)
        detections.append(Detection(x, y, width, height, name.decode(), int(label), float(score)))
    return picture, detections


def as_json(
    path: str,
    picture: PIL.Image.Image,
    detections: Sequence[Detection],
    ascii_only: bool = False,
) -> str:
    """The detections in one image as one line of JSON; see `image_files.as_json`."""
    found = [dataclasses.asdict(d) | {"score": round(d.score, 6)} for d in detections]
    return image_files.as_json(path, picture, {"detections": found}, ascii_only)


def draw(picture: PIL.Image.Image, detections: Sequence[Detection], path: str) -> None:
    """Draws detections into an image and writes it as JPEG, whole or not at all."""
    draw_boxes(
        picture,
        np.array([[d.x, d.y, d.width, d.height] for d in detections]).reshape(-1, 4),
        [f"{d.name} {d.score:.2f}" for d in detections],
        [PALETTE[d.label % len(PALETTE)] for d in detections],
    )
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(as_jpeg(picture))
