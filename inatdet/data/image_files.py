"""Image files that a model looks at one by one: found, named, and read as TensorFlow reads them."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import PIL.Image
import PIL.ImageOps

from inatdet.data.file_names import IMAGE_SUFFIXES
from inatdet.data.pictures import open_picture
from inatdet.data.pillow import orientation_of
from inatdet.errors import InputError
from inatdet.files import matching

_LONGEST_NAME = 255  # bytes of a file's name, on nearly all file systems
_SERVABLE = (b"\xff\xd8", b"\x89PNG")  # first bytes of files that a model decodes itself


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


def read_for_model(path: str, upright: bool) -> tuple[PIL.Image.Image, bytes]:
    """Reads an image file for a model that takes the bytes of JPEG or PNG files.

    Args:
        path: of a file in any format that Pillow reads.
        upright: applies the file's EXIF orientation first.

    Returns:
        The image, RGB, and the bytes of a JPEG or PNG file with its pixels: those of the file where
        the model can decode it.

    Raises:
        InputError: the file cannot be read as an image.
        MemoryError: it is too large for the memory.
    """
    picture = open_picture(path, "leave it out or replace it")
    with open(path, "rb") as file:
        encoded = file.read()
    turn = upright and orientation_of(picture) != 1
    if turn:
        picture = PIL.ImageOps.exif_transpose(picture)
    if turn or not encoded.startswith(_SERVABLE):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", compress_level=1)
        encoded = buffer.getvalue()
    return picture, encoded


def as_json(
    path: str, picture: PIL.Image.Image, found: Mapping[str, Any], ascii_only: bool = False
) -> str:
    r"""What was found in one image as one line of JSON, without the end of the line.

    Args:
        path: the file. Bytes of its name that are not UTF-8 become escapes such as `\udce9`, which
            Python's `json.loads` and `open` take back.
        picture: the image.
        found: goes behind the name and the size of the file.
        ascii_only: escape all other letters too, for a terminal that has none.
    """
    ascii_only = ascii_only or not path.isprintable()
    content = {"file": path, "width": picture.width, "height": picture.height, **found}
    return json.dumps(content, ensure_ascii=ascii_only)
