"""Sizes of image files, for annotations that do not contain them."""

from __future__ import annotations

import warnings

from PIL import ExifTags, Image

from inatdet.errors import InputError, cannot_read
from inatdet.files import open_regular


def size_of(path: str) -> tuple[int, int]:
    """Width and height of an image in pixels, from its header.

    Raises:
        InputError: it is no image, is too large, or its EXIF orientation turns it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with open_regular(path) as file, Image.open(file) as image:
                orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
                size: tuple[int, int] = image.size
    except FileNotFoundError as error:
        raise cannot_read(path, error) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path}: is not an image that can be read; replace it") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: has too many pixels for a photograph; replace it") from error
    if orientation in (5, 6, 7, 8):
        raise InputError(
            f"{path}: is rotated by its EXIF orientation, which detectors here ignore; save it "
            "upright"
        )
    return size
