"""Reads image files and checks, mostly from their headers, that they match the annotations."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass

import PIL.Image
import PIL.JpegImagePlugin

from inatdet.choices import Choice
from inatdet.data.annotations import Image
from inatdet.data.entries import file_name_fault, short
from inatdet.data.jpeg_header import Header, ordinary_header
from inatdet.data.pillow import orientation_of, quiet_pillow
from inatdet.errors import InputError
from inatdet.files import open_regular

LARGEST_FILE = 1 << 30
"""Bytes of an image file at most; a record of TensorFlow has room for less than twice as many."""

_START_OF_IMAGE = b"\xff\xd8"
_END_OF_IMAGE = b"\xff\xd9"
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")
_FETCH_AGAIN = "fetch it again"


class FileProblem(Choice):
    """What can be wrong with an image file; the values are the words that people read."""

    MISSING = "image file is missing"
    UNREADABLE = "image file cannot be read"
    NOT_JPEG = "image file is not a JPEG"
    DAMAGED = "image file is damaged"
    HOLE = "image file has damaged data"
    SIZE = "image file has another size"
    NAME = "image file has an unsafe name"


class BadFileError(Exception):
    """An image file cannot be used.

    Attributes:
        problem: the kind of problem.
        image_id: the image that the file belongs to.
        what: what is wrong, as in "is damaged".
        remedy: what to do.
    """

    def __init__(self, problem: FileProblem, image: Image, path: str, what: str, remedy: str):
        super().__init__(f"{path} (image {image.id}) {what}; {remedy}")
        self.problem = problem
        self.image_id = image.id
        self.what, self.remedy = what, remedy


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A JPEG file, and what its header says.

    Attributes:
        data: the bytes of the file, unchanged.
        width: in pixels as they are stored.
        height: in pixels as they are stored.
        mode: of the colors, as Pillow names it: `RGB`, `L` for gray, `CMYK`.
        orientation: of EXIF, 1 to 8. 1 is upright, and so is a file that says nothing.
    """

    data: bytes
    width: int
    height: int
    mode: str
    orientation: int

    @property
    def is_turned(self) -> bool:
        """Whether viewers turn or mirror it; boxes and readers here take the pixels as stored."""
        return self.orientation != 1


def read_jpeg(images_dir: str, image: Image) -> Jpeg:
    """Reads the file of an image and checks that it is what the annotations say.

    Args:
        images_dir: the folder that file names are relative to.
        image: must have a safe file name.

    Raises:
        BadFileError: the file is missing, not a JPEG, truncated, or of a different size.
    """
    jpeg = open_jpeg(images_dir, image)
    check_size(jpeg, images_dir, image)
    return jpeg


def open_jpeg(images_dir: str, image: Image) -> Jpeg:
    """Reads the file of an image, whatever size it has.

    A file of several pictures (MPO) begins with an ordinary JPEG, which is what readers take.

    Args:
        images_dir: the folder that file names are relative to.
        image: what the annotations say about the image.

    Raises:
        BadFileError: the file is missing, not a JPEG, or truncated, or its name may lead out of the
            folder.
    """
    if fault := file_name_fault(image.file_name):
        raise BadFileError(
            FileProblem.NAME, image, short(image.file_name), fault, "correct its file_name"
        )
    path = image.path_in(images_dir)
    return jpeg_of(_read(path, image), image, path)


