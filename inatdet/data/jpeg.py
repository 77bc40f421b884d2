"""Reads image files and checks, mostly from their headers, that they match the annotations."""

from __future__ import annotations

import io

import PIL.Image

from inatdet.choices import Choice
from inatdet.data.annotations import Image

_EXIF_ORIENTATION = 0x0112
_END_OF_IMAGE = b"\xff\xd9"


class FileProblem(Choice):
    """What can be wrong with an image file; the values are the words that people read."""

    MISSING = "image file is missing"
    NOT_JPEG = "image file is not a JPEG"
    DAMAGED = "image file is damaged"
    SIZE = "image file has another size"


class BadFileError(Exception):
    """An image file cannot be used.

    Attributes:
        problem: the kind of problem.
        image_id: the image that the file belongs to.
    """

    def __init__(self, problem: FileProblem, image: Image, message: str):
        super().__init__(message)
        self.problem = problem
        self.image_id = image.id


def read_jpeg(images_dir: str, image: Image) -> bytes:
    """Reads the file of an image and checks that it is what the annotations say.

    Args:
        images_dir: the folder that file names are relative to.
        image: must have a safe file name.

    Returns:
        The bytes of the file, unchanged.

    Raises:
        BadFileError: the file is missing, not a JPEG, truncated, or of a different size.
    """
    path = image.path_in(images_dir)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise BadFileError(
            FileProblem.MISSING,
            image,
            f"{path} (image {image.id}) cannot be read ({error.strerror})",
        ) from error
    check_jpeg(data, image, path)
    return data


def check_jpeg(data: bytes, image: Image, path: str) -> None:
    """Checks the bytes of an image file.

    Args:
        data: the bytes.
        image: what the annotations say about the image.
        path: the file, for the message.

    Raises:
        BadFileError: they are not a JPEG, truncated, or of a different size.
    """
    name = f"{path} (image {image.id})"
    try:
        with PIL.Image.open(io.BytesIO(data)) as picture:
            kind, size = picture.format, picture.size
            turned = kind == "JPEG" and picture.getexif().get(_EXIF_ORIENTATION, 1) >= 5
            # A complete file ends with this marker. Some cameras write more after it; then only
            # decoding can tell, which is too slow to do for every file.
            if kind == "JPEG" and not data.rstrip(b"\0").endswith(_END_OF_IMAGE):
                picture.load()
    except PIL.UnidentifiedImageError as error:
        raise BadFileError(
            FileProblem.NOT_JPEG, image, f"{name} is not an image; fetch it again"
        ) from error
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise BadFileError(
            FileProblem.DAMAGED, image, f"{name} is damaged; fetch it again"
        ) from error
    # A file of several images (MPO) begins with an ordinary JPEG, which is what readers take.
    if kind not in ("JPEG", "MPO"):
        raise BadFileError(
            FileProblem.NOT_JPEG,
            image,
            f"{name} is a {kind}, but only JPEG can be stored unchanged; convert it first",
        )
    if size != (image.width, image.height):
        hint = (
            " (its EXIF orientation rotates it, which boxes and readers ignore)" if turned else ""
        )
        raise BadFileError(
            FileProblem.SIZE,
            image,
            f"{name} is {size[0]} x {size[1]} pixels{hint}, but the annotations say "
            f"{image.width} x {image.height}; correct the annotations or the file",
        )
