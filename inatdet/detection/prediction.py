"""Detection in image files: finding them, detecting in one, and showing what was found."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Iterable, Sequence

import numpy as np
import PIL.Image
import PIL.ImageOps
import tensorflow as tf

from inatdet.data.file_names import IMAGE_SUFFIXES
from inatdet.data.pictures import PALETTE, as_jpeg, draw_boxes, open_picture
from inatdet.data.pillow import orientation_of
from inatdet.detection.serving import Detector
from inatdet.errors import InputError
from inatdet.files import atomic_path, matching

_LONGEST_NAME = 255  # bytes of a file's name, on nearly all file systems
_SERVABLE = (b"\xff\xd8", b"\x89PNG")  # first bytes of files that the detector decodes itself


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


def find_images(inputs: Iterable[str], skipped_dir: str = "") -> list[str]:
    """Expands files, folders and patterns to files.

    Args:
        inputs: a folder stands for the image files in it and its subfolders, in order of their
            names. Patterns are those of `inatdet.files.matching`. What matches nothing is returned
            unchanged: reading it will say what is wrong.
        skipped_dir: a folder that is not searched.

    Returns:
        Paths, each once.
    """
    paths: dict[str, None] = {}
    for given in inputs:
        matches = [given] if os.path.exists(given) else matching(given)
        for match in matches or [given]:
            found = _images_under(match, skipped_dir) if os.path.isdir(match) else [match]
            paths.update(dict.fromkeys(found))
    return list(paths)


def _images_under(folder: str, skipped_dir: str) -> Iterable[str]:
    for parent, folders, files in os.walk(folder):
        if skipped_dir and os.path.realpath(parent) == os.path.realpath(skipped_dir):
            folders.clear()
            continue
        folders.sort()
        for name in sorted(files):
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("."):
                yield os.path.join(parent, name)


def picture_paths(paths: Sequence[str], output_dir: str) -> list[str]:
    """Where each image's picture goes: its name as .jpg, numbered if several images have it.

    A name that would be too long is cut.

    Raises:
        InputError: if a picture would replace one of the images.
    """
    originals = {os.path.realpath(path) for path in paths}
    taken: set[str] = set()
    outputs = []
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        name, number = _with_suffix(stem, ".jpg"), 1
        while name.lower() in taken:  # some file systems do not distinguish a from A
            number += 1
            name = _with_suffix(stem, f"-{number}.jpg")
        taken.add(name.lower())
        outputs.append(os.path.join(output_dir, name))
        if os.path.realpath(outputs[-1]) in originals:
            raise InputError(
                f"{outputs[-1]}: the picture would replace this image; choose another --output_dir"
            )
    return outputs


def _with_suffix(stem: str, suffix: str) -> str:
    room = _LONGEST_NAME - len(suffix)
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + suffix


def detect_in(
    detector: Detector, path: str, min_score: float, max_boxes: int, upright: bool
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
    try:
        return _detect_in(detector, path, min_score, max_boxes, upright)
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise InputError(
            f"{path}: needs more memory than there is; make the image smaller"
        ) from error


def _detect_in(
    detector: Detector, path: str, min_score: float, max_boxes: int, upright: bool
) -> tuple[PIL.Image.Image, list[Detection]]:
    picture = open_picture(path, "leave it out or replace it")
    with open(path, "rb") as file:
        encoded = file.read()
    turn = upright and orientation_of(picture) != 1
    if turn:
        picture = PIL.ImageOps.exif_transpose(picture)
    if turn or not encoded.startswith(_SERVABLE):
        encoded = _as_png(picture)
    try:
        found = {name: value.numpy()[0] for name, value in detector(tf.constant([encoded])).items()}
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"{path}: TensorFlow cannot decode it, though Pillow can; save it again as JPEG or PNG"
        ) from error
    count = min(int((found["scores"][: found["count"]] >= min_score).sum()), max_boxes)
    columns = (found[field][:count] for field in ("boxes", "names", "labels", "scores"))
    detections = []
    for box, name, label, score in zip(*columns):
        x, y, width, height = (round(float(value), 2) for value in box)
        detections.append(Detection(x, y, width, height, name.decode(), int(label), float(score)))
    return picture, detections


def _as_png(picture: PIL.Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def as_json(
    path: str,
    picture: PIL.Image.Image,
    detections: Sequence[Detection],
    ascii_only: bool = False,
) -> str:
    r"""The detections in one image as one line of JSON, without the end of the line.

    Args:
        path: the file. Bytes of its name that are not UTF-8 become escapes such as `\udce9`, which
            Python's `json.loads` and `open` take back.
        picture: the image.
        detections: in the image.
        ascii_only: escape all other letters too, for a terminal that has none.
    """
    ascii_only = ascii_only or not path.isprintable()
    found = [dataclasses.asdict(d) | {"score": round(d.score, 6)} for d in detections]
    return json.dumps(
        {"file": path, "width": picture.width, "height": picture.height, "detections": found},
        ensure_ascii=ascii_only,
    )


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