def jpeg_of(data: bytes, image: Image, path: str) -> Jpeg:
    """What the header of a file says, whatever size the picture has.

    Args:
        data: the file.
        image: what the annotations say about the image.
        path: where the file comes from, for the message.

    Raises:
        BadFileError: it is no JPEG, or truncated.
    """
    if not data.startswith(_START_OF_IMAGE):
        what, remedy = _what_it_is(data)
        raise BadFileError(FileProblem.NOT_JPEG, image, path, what, remedy)
    try:
        header = ordinary_header(data) or _header_in_pillows_eyes(data)
    except (OSError, SyntaxError, ValueError) as error:
        raise BadFileError(FileProblem.DAMAGED, image, path, "is damaged", _FETCH_AGAIN) from error
    # Compressed data cannot contain this marker by chance. Some cameras write more after it.
    if not data.endswith(_END_OF_IMAGE) and data.find(_END_OF_IMAGE, header.end) < 0:
        what = "is damaged: its end is missing"
        raise BadFileError(FileProblem.DAMAGED, image, path, what, _FETCH_AGAIN)
    return Jpeg(data, header.width, header.height, header.mode, header.orientation)


def _header_in_pillows_eyes(data: bytes) -> Header:
    """What Pillow says about a header.

    Raises:
        OSError, SyntaxError, ValueError: it is damaged.
    """
    file = io.BytesIO(data)
    # Not PIL.Image.open, which refuses large pictures even where only the header is read.
    with quiet_pillow(), PIL.JpegImagePlugin.JpegImageFile(file) as picture:
        orientation = orientation_of(picture)
        return Header(picture.width, picture.height, picture.mode, orientation, file.tell())


def check_size(jpeg: Jpeg, images_dir: str, image: Image) -> None:
    """Checks that a file has the size that the annotations say.

    Args:
        jpeg: the file.
        images_dir: its folder, for the message.
        image: what the annotations say.

    Raises:
        BadFileError: it has another size.
    """
    if (jpeg.width, jpeg.height) == (image.width, image.height):
        return
    hint = ""
    if jpeg.orientation >= 5:
        hint = " (its EXIF orientation rotates it, which boxes and readers ignore)"
    raise BadFileError(
        FileProblem.SIZE,
        image,
        os.path.join(images_dir, image.file_name),
        f"is {jpeg.width} x {jpeg.height} pixels{hint}, but the annotations say "
        f"{image.width} x {image.height}",
        "correct the annotations or the file",
    )


def _read(path: str, image: Image) -> bytes:
    """The bytes of a file.

    Raises:
        BadFileError: it cannot be read.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST_FILE:
                raise BadFileError(
                    FileProblem.UNREADABLE,
                    image,
                    path,
                    f"has {size / 2**30:.1f} GiB",
                    "no record can hold more than 1 GiB, so make it smaller",
                )
            return file.read()
    except FileNotFoundError as error:
        raise BadFileError(
            FileProblem.MISSING,
            image,
            path,
            f"cannot be read ({error.strerror})",
            "check the folder and the name",
        ) from error
    except OSError as error:
        raise BadFileError(
            FileProblem.UNREADABLE,
            image,
            path,
            f"cannot be read ({error.strerror})",
            "change its permissions, or replace it",
        ) from error
    except InputError as error:  # says the path once more
        raise BadFileError(
            FileProblem.UNREADABLE, image, path, "is a pipe or a device", "replace it"
        ) from error


def _what_it_is(data: bytes) -> tuple[str, str]:
    """What a file is that is not a JPEG, as in "is a PNG", and what to do."""
    head = data[:512].lstrip().lower()
    if not data:
        return "is empty", _FETCH_AGAIN
    if not any(data):
        return "has nothing but zeros in it", _FETCH_AGAIN
    if b"<html" in head or head.startswith(b"<!doctype html"):
        return "is a web page (HTML), as failed downloads are", _FETCH_AGAIN
    if head.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS, not the picture", "fetch the picture with git lfs pull"
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "is a HEIF, but only JPEG can be stored unchanged", "convert it first"
    try:
        with quiet_pillow(), PIL.Image.open(io.BytesIO(data)) as picture:
            kind, deep = picture.format, picture.mode.startswith("I")
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError):
        return "is not an image", _FETCH_AGAIN
    bits = " of 16 bits" if deep else ""
    return f"is a {kind}{bits}, but only JPEG can be stored unchanged", "convert it first"
