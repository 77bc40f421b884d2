"""Is a file the JPEG that the annotations speak of? Answered from its header, mostly."""

from __future__ import annotations

import io
import os

import PIL.Image

from inatdet.choices import Choice
from inatdet.data.annotations import Image

_EXIF_ORIENTATION = 0x0112
_END_OF_IMAGE = b"\xff\xd9"


class FileProblem(Choice):
    """What can be wrong with an image's file; the values are the words that people read."""

    MISSING = "image file is missing"
    NOT_JPEG = "image file is not a JPEG"
    DAMAGED = "image file is damaged"
    SIZE = "image file has another size"


class BadFileError(Exception):
    """An image's file cannot be used.

    Attributes:
        problem: the kind of problem.
        image_id: whose file it is.
    """

    def __init__(self, problem: FileProblem, image: Image, message: str):
        super().__init__(message)
        self.problem = problem
        self.image_id = image.id


def read_jpeg(images_dir: str, image: Image) -> bytes:
    """Reads the file of an image and checks that it is what the annotations say.

    Args:
        images_dir: the folder that file names start from.
        image: with a safe file name.

    Returns:
        The file's bytes as they are.

    Raises:
        BadFileError: it is missing, no JPEG, cut short, or of another size.
    """
    path = os.path.join(images_dir, image.file_name)
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
    """Checks the bytes of a file; see `read_jpeg`."""
    who = f"{path} (image {image.id})"
    try:
        with PIL.Image.open(io.BytesIO(data)) as picture:
            kind, size = picture.format, picture.size
            turned = kind == "JPEG" and picture.getexif().get(_EXIF_ORIENTATION, 1) >= 5
            # A whole file ends with this marker. Some cameras write more behind it: then only
            # decoding can tell, which is too slow to do to every file.
            if kind == "JPEG" and not data.rstrip(b"\0").endswith(_END_OF_IMAGE):
                picture.load()
    except PIL.UnidentifiedImageError as error:
        raise BadFileError(
            FileProblem.NOT_JPEG, image, f"{who} is no image; fetch it again"
        ) from error
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise BadFileError(
            FileProblem.DAMAGED, image, f"{who} is damaged; fetch it again"
        ) from error
    # Several pictures in one file (MPO) begin with an ordinary JPEG, and readers take that.
    if kind not in ("JPEG", "MPO"):
        raise BadFileError(
            FileProblem.NOT_JPEG,
            image,
            f"{who} is a {kind}, and only JPEG can be stored as it is; convert it first",
        )
    if size != (image.width, image.height):
        hint = " (its EXIF orientation turns it, which boxes and readers ignore)" if turned else ""
        raise BadFileError(
            FileProblem.SIZE,
            image,
            f"{who} is {size[0]} x {size[1]} pixels{hint}, but the annotations say "
            f"{image.width} x {image.height}; correct the annotations or the file",
        )
